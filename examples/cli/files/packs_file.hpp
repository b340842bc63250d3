// SPDX-License-Identifier: Apache-2.0
/// @file
/// packs.json: the samples of every pack, and the packs of every step and rank.
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
  std::optional<mixture_draw> mixture = {};  ///< How samples were drawn, if not each once.
  std::vector<std::string> keys = {};        ///< The key of each sample of the inputs, if any.
  std::string fingerprint = {};              ///< Of keys and loads, where there are keys.
  std::vector<std::int64_t> capacity = {};   ///< One per resource.
  grouping<std::uint32_t> packs = {};
  /// The groups of packs that are micro-batches under sequence parallelism; empty where each pack
  /// is a micro-batch.
  grouping<std::uint32_t> groups = {};
  dispatch_plan plan = {};  ///< Assigns the groups, or the packs where there are none.

  /// The position of each sample of the file in the tables that it was read for; empty where it is
  /// unchanged. Not written.
  std::vector<std::uint32_t> places = {};

  friend bool operator==(const packs_file&, const packs_file&) = default;
};

/// The bytes of the file: the same for the same packs. `more` are further keys to write; readers
/// of packs ignore them.
[[nodiscard]] std::string to_text(const packs_file& file, const json& more = json::object());

/// Reads a file written for these tables. Throws invalid_input where it is broken, where it was
/// made from other tables, naming the first that differs, or where not every pack is in exactly
/// one place. Does not check the loads of packs.
///
/// Where the tables have keys, the file must have them too; the tables must then hold the same keys
/// with the same loads, in any order, and the packs returned name samples by their ids in the
/// tables.
[[nodiscard]] packs_file read_packs_file(const std::string& path, const length_tables& tables);

/// The same from what was read of the file at `path`.
[[nodiscard]] packs_file read_packs(const json& content, const std::string& path,
                                    const length_tables& tables);

}  // namespace omnibal::cli
