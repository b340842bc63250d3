// SPDX-License-Identifier: Apache-2.0
/// @file
/// The result of every packer: packs, oversize samples, and a proven lower bound on the number of
/// packs.
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
  /// optimal: no packing has fewer packs, objective == bound; feasible: fewer packs are not proven
  /// impossible; stopped: the caller requested a stop (the packs are complete nevertheless).
  search_status status = search_status::optimal;
  search_limit limit = search_limit::none;
  /// Pack k holds the samples packs[k].
  grouping<std::uint32_t> packs = {};
  /// The samples that alone exceed a capacity, ascending. Under oversize_policy::own_pack they are
  /// the last oversize.size() packs, one each.
  std::vector<std::uint32_t> oversize = {};
  /// The number of packs, packs.size().
  std::uint64_t objective = 0;
  /// A proven lower bound on the number of packs of any packing of these samples, own packs of
  /// oversize samples included.
  std::uint64_t bound = 0;
};

}  // namespace omnibal::inline v0
