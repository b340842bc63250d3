// SPDX-License-Identifier: Apache-2.0
// Fits cost models to measured layers and plans pipeline stages with them. The
// measurements are synthetic here, on a device whose vision layers run at half the speed that the
// library's preset assumes; a real profile has the same form (docs/calibration.md).
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <omnibal/cost.hpp>
#include <omnibal/planner.hpp>
#include <omnibal/run.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

constexpr omnibal::workload mean_batch{.tiles = 4, .tokens = 1500, .squared_tokens = 800'000};

// One row per layer kind and workload: what the preset predicts, times `slower`, with errors
// of 1 %.
void measure(const omnibal::layer_cost& layer, const char* kind, double slower,
             std::vector<omnibal::measured_layer>& rows) {
  for (int i = 0; i < 12; ++i) {
    const std::int64_t tiles = 1 + i % 4;
    const std::int64_t tokens = 300 + 700 * (i % 5) + 10 * i;
    const omnibal::workload work{tiles, tokens, tokens * tokens / (1 + i % 3)};
    const double factor = slower * (i % 2 == 0 ? 1.01 : 0.99);
    rows.push_back({.name = kind,
                    .work = work,
                    .forward_time = factor * static_cast<double>(layer.forward_time.of(work)),
                    .backward_time = factor * static_cast<double>(layer.backward_time.of(work))});
  }
}

// The time of a step of a plan under the costs of a problem, in milliseconds.
double step_time(const omnibal::pipeline_problem& problem, const omnibal::pipeline_plan& plan) {
  const auto stages = omnibal::stage_costs(problem, plan);
  return static_cast<double>(omnibal::makespan(problem.schedule, stages)) * 1e-6;
}

int main() {
  omnibal::chain_problem question{
      .model = omnibal::model_presets()[0],  // InternVL-Chat-1.5 (6+20B)
      .device = omnibal::device_presets()[0],
      .setup = {.tensor_parallel = 2, .data_parallel = 8, .shard_optimizer = true}};
  const std::vector<omnibal::layer_cost> predicted = omnibal::cost_chain(question).chain;
  std::vector<omnibal::measured_layer> rows;
  for (const omnibal::layer_cost& layer : predicted) {
    if (layer.name == "vision0") measure(layer, "vision", 2.0, rows);
    if (layer.name == "language0") measure(layer, "language", 1.0, rows);
  }

  question.profile = omnibal::fit_profile(rows, 2);
  const std::vector<omnibal::layer_fit>& fits = question.profile->fits;
  for (const omnibal::layer_fit& fit : fits)
    std::printf("%s: forward of a mean micro-batch %.2f ms, fitted within %.1f %%\n",
                fit.name.c_str(), fit.forward_time->of(mean_batch) * 1e-6,
                100 * fit.forward_time->largest_residual);
  const omnibal::chain_costs measured = omnibal::cost_chain(question);
  std::printf("%zu layers have predicted costs, since they were not measured\n",
              measured.analytic.size());

  const omnibal::schedule_shape schedule{.stages = 4, .microbatches = 16};
  const omnibal::memory_setup memory{.limit = std::int64_t{80} << 30};
  const auto believed = omnibal::problem_of(predicted, schedule, mean_batch, mean_batch, memory);
  const auto actual = omnibal::problem_of(measured.chain, schedule, mean_batch, mean_batch, memory);
  const auto objective = omnibal::objectives::bottleneck{};
  const auto by_preset = omnibal::plan_jointly(believed, objective).plan;
  const auto by_profile = omnibal::plan_jointly(actual, objective).plan;
  for (const auto& plan : {by_preset, by_profile}) {
    std::printf("layers of the stages:");
    for (std::size_t s = 0; s < 4; ++s) std::printf(" %zu", plan.cuts[s + 1] - plan.cuts[s]);
    std::printf(", %.0f ms per step on this device\n", step_time(actual, plan));
  }

  for (const omnibal::layer_fit& fit : fits)
    claim(fit.forward_time->largest_residual < 0.02, "fits are within the errors of measurement");
  const double vision = fits[0].forward_time->of(mean_batch);
  claim(std::abs(vision / static_cast<double>(predicted[0].forward_time.of(mean_batch)) - 2) < 0.02,
        "the fit shows that vision layers take twice as long");
  claim(step_time(actual, by_profile) < step_time(actual, by_preset),
        "a plan by measured costs is faster on the device than one by presets");
}
