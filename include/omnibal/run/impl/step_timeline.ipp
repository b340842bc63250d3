// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/timeline.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/step_timeline.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE timeline step_timeline(const run_strategy& strategy,
                                      std::span<const layer_cost> chain, std::size_t step,
                                      std::size_t rank, weight_gradient_recompute recompute_for_w) {
  const epoch_load& load = strategy.data.load;
  const auto microbatches = load.assignment[step * load.ranks + rank];
  schedule_shape shape = strategy.schedule;
  shape.microbatches = runnable_microbatches(shape, microbatches.size());
  if (microbatches.empty()) return {.devices = shape.stages};

  const std::vector<layer_cost> layers =
      chain_under(strategy.schedule.kind, chain, recompute_for_w);
  const auto times_with = [&](const pipeline_plan& plan) {
    microbatch_times times;
    times.evaluate(stage_models(layers, plan), load, microbatches, shape.microbatches);
    return times;
  };
  pipeline_plan without_recomputation = strategy.plan;
  const workload mean = load.mean_microbatch();
  for (std::size_t l = 0; l < layers.size(); ++l)
    without_recomputation.modes[l] = bare_mode(layers[l], mean);
  const microbatch_times times = times_with(strategy.plan);
  const microbatch_times least = times_with(without_recomputation);
  return simulate_timeline(operation_graph(shape), times, [&](const pipeline_operation& work) {
    return times.duration(work) - least.duration(work);
  });
}

}  // namespace omnibal::inline v0
