// SPDX-License-Identifier: Apache-2.0
/// @file
/// A line that shows how a run goes: loss, tokens per second, the share of the machine's arithmetic
/// that the model uses, the bubble, the skew of the replicas, the peak of the memory, the time
/// left.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>

#include <unistd.h>

#include "item_times.hpp"
#include "machine.hpp"
#include "report.hpp"
#include "strategy_run.hpp"

namespace omnibal::trainer {

/// Floating-point operations per second of matrix products on one rank that has a core to itself,
/// measured within about 30 ms.
[[nodiscard]] inline double measured_rate() {
  constexpr std::size_t side = 256;
  machine on;
  const matrix<float> left(on, side, side);
  const matrix<float> right(on, side, side);
  matrix<float> out(on, side, side);
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  const std::int64_t end = steady_nanoseconds() + 30'000'000;
  while (steady_nanoseconds() < end) {
    const std::int64_t begin = steady_nanoseconds();
    product<float>(on, out, {left}, {right});
    least = std::min(least, steady_nanoseconds() - begin);
  }
  return 2.0 * side * side * side / (static_cast<double>(std::max<std::int64_t>(least, 1)) * 1e-9);
}

/// Shows every step on a terminal, in one line; elsewhere a line for each twentieth of the run.
class progress_line {
 public:
  progress_line(const training_run& run, std::int64_t memory, bool wanted)
      : run_(run), memory_(memory), on_terminal_(::isatty(STDERR_FILENO) == 1), wanted_(wanted) {
    if (is_shown()) rate_ = measured_rate();
  }
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;
  ~progress_line() {
    if (on_terminal_ && is_shown()) std::fputc('\n', stderr);
  }

  void show(const step_report& step) {
    seconds_ = 0.9 * seconds_ + 0.1 * static_cast<double>(step.time) * 1e-9;
    if (steps_++ == 0) seconds_ = static_cast<double>(step.time) * 1e-9;
    const std::uint64_t steps = run_.planned.plan.steps();
    const std::uint64_t each = std::max<std::uint64_t>(1, steps / 20);
    if (!is_shown() || (!on_terminal_ && (step.step + 1) % each != 0)) return;
    std::fprintf(stderr, "%s%s%s", on_terminal_ ? "\r" : "", line(step).c_str(),
                 on_terminal_ ? "\x1b[K" : "\n");
  }

 private:
  [[nodiscard]] bool is_shown() const { return on_terminal_ || wanted_; }

  [[nodiscard]] std::string line(const step_report& step) const {
    const execution_plan& plan = run_.planned.plan;
    const double tokens = static_cast<double>(tokens_of_step(run_, step.step));
    workload work;
    for (std::size_t r = 0; r < plan.replicas; ++r)
      for (const std::uint32_t pack : plan.assignment[step.step * plan.replicas + r])
        work = work + plan.workloads[pack];
    const double used =
        model_operations(run_.model, work) / (seconds_ * rate_ * static_cast<double>(plan.ranks()));
    const auto left =
        static_cast<long>(seconds_ * static_cast<double>(plan.steps() - step.step - 1));
    char text[256];
    std::snprintf(text, sizeof(text),
                  "step %llu/%llu  loss %.4f  %.0f tokens/s  %.0f %% of FLOPs  bubble %.0f %%  "
                  "skew %.2f  %s  %ld:%02ld left",
                  static_cast<unsigned long long>(step.step + 1),
                  static_cast<unsigned long long>(plan.steps()), step.loss, tokens / seconds_,
                  100 * used, 100 * (1 - step.busy), skew_of_step(plan, step.step),
                  memory().c_str(), left / 60, left % 60);
    return text;
  }

  /// The predicted peak of all ranks, as a share of the budget where there is one.
  [[nodiscard]] std::string memory() const {
    const std::int64_t peak = std::ranges::max(run_.planned.plan.peak_memory);
    const std::string mebibytes = std::to_string(peak >> 20) + " MiB";
    if (memory_ >= training_shape{}.memory) return mebibytes;
    return mebibytes + ", " + std::to_string(100 * peak / memory_) + " % of the budget";
  }

  const training_run& run_;
  std::int64_t memory_;
  bool on_terminal_;
  bool wanted_;
  double rate_ = 1;
  double seconds_ = 0;  // of a step, smoothed
  std::uint64_t steps_ = 0;
};

}  // namespace omnibal::trainer
