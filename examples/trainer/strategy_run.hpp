// SPDX-License-Identifier: Apache-2.0
/// @file
/// A training run, measured: what each rank did in every step, beside what the plan predicted, and
/// what replaying the measured operations gives.
///
///     const strategy_report report = run_on_threads(run, strategy::planned);
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/replay.hpp>

#include "trace.hpp"
#include "training.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer {

/// Shares of the ranks' time without operations, over all steps.
struct bubble_ratios {
  double predicted = 0;  ///< By the plan, with the costs it was made with.
  double replayed = 0;   ///< With what was measured of operations and messages.
  double measured = 0;   ///< As it was: with the waiting of ranks that share cores.
};

struct strategy_report {
  strategy how = strategy::planned;
  std::vector<rank_report> ranks = {};
  std::vector<std::vector<step_log>> logs = {};  ///< Per rank and step run.
  std::uint64_t first_step = 0;                  ///< More than 0 where the run was resumed.
  std::vector<double> step_seconds = {};         ///< Of the slowest rank.
  double seconds = 0;                            ///< Of all steps.
  double replayed_seconds = 0;                   ///< By the measured durations and the order alone.
  double predicted_seconds = 0;
  bubble_ratios bubble = {};
  double skew = 1;  ///< Mean over steps: most work of a replica over the mean of replicas.
  double tokens_per_second = 0;  ///< Without padding.
};

/// Trains on threads and measures. `deadline` is how long a rank waits for another. Throws what
/// train_rank throws: the failure of the rank that failed first.
[[nodiscard]] strategy_report run_on_threads(
    const training_run& run, strategy how,
    std::chrono::milliseconds deadline = std::chrono::minutes(5));

/// Fills in what follows from the reports and logs of all ranks.
void complete(strategy_report& report, const training_run& run);

/// The tokens of the samples of a step, without padding.
[[nodiscard]] std::int64_t tokens_of_step(const training_run& run, std::uint64_t step);

/// The operations of the slowest replica over their mean, by the predicted times.
[[nodiscard]] double skew_of_step(const execution_plan& plan, std::size_t step);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// Sums over steps of makespans and of the ranks' work.
struct worked_time {
  double makespan = 0;
  double busy = 0;

  [[nodiscard]] double bubble(std::size_t ranks) const {
    return makespan == 0 ? 0 : 1 - busy / (static_cast<double>(ranks) * makespan);
  }
};

inline void add(worked_time& sum, const item_simulation& step) {
  sum.makespan += static_cast<double>(step.makespan);
  sum.busy +=
      static_cast<double>(std::accumulate(step.busy.begin(), step.busy.end(), std::int64_t{0}));
}

inline void measure(strategy_report& report, const execution_plan& plan) {
  worked_time predicted;
  worked_time replayed;
  worked_time measured;
  for (std::size_t index = 0; index < report.logs[0].size(); ++index) {
    const replayed_step step =
        replay(plan, report.first_step + index, durations_of(report.logs, index));
    add(predicted, step.predicted);
    add(replayed, step.measured);
    std::int64_t slowest = 0;
    for (const auto& rank : report.logs) {
      slowest = std::max(slowest, rank[index].step.duration());
      measured.busy += static_cast<double>(rank[index].busy());
    }
    measured.makespan += static_cast<double>(slowest);
    report.step_seconds.push_back(static_cast<double>(slowest) * 1e-9);
  }
  report.bubble = {predicted.bubble(plan.ranks()), replayed.bubble(plan.ranks()),
                   measured.bubble(plan.ranks())};
  report.seconds = measured.makespan * 1e-9;
  report.replayed_seconds = replayed.makespan * 1e-9;
  report.predicted_seconds = predicted.makespan * 1e-9;
}

}  // namespace detail

inline std::int64_t tokens_of_step(const training_run& run, std::uint64_t step) {
  std::int64_t tokens = 0;
  for (std::uint64_t i = step * run.batch; i < (step + 1) * run.batch; ++i)
    tokens += run.task.size_of(i)[1];
  return tokens;
}

inline double skew_of_step(const execution_plan& plan, std::size_t step) {
  double sum = 0;
  double most = 0;
  for (std::size_t r = 0; r < plan.replicas; ++r) {
    double own = 0;
    for (const std::uint32_t pack : plan.assignment[step * plan.replicas + r])
      for (const execution_stage& stage : plan.stages)
        own += static_cast<double>(stage.forward_time.of(plan.workloads[pack]) +
                                   stage.backward_time.of(plan.workloads[pack]));
    sum += own;
    most = std::max(most, own);
  }
  return sum == 0 ? 1 : most * static_cast<double>(plan.replicas) / sum;
}

inline void complete(strategy_report& report, const training_run& run) {
  const execution_plan& plan = run.planned.plan;
  detail::measure(report, plan);
  double skew = 0;
  std::int64_t tokens = 0;
  const std::size_t steps = report.logs[0].size();
  for (std::size_t index = 0; index < steps; ++index) {
    skew += skew_of_step(plan, report.first_step + index);
    tokens += tokens_of_step(run, report.first_step + index);
  }
  if (steps > 0) report.skew = skew / static_cast<double>(steps);
  if (report.seconds > 0) report.tokens_per_second = static_cast<double>(tokens) / report.seconds;
}

inline strategy_report run_on_threads(const training_run& run, strategy how,
                                      std::chrono::milliseconds deadline) {
  const execution_plan& plan = run.planned.plan;
  strategy_report report{.how = how};
  report.ranks.resize(plan.ranks());
  report.logs.resize(plan.ranks());
  training_run logged = run;
  logged.after_step = [&](std::size_t rank, const step_report& step) {
    report.logs[rank].push_back(step.log);
    if (rank == 0 && report.logs[0].size() == 1) report.first_step = step.step;
    if (run.after_step) run.after_step(rank, step);
  };
  run_as_ranks(plan.ranks(),
               [&](thread_communicator& ranks) {
                 thread_channel world =
                     open_thread_channel(ranks, {.deadline = deadline, .name = "world"});
                 report.ranks[ranks.rank()] = train_rank(world, logged);
               },
               {.deadline = deadline});
  complete(report, run);
  return report;
}

}  // namespace omnibal::trainer
