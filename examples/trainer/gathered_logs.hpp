// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every rank did in a step, known to all of them: ranks send each other their logs after each
/// step, so that nobody has to keep them until the end of the run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "engine.hpp"

namespace omnibal::trainer {

/// The logs of all ranks of a step, by rank. Called by all ranks; blocks. O(items of all ranks).
template <tensor_channel Channel>
[[nodiscard]] std::vector<step_log> gathered_logs(Channel& world, const execution_plan& plan,
                                                  std::size_t step, const step_log& own);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// Of a log, as integers: bytes, and begin, end and computed time of the step and of each item. The
/// items themselves are known from the plan.
[[nodiscard]] constexpr std::size_t log_numbers(std::size_t items) noexcept {
  return 3 + 3 * (items + 1);
}

[[nodiscard]] inline std::vector<std::int64_t> numbers_of(const step_log& log) {
  std::vector<std::int64_t> numbers = {log.peak_saved_bytes, log.peak_bytes,
                                       log.peak_message_bytes};
  const auto add = [&](const item_times& times) {
    numbers.insert(numbers.end(), {times.begin, times.end, times.computed});
  };
  add(log.step);
  for (const item_times& times : log.times) add(times);
  return numbers;
}

/// Precondition: log_numbers(items.size()) numbers.
[[nodiscard]] inline step_log log_of(std::vector<execution_item> items,
                                     std::span<const std::int64_t> numbers) {
  const auto times_at = [&](std::size_t i) {
    return item_times{numbers[i], numbers[i + 1], numbers[i + 2]};
  };
  step_log log{.items = std::move(items),
               .step = times_at(3),
               .peak_saved_bytes = numbers[0],
               .peak_bytes = numbers[1],
               .peak_message_bytes = numbers[2]};
  for (std::size_t i = 0; i < log.items.size(); ++i) log.times.push_back(times_at(6 + 3 * i));
  return log;
}

}  // namespace detail

template <tensor_channel Channel>
std::vector<step_log> gathered_logs(Channel& world, const execution_plan& plan, std::size_t step,
                                    const step_log& own) {
  std::vector<std::vector<execution_item>> items;
  std::vector<std::size_t> counts;
  std::size_t sum = 0;
  for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
    items.push_back(step_of(plan, step, rank).items);
    counts.push_back(detail::log_numbers(items.back().size()));
    sum += counts.back();
  }
  const std::vector<std::int64_t> mine = detail::numbers_of(own);
  std::vector<std::int64_t> all(sum);
  world.all_gather(view_of(mine), view_of(all), counts).wait();
  std::vector<step_log> logs;
  std::span<const std::int64_t> rest = all;
  for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
    logs.push_back(detail::log_of(std::move(items[rank]), rest.first(counts[rank])));
    rest = rest.subspan(counts[rank]);
  }
  return logs;
}

}  // namespace omnibal::trainer
