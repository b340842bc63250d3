// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/assign_modes.hpp>
#include <omnibal/planner/detail/interleaved_search.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// For schedules whose virtual stages share the memory of a device.
[[nodiscard]] inline std::optional<pipeline_plan> assign_modes_of_devices(
    const pipeline_problem& problem, const std::vector<std::size_t>& cuts) {
  interleaved_stages stages(problem);
  const auto sum = [](const std::vector<std::int64_t>& extra) {
    return std::accumulate(extra.begin(), extra.end(), wide_integer{0});
  };
  constexpr wide_integer endless = std::numeric_limits<std::int64_t>::max();
  const auto assigned = stages.assign(cuts, sum, endless);
  if (assigned.extra.empty()) return std::nullopt;
  return stages.plan_of(cuts, assigned.extra);
}

}  // namespace detail

OMNIBAL_INLINE std::optional<pipeline_plan> assign_modes(const pipeline_problem& problem,
                                                         const std::vector<std::size_t>& cuts) {
  if (detail::weighs_devices(problem)) return detail::assign_modes_of_devices(problem, cuts);
  detail::stage_table table(problem);
  for (std::size_t s = 0; s < table.stages(); ++s)
    if (table.least_extra(s, cuts[s], cuts[s + 1]) == detail::stage_table::infeasible)
      return std::nullopt;
  return table.plan_of(cuts);
}

OMNIBAL_INLINE stage_memory::stage_memory(const pipeline_problem& problem)
    : table_(std::make_shared<detail::stage_table>(problem)) {}

OMNIBAL_INLINE std::int64_t stage_memory::overrun(std::size_t stage, std::size_t begin,
                                                  std::size_t end) {
  if (!table_) throw invalid_input("stage_memory", "moved from", "has no problem any more");
  return table_->overrun(stage, begin, end);
}

}  // namespace omnibal::inline v0
