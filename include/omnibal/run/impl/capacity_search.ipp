// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/run/capacity_search.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Above this ratio of capacity to load, wasted capacity is named as the reason, millionths.
inline constexpr std::int64_t wasteful_ratio = 1'100'000;

[[nodiscard]] inline std::string percent_text(double share) {
  const auto tenths = std::llround(share * 1000);
  return std::to_string(tenths / 10) + (tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10)) +
         " %";
}

[[nodiscard]] inline std::string verdict(const capacity_candidate& candidate,
                                         const capacity_problem& problem, double best_time) {
  const auto wanted = static_cast<double>(problem.global_batch);
  if (!candidate.outcome.fits) return "does not fit the memory";
  if (candidate.outcome.samples_per_step > (1 + problem.batch_tolerance) * wanted ||
      candidate.outcome.samples_per_step < (1 - problem.batch_tolerance) * wanted)
    return "its steps cannot come within " + percent_text(problem.batch_tolerance) +
           " of the global batch";
  if (candidate.outcome.time_per_sample <= best_time) return {};
  std::string reason = "slower";
  if (best_time > 0)
    reason = "takes " + factor_text(candidate.outcome.time_per_sample / best_time) +
             " the time of the best";
  if (candidate.capacity_ratio > wasteful_ratio)
    reason += "; its packs have " + capacity_text(candidate.capacity_ratio) +
              " the capacity that their samples fill";
  return reason;
}

}  // namespace detail

OMNIBAL_INLINE capacity_search search_capacity(const capacity_problem& problem,
                                               const search_control& control) {
  const std::vector<loads<2>> part =
      detail::sample_part(problem.samples, problem.sample_limit, problem.seed);
  capacity_search search;
  const std::vector<capacity_estimate<2>> estimates =
      estimate_capacities<2>({.samples = problem.samples, .seed = problem.seed}, control);
  bool fits = false;
  for (std::size_t k = 0; k < estimates.size(); ++k) {
    if (control.stop_requested() && fits) break;
    control.report_progress("capacities", k, estimates.size());
    const loads<2>& capacity = estimates[k].capacity;
    search.candidates.push_back({.capacity = capacity,
                                 .capacity_ratio = estimates[k].capacity_ratio,
                                 .outcome = problem.evaluate(capacity, part)});
    fits = fits || search.candidates.back().outcome.fits;
  }
  const auto rank = [&](const capacity_candidate& candidate) {
    const double endless = std::numeric_limits<double>::infinity();
    const std::string reason = detail::verdict(candidate, problem, endless);
    const int tier = reason.empty() ? 0 : candidate.outcome.fits ? 1 : 2;
    return std::pair(tier, candidate.outcome.time_per_sample);
  };
  const auto best = std::ranges::min_element(
      search.candidates,
      [&](const auto& left, const auto& right) { return rank(left) < rank(right); });
  search.best = best->capacity;
  for (auto candidate = search.candidates.begin(); candidate != search.candidates.end();
       ++candidate)
    if (candidate != best)
      candidate->passed_over = detail::verdict(*candidate, problem, best->outcome.time_per_sample);
  return search;
}

}  // namespace omnibal::inline v0
