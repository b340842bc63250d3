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
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
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

/// The most micro-batches in flight on a device at a time, counted once for each virtual stage.
[[nodiscard]] inline std::size_t most_in_flight(const schedule_shape& schedule) {
  std::size_t most = 1;
  for (std::size_t d = 0; d < schedule.stages; ++d) {
    const device_peak peak = peak_activation(
        device_order(schedule, d), [](const pipeline_operation&) { return activation_bytes{}; });
    most = std::max(most, peak.in_flight);
  }
  return most;
}

/// A problem that has a plan if there is any with memory for the data: larger micro-batches are
/// spread over as many as are in flight on the fullest device.
[[nodiscard]] inline pipeline_problem relaxed_oversize(const run_context& run,
                                                       const run_strategy& assigned) {
  const std::size_t count = assigned.data.oversize_per_rank;
  const pipeline_problem numbers = run.problem_for(assigned);
  if (count == 0) return numbers;
  const std::size_t in_flight = most_in_flight(assigned.schedule);
  pipeline_problem relaxed =
      with_larger(numbers, run.problem_for_largest(assigned), count, in_flight);
  // Averages are rounded up, by less than a byte a layer.
  const auto rounding = static_cast<std::int64_t>(in_flight * relaxed.layers.size());
  relaxed.memory_margin = std::max<std::int64_t>(0, relaxed.memory_margin - rounding);
  for (std::int64_t& reserved : relaxed.reserved) reserved -= std::min(reserved, rounding);
  return relaxed;
}

}  // namespace omnibal::inline v0::detail
