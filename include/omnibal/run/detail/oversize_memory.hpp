// SPDX-License-Identifier: Apache-2.0
/// @file
/// A search for a plan of a strategy whose micro-batches beyond the capacity need memory, too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/larger_microbatches.hpp>
#include <omnibal/run/detail/run_context.hpp>

namespace omnibal::inline v0::detail {

using cuts_and_modes = std::optional<pipeline_plan>;

/// Bytes per device that a plan for the capacity lacks for the larger micro-batches in flight: as
/// many as a rank has in a step or, where fewer are in flight, all of those.
[[nodiscard]] inline std::vector<std::int64_t> bytes_lacking(const run_context& run,
                                                             const run_strategy& assigned,
                                                             const pipeline_problem& numbers,
                                                             const pipeline_problem& larger,
                                                             const pipeline_plan& plan) {
  const std::vector<stage_cost> usual = stage_costs(numbers, plan);
  const std::vector<stage_cost> most = stage_costs(larger, plan);
  std::vector<std::int64_t> peaks = peak_memory(numbers, usual);
  const std::vector<std::int64_t> all_larger = peak_memory(larger, most);
  const auto count = static_cast<std::int64_t>(assigned.data.oversize_per_rank);
  std::vector<std::int64_t> transient(peaks.size(), 0);
  for (std::size_t j = 0; j < usual.size(); ++j) {
    const std::size_t device = assigned.schedule.device(j);
    const activation_bytes& one = most[j].activation;
    const activation_bytes& less = usual[j].activation;
    const std::int64_t difference = std::max(
        one.saved - less.saved, one.saved_for_weight_gradient - less.saved_for_weight_gradient);
    peaks[device] += checked_multiply(count, difference, "memory");
    transient[device] = std::max(transient[device], one.transient - less.transient);
  }
  for (std::size_t d = 0; d < peaks.size(); ++d)
    peaks[d] = std::max<std::int64_t>(
        0, std::min(peaks[d] + transient[d], all_larger[d]) - run.problem().memory.limit);
  return peaks;
}

/// Memory that the search's plan lacks is reserved, and the search repeated.
template <typename Search>
[[nodiscard]] cuts_and_modes plan_with_reserve(const run_context& run, const run_strategy& assigned,
                                               pipeline_problem reserving,
                                               const pipeline_problem& numbers,
                                               const pipeline_problem& larger,
                                               const Search& search) {
  constexpr int most_rounds = 8;
  for (int round = 0; round < most_rounds; ++round) {
    const cuts_and_modes plan = search(reserving);
    if (!plan) return plan;
    bool fits = true;
    const std::vector<std::int64_t> lacking = bytes_lacking(run, assigned, numbers, larger, *plan);
    for (std::size_t d = 0; d < lacking.size(); ++d) {
      fits = fits && lacking[d] == 0;
      reserving.reserved[d] += lacking[d];
      if (reserving.reserved[d] >= run.problem().memory.limit) return std::nullopt;
    }
    if (fits) return plan;
  }
  return std::nullopt;
}

/// A plan of the search with memory for the micro-batches beyond the capacity: as many at a time as
/// a rank has in a step, beside others that fill it. The search is given what modes save on
/// average over the micro-batches in flight, and what of full packs; the plan of less makespan
/// counts. If there is none, it is given what they save of the largest micro-batch.
template <typename Search>
[[nodiscard]] cuts_and_modes plan_with_oversize(const run_context& run,
                                                const run_strategy& assigned,
                                                const Search& search) {
  const pipeline_problem numbers = run.problem_for(assigned);
  const std::size_t count = assigned.data.oversize_per_rank;
  if (count == 0) return search(numbers);
  const pipeline_problem larger = run.problem_for_largest(assigned);
  const std::size_t in_flight =
      std::max<std::size_t>(1, std::min(assigned.schedule.microbatches, run.problem().stages));
  const auto found = [&](const pipeline_problem& given) {
    return plan_with_reserve(run, assigned, given, numbers, larger, search);
  };
  const auto time = [&](const pipeline_plan& plan) {
    return makespan(numbers.schedule, stage_costs(numbers, plan));
  };
  cuts_and_modes best = found(with_larger(numbers, larger, count, in_flight));
  const cuts_and_modes other = found(numbers);
  if (other && (!best || time(*other) < time(*best))) best = other;
  return best ? best : found(larger);
}

}  // namespace omnibal::inline v0::detail
