// SPDX-License-Identifier: Apache-2.0
/// @file
/// The costs of any interval of layers as a virtual stage, from prefix sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/step_times.hpp>

namespace omnibal::inline v0::detail {

/// Keeps a reference: the problem must outlive it.
class interval_costs {
 public:
  explicit interval_costs(const pipeline_problem& problem)
      : problem_(problem), step_times_(problem) {
    for (const pipeline_layer& one : problem.layers)
      before_.push_back(
          {.forward_time = before_.back().forward_time + one.forward_time,
           .backward_time = before_.back().backward_time + one.backward_time,
           .weight_gradient_time = before_.back().weight_gradient_time + one.weight_gradient_time});
  }

  /// Layers begin … end − 1 as stage j with this recomputation, without bytes.
  [[nodiscard]] stage_cost of(std::size_t j, std::size_t begin, std::size_t end,
                              std::int64_t extra) const {
    stage_cost one{
        .layers = {begin, end},
        .forward_time = before_[end].forward_time - before_[begin].forward_time,
        .backward_time = before_[end].backward_time - before_[begin].backward_time + extra,
        .weight_gradient_time =
            before_[end].weight_gradient_time - before_[begin].weight_gradient_time,
        .step_time = step_times_.time({begin, end})};
    if (!problem_.time_factor.empty())
      scale_times(one, problem_.factor(problem_.schedule.device(j)),
                  problem_.schedule.splits_backward());
    const stage_cost edge = edge_after(end);
    one.forward_latency = edge.forward_latency;
    one.backward_latency = edge.backward_latency;
    return one;
  }

  /// A stage without layers and with the latencies of the edge after `cut` layers.
  [[nodiscard]] stage_cost edge_after(std::size_t cut) const {
    if (cut == problem_.layers.size()) return {};
    return {.forward_latency = problem_.layers[cut - 1].forward_latency,
            .backward_latency = problem_.layers[cut - 1].backward_latency};
  }

 private:
  struct sums {
    std::int64_t forward_time = 0;
    std::int64_t backward_time = 0;
    std::int64_t weight_gradient_time = 0;
  };

  const pipeline_problem& problem_;
  stage_step_times step_times_;
  std::vector<sums> before_ = {{}};
};

/// The costs of the stages of one partition, while their recomputation changes. Keeps references to
/// its arguments.
class partition_costs {
 public:
  partition_costs(const interval_costs& costs, const std::vector<std::size_t>& cuts)
      : costs_(costs), cuts_(cuts) {}

  /// With these extra times. O(stages), and the cost of those whose extra is another than before.
  [[nodiscard]] const std::vector<stage_cost>& with(const std::vector<std::int64_t>& extra) {
    extra_.resize(extra.size(), not_known);
    stages_.resize(extra.size());
    for (std::size_t j = 0; j < extra.size(); ++j) {
      if (extra_[j] == extra[j]) continue;
      extra_[j] = extra[j];
      stages_[j] = costs_.of(j, cuts_[j], cuts_[j + 1], extra[j]);
    }
    return stages_;
  }

 private:
  static constexpr std::int64_t not_known = -1;

  const interval_costs& costs_;
  const std::vector<std::size_t>& cuts_;
  std::vector<std::int64_t> extra_;
  std::vector<stage_cost> stages_;
};

}  // namespace omnibal::inline v0::detail
