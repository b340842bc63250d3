// SPDX-License-Identifier: Apache-2.0
/// @file
/// What ranks did, as a trace that Perfetto shows and `omnibal replay` reads: a process per rank,
/// and beside each what the plan predicted for it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <omnibal/interop/svg.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/simulate_items.hpp>
#include <omnibal/pipeline/timeline.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/replay.hpp>

#include "engine.hpp"

namespace omnibal::trainer {

/// Chrome's trace events, as JSON, of steps first_step, first_step + 1, …; `logs` per rank and
/// step. Events of rank r have pid r, those of its prediction pid ranks + r and names that begin
/// with "predicted". O(items · log items).
[[nodiscard]] std::string chrome_trace_of(const execution_plan& plan,
                                          std::span<const std::vector<step_log>> logs,
                                          std::uint64_t first_step);

/// A step of the first replica: as predicted, as its measured operations replayed, and as it was.
/// O(items · log items).
[[nodiscard]] std::vector<timeline> timelines_of(const execution_plan& plan,
                                                 std::span<const std::vector<step_log>> logs,
                                                 std::uint64_t first_step, std::size_t index);

/// The first two of these as SVG.
[[nodiscard]] std::string picture_of(const execution_plan& plan,
                                     std::span<const std::vector<step_log>> logs,
                                     std::uint64_t first_step, std::size_t index);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// Per rank and item what was computed, so that ranks that share a core are shown as if each had
/// its own: how long a message took contains the waiting for a core of both ranks.
[[nodiscard]] inline std::vector<std::vector<std::int64_t>> durations_of(
    std::span<const step_log> ranks) {
  std::vector<std::vector<std::int64_t>> durations;
  for (const step_log& log : ranks) {
    durations.emplace_back();
    for (const item_times& times : log.times) durations.back().push_back(times.computed);
  }
  return durations;
}

[[nodiscard]] inline std::vector<std::vector<std::int64_t>> durations_of(
    std::span<const std::vector<step_log>> logs, std::size_t index) {
  std::vector<step_log> ranks;
  for (const auto& rank : logs) ranks.push_back(rank[index]);
  return durations_of(ranks);
}

/// "forward 3.0" of stage 3 and micro-batch 0, "reduce 3": the names that `omnibal replay` knows.
[[nodiscard]] inline std::string event_name(const execution_item& item) {
  std::string name = std::string(to_string(item.kind)) + " " + std::to_string(item.stage);
  if (is_operation(item.kind) || is_message(item.kind))
    name += "." + std::to_string(item.microbatch);
  return name;
}

class trace_writer {
 public:
  trace_writer(std::size_t ranks, std::int64_t origin) : ranks_(ranks), origin_(origin) {}

  void name_processes() {
    for (std::size_t pid = 0; pid < 2 * ranks_; ++pid)
      add(R"({"ph":"M","name":"process_name","pid":)" + std::to_string(pid) +
          R"(,"args":{"name":"rank )" + std::to_string(pid % ranks_) +
          (pid < ranks_ ? " measured" : " predicted") + "\"}}");
  }

  void add_log(std::size_t rank, std::uint64_t step, const step_log& log) {
    for (std::size_t i = 0; i < log.items.size(); ++i)
      add_event(rank, log.items[i], "", step, log.times[i].begin, log.times[i].duration());
  }

  /// Beside the measured step, from its begin.
  void add_prediction(std::size_t rank, std::uint64_t step, std::int64_t begin,
                      std::span<const execution_item> items,
                      std::span<const simulated_item> times) {
    for (std::size_t i = 0; i < items.size(); ++i)
      add_event(ranks_ + rank, items[i], "predicted ", step, begin + times[i].start,
                times[i].end - times[i].start);
  }

  [[nodiscard]] std::string text() const { return "{\"traceEvents\":[\n" + events_ + "\n]}\n"; }

 private:
  void add(const std::string& event) { events_ += (events_.empty() ? "" : ",\n") + event; }

