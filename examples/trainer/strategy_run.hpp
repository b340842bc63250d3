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

#include "machine.hpp"
#include "trace.hpp"
#include "training.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer {

/// Shares of the ranks' time without operations, over all steps.
struct bubble_ratios {
  double predicted = 0;  ///< By the plan, with the costs it was made with.
  double replayed = 0;   ///< With what ranks computed in operations and messages.
  double measured = 0;   ///< As it was: with the waiting of ranks that share cores.
};

struct strategy_report {
  strategy how = strategy::planned;
  std::vector<rank_report> ranks = {};
  std::vector<std::vector<step_log>> logs = {};  ///< Per rank, of the last steps.
  std::uint64_t first_logged = 0;                ///< The first of these steps.
  std::vector<double> step_seconds = {};         ///< Of the slowest rank.
  double seconds = 0;                            ///< Of all steps.
  double replayed_seconds = 0;                   ///< By what ranks computed and the order alone.
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

/// The same over channels that `open` makes: it is called with the thread_communicator of each
/// rank, on the thread and the device of the rank.
template <typename Open>
[[nodiscard]] strategy_report run_on_threads(const training_run& run, strategy how,
                                             std::chrono::milliseconds deadline, const Open& open);

/// Measures a run as it goes on: a step when all ranks have done it, of which then remain sums, a
/// time, and for the last steps of the run the logs. The run outlives it.
class run_record {
 public:
  explicit run_record(const training_run& run);
  void add(const step_report& step);
  /// What was measured, without the reports of the ranks.
  [[nodiscard]] strategy_report report() &&;

 private:
  /// Sums over steps of makespans and of the ranks' work.
  struct worked_time {
    double makespan = 0;
    double busy = 0;

    void add(const item_simulation& step);
    [[nodiscard]] double bubble(std::size_t ranks) const;
  };

  void keep(const step_report& step);

  const training_run* run_;
  worked_time predicted_ = {};
  worked_time replayed_ = {};
  worked_time measured_ = {};
  double skew_ = 0;
  std::int64_t tokens_ = 0;
  strategy_report report_ = {};
};

/// The tokens of the samples of a step, without padding.
[[nodiscard]] std::int64_t tokens_of_step(const training_run& run, std::uint64_t step);

/// The operations of the slowest replica over their mean, by the predicted times.
[[nodiscard]] double skew_of_step(const execution_plan& plan, std::size_t step);

// ---- implementation ----------------------------------------------------------------------------

inline void run_record::worked_time::add(const item_simulation& step) {
  makespan += static_cast<double>(step.makespan);
  busy += static_cast<double>(std::accumulate(step.busy.begin(), step.busy.end(), std::int64_t{0}));
}

inline double run_record::worked_time::bubble(std::size_t ranks) const {
  return makespan == 0 ? 0 : 1 - busy / (static_cast<double>(ranks) * makespan);
}

inline run_record::run_record(const training_run& run) : run_(&run) {
  report_.logs.resize(run.planned.plan.ranks());
}

inline void run_record::add(const step_report& step) {
  const execution_plan& plan = run_->planned.plan;
  const replayed_step replayed = replay(plan, step.step, detail::durations_of(step.logs));
  predicted_.add(replayed.predicted);
  replayed_.add(replayed.measured);
  for (const step_log& log : step.logs) measured_.busy += static_cast<double>(log.busy());
  measured_.makespan += static_cast<double>(step.time);
  report_.step_seconds.push_back(static_cast<double>(step.time) * 1e-9);
  skew_ += skew_of_step(plan, step.step);
  tokens_ += tokens_of_step(*run_, step.step);
  keep(step);
}

inline void run_record::keep(const step_report& step) {
  report_.first_logged = step.step + 1 - std::min(run_->kept_logs, report_.step_seconds.size());
  for (std::size_t rank = 0; rank < step.logs.size(); ++rank) {
    std::vector<step_log>& logs = report_.logs[rank];
    logs.push_back(step.logs[rank]);
    if (logs.size() > run_->kept_logs) logs.erase(logs.begin());
  }
}

inline strategy_report run_record::report() && {
  const std::size_t ranks = report_.logs.size();
  report_.bubble = {predicted_.bubble(ranks), replayed_.bubble(ranks), measured_.bubble(ranks)};
  report_.seconds = measured_.makespan * 1e-9;
  report_.replayed_seconds = replayed_.makespan * 1e-9;
  report_.predicted_seconds = predicted_.makespan * 1e-9;
  if (const std::size_t steps = report_.step_seconds.size(); steps > 0)
    report_.skew = skew_ / static_cast<double>(steps);
  if (report_.seconds > 0)
    report_.tokens_per_second = static_cast<double>(tokens_) / report_.seconds;
  return std::move(report_);
}

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

template <typename Open>
strategy_report run_on_threads(const training_run& run, strategy how,
                               std::chrono::milliseconds deadline, const Open& open) {
  const std::size_t count = run.planned.plan.ranks();
  std::vector<rank_report> reports(count);
  run_record record(run);
  training_run recorded = run;
  recorded.after_step = [&](std::size_t rank, const step_report& step) {
    if (rank == 0) record.add(step);
    if (run.after_step) run.after_step(rank, step);
  };
  run_as_ranks(count,
               [&](thread_communicator& ranks) {
                 use_device(ranks.rank());
                 auto world = open(ranks);
                 reports[ranks.rank()] = train_rank(world, recorded);
               },
               {.deadline = deadline});
  strategy_report report = std::move(record).report();
  report.how = how;
  report.ranks = std::move(reports);
  return report;
}

inline strategy_report run_on_threads(const training_run& run, strategy how,
                                      std::chrono::milliseconds deadline) {
  return run_on_threads(run, how, deadline, [&](thread_communicator& ranks) {
    return open_thread_channel(ranks, {.deadline = deadline, .name = "world"});
  });
}

}  // namespace omnibal::trainer
