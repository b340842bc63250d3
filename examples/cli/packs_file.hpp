// SPDX-License-Identifier: Apache-2.0
/// @file
/// packs.json: which samples make a pack, and which rank runs which packs in which step.
#pragma once

#include <cstdint>
#include <omnibal/core/grouping.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "json.hpp"
#include "mixture_draw.hpp"
#include "tables.hpp"

namespace omnibal::cli {

/// What the file holds. Pack k holds the samples packs[k].
struct packs_file {
  std::vector<table_input> inputs = {};
  std::vector<std::string> resources = {};
  std::optional<mixture_draw> mixture = {};  ///< What the samples were drawn by, if not all once.
  std::vector<std::int64_t> capacity = {};   ///< One per resource.
  grouping<std::uint32_t> packs = {};
  dispatch_plan plan = {};

  friend bool operator==(const packs_file&, const packs_file&) = default;
};

/// The bytes of the file: the same for the same packs. `more` are further keys to write; readers
/// of packs ignore them.
[[nodiscard]] std::string to_text(const packs_file& file, const json& more = json::object());

/// Reads a file written for these tables. Throws invalid_input where it is broken, where it was
/// made from other tables, naming the first that differs, or where not every pack is in exactly
/// one place. What the packs weigh is not looked at.
[[nodiscard]] packs_file read_packs_file(const std::string& path, const length_tables& tables);

}  // namespace omnibal::cli