  /// Messages are in a row of their own: they go on beside the operations.
  void add_event(std::size_t pid, const execution_item& item, const std::string& prefix,
                 std::uint64_t step, std::int64_t begin, std::int64_t duration) {
    add(R"({"ph":"X","name":")" + prefix + event_name(item) + R"(","pid":)" + std::to_string(pid) +
        R"(,"tid":)" + (is_message(item.kind) ? "1" : "0") + R"(,"ts":)" +
        microseconds(begin - origin_) + R"(,"dur":)" + microseconds(duration) +
        R"(,"args":{"step":)" + std::to_string(step) + "}}");
  }

  [[nodiscard]] static std::string microseconds(std::int64_t nanoseconds) {
    const std::string thousandths = std::to_string(1000 + nanoseconds % 1000).substr(1);
    return std::to_string(nanoseconds / 1000) + "." + thousandths;
  }

  std::size_t ranks_;
  std::int64_t origin_;
  std::string events_;
};

}  // namespace detail

inline std::string chrome_trace_of(const execution_plan& plan,
                                   std::span<const std::vector<step_log>> logs,
                                   std::uint64_t first_step) {
  if (logs.empty() || logs[0].empty()) return "{\"traceEvents\":[]}\n";
  std::int64_t origin = logs[0][0].step.begin;
  for (const auto& rank : logs) origin = std::min(origin, rank[0].step.begin);
  detail::trace_writer writer(plan.ranks(), origin);
  writer.name_processes();
  for (std::size_t index = 0; index < logs[0].size(); ++index) {
    const std::uint64_t step = first_step + index;
    std::vector<std::vector<std::int64_t>> durations;
    for (std::size_t rank = 0; rank < plan.ranks(); ++rank)
      durations.push_back(predicted_durations(plan, step, rank));
    const replayed_step predicted = replay(plan, step, durations);
    for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
      writer.add_log(rank, step, logs[rank][index]);
      writer.add_prediction(rank, step, logs[0][index].step.begin, predicted.items[rank],
                            predicted.predicted.items[rank]);
    }
  }
  return writer.text();
}

namespace detail {

/// The operations of the first replica by the clock, from the first one on.
[[nodiscard]] inline timeline measured_timeline(const execution_plan& plan,
                                                std::span<const std::vector<step_log>> logs,
                                                std::size_t index) {
  timeline drawn{.devices = plan.devices};
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  for (std::size_t device = 0; device < plan.devices; ++device) {
    const step_log& log = logs[device][index];
    for (std::size_t i = 0; i < log.items.size(); ++i) {
      const execution_item& item = log.items[i];
      if (!is_operation(item.kind)) continue;
      first = std::min(first, log.times[i].begin);
      drawn.bars.push_back(
          {.device = device,
           .begin = log.times[i].begin,
           .end = log.times[i].end,
           .work = {static_cast<operation_kind>(item.kind), item.stage, item.microbatch}});
    }
  }
  for (timeline_bar& bar : drawn.bars) {
    bar.begin -= first;
    bar.end -= first;
  }
  return drawn;
}

}  // namespace detail

inline std::vector<timeline> timelines_of(const execution_plan& plan,
                                          std::span<const std::vector<step_log>> logs,
                                          std::uint64_t first_step, std::size_t index) {
  const std::size_t step = first_step + index;
  const replayed_step replayed = replay(plan, step, detail::durations_of(logs, index));
  std::vector<timeline> timelines = {replayed_timeline(plan, replayed, replayed.predicted, 0),
                                     replayed_timeline(plan, replayed, replayed.measured, 0),
                                     detail::measured_timeline(plan, logs, index)};
  timelines[0].title = "step " + std::to_string(step) + ", predicted";
  timelines[1].title = "step " + std::to_string(step) + ", measured operations";
  timelines[2].title = "step " + std::to_string(step) + ", as it was";
  return timelines;
}

inline std::string picture_of(const execution_plan& plan,
                              std::span<const std::vector<step_log>> logs, std::uint64_t first_step,
                              std::size_t index) {
  const std::vector<timeline> timelines = timelines_of(plan, logs, first_step, index);
  return timelines_svg(std::span(timelines).first(2));
}

}  // namespace omnibal::trainer
