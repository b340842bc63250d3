// SPDX-License-Identifier: Apache-2.0
/// @file
/// How every packer ends: oversize samples get what the policy says, and the result says how near
/// it is to the bound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0::detail {

/// A bound on the number of packs of the surveyed samples. The dearer proof is tried only where
/// the cheap ones leave more than a thousandth of `packs` open.
template <std::size_t Resources>
[[nodiscard]] std::uint64_t bound_from_estimates(const load_estimates<Resources>& estimates,
                                                 const loads<Resources>& capacity,
                                                 std::uint64_t packs) {
  const std::uint64_t bound = bound_by_resource(estimates, capacity).packs;
  if (packs - bound <= packs / 1000) return bound;
  return std::max(bound, plane_bound<Resources>(estimates, capacity).prove().packs);
}

/// Completes a result that holds the packs of the samples that fit, and bounds their number.
template <std::size_t Resources>
void finish_packing(packing_result& result, const load_estimates<Resources>& estimates,
                    const pack_limits<Resources>& limits, std::uint64_t bound) {
  result.bound = bound;
  result.oversize = estimates.oversize;
  if (limits.oversize == oversize_policy::own_pack) {
    for (const std::uint32_t id : result.oversize) result.packs.append({&id, 1});
    result.bound += result.oversize.size();
  }
  result.objective = result.packs.size();
  if (result.objective == result.bound)
    result.status = search_status::optimal;
  else if (result.status == search_status::optimal)
    result.status = search_status::feasible;
}

}  // namespace omnibal::inline v0::detail
