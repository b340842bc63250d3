// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every packer returns.
#pragma once

#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/search_status.hpp>

namespace omnibal::inline v0 {

/// Samples grouped into packs: every sample that fits a pack is in exactly one, no pack exceeds a
/// capacity, no pack is empty.
struct packing_result {
  /// optimal: no packing has fewer packs; feasible: the bound leaves room; stopped: the caller
  /// asked for an early end (the packs are complete nevertheless).
  search_status status = search_status::optimal;
  /// Pack k holds the samples packs[k].
  grouping<std::uint32_t> packs = {};
  /// The samples that exceed a capacity all by themselves, ascending. Under
  /// oversize_policy::own_pack the last oversize.size() packs hold them, one each.
  std::vector<std::uint32_t> oversize = {};
  /// The number of packs, packs.size().
  std::uint64_t objective = 0;
  /// No packing of these samples has fewer packs (own packs of oversize samples counted).
  std::uint64_t bound = 0;
};

}  // namespace omnibal::inline v0
