// SPDX-License-Identifier: Apache-2.0
/// @file
/// What layers begin … end − 1 cost as stage s of a pipeline without virtual stages: their time
/// with the cheapest recomputation that fits the stage's memory. Priced when asked for and
/// remembered, since searches touch few of the p·n² intervals, but those many times.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/exact.hpp>
#include <vector>

namespace omnibal::inline v0 {

class stage_table {
 public:
  static constexpr std::int64_t infeasible = std::numeric_limits<std::int64_t>::max();

  /// Keeps a reference: the problem must outlive the table. Throws invalid_input for schedules
  /// with virtual stages or a split backward, whose memory does not belong to one stage alone.
  explicit stage_table(const pipeline_problem& problem)
      : problem_(problem), chooser_(problem.layers), layers_(problem.layers.size()) {
    if (problem.schedule.kind != schedule_kind::gpipe &&
        problem.schedule.kind != schedule_kind::one_forward_one_backward)
      throw invalid_input("schedule", to_string(problem.schedule.kind),
                          "is not planned jointly yet; use 1f1b or gpipe");
    sum_prefixes();
    times_.assign(problem.schedule.stages * layers_ * layers_, unknown);
  }

  [[nodiscard]] std::size_t stages() const noexcept { return problem_.schedule.stages; }
  [[nodiscard]] std::size_t layers() const noexcept { return layers_; }

  /// Forward plus backward with the least recomputation that fits, or `infeasible`.
  [[nodiscard]] std::int64_t time(std::size_t stage, std::size_t begin, std::size_t end) {
    std::int64_t& time = times_[(stage * layers_ + begin) * layers_ + end - 1];
    if (time == unknown) time = price(stage, begin, end);
    return time;
  }

  /// A lower bound on time(): every layer in its fastest mode. O(1).
  [[nodiscard]] std::int64_t least_time(std::size_t begin, std::size_t end) const {
    return time_before_[end] - time_before_[begin];
  }

  /// Latency both ways of an edge after `cut` layers; 0 at either end of the chain.
  [[nodiscard]] std::int64_t latency(std::size_t cut) const {
    if (cut == 0 || cut == layers_) return 0;
    return problem_.layers[cut - 1].forward_latency + problem_.layers[cut - 1].backward_latency;
  }

  /// The modes behind time(). Precondition: it is feasible.
  [[nodiscard]] std::vector<std::size_t> modes(std::size_t stage, std::size_t begin,
                                               std::size_t end) {
    return chooser_.choose(begin, end, held(stage), activation_budget(stage, begin, end)).modes;
  }

  /// Bytes by which the leanest modes overrun the stage's memory; negative when they fit.
  [[nodiscard]] std::int64_t overrun(std::size_t stage, std::size_t begin, std::size_t end) {
    return chooser_.least_bytes(begin, end, held(stage)) - activation_budget(stage, begin, end);
  }

 private:
  static constexpr std::int64_t unknown = -1;

  void sum_prefixes() {
    for (const layer& one : problem_.layers) {
      std::int64_t extra = infeasible;
      for (const recompute_mode& mode : one.modes) extra = std::min(extra, mode.extra_time);
      time_before_.push_back(time_before_.back() + one.forward_time + one.backward_time + extra);
      bare_time_before_.push_back(bare_time_before_.back() + one.forward_time + one.backward_time);
      static_before_.push_back(static_before_.back() + one.static_bytes);
    }
  }

  [[nodiscard]] std::int64_t held(std::size_t stage) const {
    return static_cast<std::int64_t>(in_flight(problem_.schedule, stage));
  }

  [[nodiscard]] std::int64_t activation_budget(std::size_t stage, std::size_t begin,
                                               std::size_t end) const {
    if (problem_.memory_limit.empty()) return problem_.budget(stage);
    return problem_.budget(stage) - (static_before_[end] - static_before_[begin]);
  }

  [[nodiscard]] std::int64_t price(std::size_t stage, std::size_t begin, std::size_t end) {
    const recompute_choice choice =
        chooser_.least_extra(begin, end, held(stage), activation_budget(stage, begin, end));
    if (choice.status == search_status::infeasible) return infeasible;
    return bare_time_before_[end] - bare_time_before_[begin] + choice.objective;
  }

  const pipeline_problem& problem_;
  recompute_chooser chooser_;
  std::size_t layers_;
  std::vector<std::int64_t> time_before_ = {0};
  std::vector<std::int64_t> bare_time_before_ = {0};
  std::vector<std::int64_t> static_before_ = {0};
  std::vector<std::int64_t> times_;
};

}  // namespace omnibal::inline v0
