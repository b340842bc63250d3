// SPDX-License-Identifier: Apache-2.0
/// @file
/// The last step of every packer: applies the oversize policy and completes the result with bound,
/// objective and status.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0::detail {

/// A lower bound on the number of packs. The expensive bound by the load plane is computed only
/// when the gap between `packs` and the bound by single resources is more than a thousandth of
/// `packs`.
template <std::size_t Resources>
[[nodiscard]] std::uint64_t bound_from_estimates(const load_estimates<Resources>& estimates,
                                                 const loads<Resources>& capacity,
                                                 std::uint64_t packs) {
  const std::uint64_t bound = bound_by_resource(estimates, capacity).packs;
  if (packs - bound <= packs / 1000) return bound;
  return std::max(bound, plane_bound<Resources>(estimates, capacity).prove().packs);
}

/// Completes a result that contains the packs of the samples that fit, given the others and a bound
/// on the number of these packs.
inline void finish_packing(packing_result& result, std::vector<std::uint32_t> oversize,
                           oversize_policy policy, std::uint64_t bound) {
  result.bound = bound;
  result.oversize = std::move(oversize);
  if (policy == oversize_policy::own_pack) {
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
