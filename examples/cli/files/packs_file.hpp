// SPDX-License-Identifier: Apache-2.0
/// @file
/// packs.json: which samples make a pack, and which rank runs which packs in which step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/core/grouping.hpp>
#include <omnibal/dispatch/dispatch.hpp>

#include "files/json.hpp"
#include "files/mixture_draw.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// What the file holds. Pack k holds the samples packs[k]. Steps are written as lists of packs,
/// those of a group one after the other, with the sizes of the groups beside them.
struct packs_file {
  std::vector<table_input> inputs = {};
  std::vector<std::string> resources = {};
  std::optional<mixture_draw> mixture = {};  ///< What the samples were drawn by, if not all once.
  std::vector<std::string> keys = {};  ///< What names each sample of the inputs, if anything does.
  std::string fingerprint = {};        ///< Of keys and loads, where there are keys.
  std::vector<std::int64_t> capacity = {};  ///< One per resource.
  grouping<std::uint32_t> packs = {};
  /// The groups of packs that are micro-batches under sequence parallelism; empty where each pack
  /// is a micro-batch.
  grouping<std::uint32_t> groups = {};
  dispatch_plan plan = {};  ///< Deals the groups, where there are any, or else the packs.

  /// Where each sample that the file speaks of is in the tables that it was read for; empty where
  /// that is as it was. Not written.
  std::vector<std::uint32_t> places = {};

  friend bool operator==(const packs_file&, const packs_file&) = default;
};

/// The bytes of the file: the same for the same packs. `more` are further keys to write; readers
/// of packs ignore them.
[[nodiscard]] std::string to_text(const packs_file& file, const json& more = json::object());

/// Reads a file written for these tables. Throws invalid_input where it is broken, where it was
/// made from other tables, naming the first that differs, or where not every pack is in exactly
/// one place. What the packs weigh is not looked at.
///
/// Where the tables have keys, so must the file; then the tables must hold the same keys with the
/// same loads, in whatever order, and the packs that are returned name samples as the tables do.
[[nodiscard]] packs_file read_packs_file(const std::string& path, const length_tables& tables);

}  // namespace omnibal::cli
