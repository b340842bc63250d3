// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/rebalance/bound.hpp>
#include <omnibal/rebalance/detail/exact.hpp>
#include <omnibal/rebalance/detail/exchange_search.hpp>
#include <omnibal/rebalance/detail/placement_frontier.hpp>
#include <omnibal/rebalance/problem.hpp>
#include <omnibal/rebalance/rebalance.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The largest cost within a tolerance, in millionths of the mean, of `least`.
[[nodiscard]] inline std::int64_t largest_tolerated(const rebalance_problem& problem,
                                                    std::int64_t least,
                                                    std::uint32_t tolerance) noexcept {
  wide_integer sum = 0;
  for (const owned_sample& sample : problem.samples) sum += sample.cost;
  const wide_integer limit = least + sum * tolerance / (wide_integer{1'000'000} * problem.ranks);
  return static_cast<std::int64_t>(
      std::min<wide_integer>(limit, std::numeric_limits<std::int64_t>::max()));
}

[[nodiscard]] inline rebalance_point to_point(const rebalance_problem& problem,
                                              const placement& plan) {
  rebalance_point point{.cost = plan.cost, .bytes = plan.bytes};
  for (std::uint32_t s = 0; s < plan.ranks.size(); ++s) {
    const std::uint32_t from = problem.samples[s].rank;
    if (plan.ranks[s] != from)
      point.moves.push_back({.sample = s, .from = from, .to = plan.ranks[s]});
  }
  return point;
}

}  // namespace detail

OMNIBAL_INLINE rebalance_result rebalance(const rebalance_problem& problem,
                                          const rebalance_options& options) {
  validate(problem);
  detail::placement_frontier found;
  rebalance_result result{.bound = bound_cost(problem)};
  bool finished = detail::exchange_search(problem, found).run(result.bound, options.control);
  const bool exact = finished && detail::exact_frontier::fits(problem);
  if (exact) finished = detail::exact_frontier(problem, found).complete(options.control);

  result.frontier.reserve(found.points().size());
  for (const detail::placement& plan : found.points())
    result.frontier.push_back(detail::to_point(problem, plan));
  result.objective = result.frontier.back().cost;
  const std::int64_t most_expensive =
      detail::largest_tolerated(problem, result.objective, options.tolerance);
  while (result.plan().cost > most_expensive) ++result.chosen;
  result.bytes_bound = bound_bytes(problem, most_expensive);
  if (!finished) {
    result.status = search_status::stopped;
    result.limit = limit_of(result.status, options.control);
  } else if (exact) {
    result.bound = result.objective;
    result.bytes_bound = result.plan().bytes;
  }
  if (finished && result.objective == result.bound && result.plan().bytes == result.bytes_bound)
    result.status = search_status::optimal;
  return result;
}

}  // namespace omnibal::inline v0
