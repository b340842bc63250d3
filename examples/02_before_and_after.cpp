// SPDX-License-Identifier: Apache-2.0
// Plans the training of InternVL-Chat-1.5 on 64 GPUs and draws one step of one rank before and
// after: 02_before_and_after [picture.svg]
#include <cstdio>
#include <fstream>
#include <omnibal/omnibal.hpp>
#include <string>
#include <vector>

#include "timeline_svg.hpp"

using namespace omnibal;

namespace {

/// Samples of 1 to 5 tiles of 256 tokens each and some text, as instruction tuning has them.
std::vector<vision_language_sample> some_samples(std::size_t count) {
  random_stream random(1);
  std::vector<vision_language_sample> samples;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t tiles = uniform_below(random, 3) == 0 ? 1 + uniform_below(random, 4) : 5;
    samples.push_back({tiles, 256 * tiles + 40 + uniform_below(random, 200)});
  }
  return samples;
}

/// The first step of rank 0 under a column's plan.
examples::timeline first_step(const std::string& title, const run_column& column,
                              const std::vector<layer_cost>& chain) {
  const auto stages = stage_models(chain, column.plan);
  pipeline_plan bare = column.plan;
  bare.modes.assign(bare.modes.size(), 0);
  const auto stages_without_recomputation = stage_models(chain, bare);
  const auto microbatches = column.data.load.assignment[0];
  const operation_graph graph({.stages = stages.size(), .microbatches = microbatches.size()});
  microbatch_times times;
  times.price(stages, column.data.load, microbatches, microbatches.size());
  microbatch_times times_without;
  times_without.price(stages_without_recomputation, column.data.load, microbatches,
                      microbatches.size());

  std::vector<std::int64_t> ends;
  (void)simulate(graph, times, ends);
  examples::timeline drawn{title, stages.size(), {}};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const auto& node = graph.nodes()[i];
    const std::int64_t duration = times.duration(node.work);
    drawn.bars.push_back({.device = node.device,
                          .begin = ends[i] - duration,
                          .end = ends[i],
                          .recomputed = duration - times_without.duration(node.work),
                          .work = node.work});
  }
  return drawn;
}

std::string seconds(const examples::timeline& drawn) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(drawn.end()) * 1e-9);
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const auto samples = some_samples(6000);
  const auto chain =
      price_layers(model_presets()[0], device_presets()[0],
                   {.tensor_parallel = 2, .data_parallel = 8, .shard_optimizer = true});
  constexpr std::int64_t gibibyte = std::int64_t{1} << 30;
  const run_plan plan = plan_run({.samples = samples,
                                  .chain = chain,
                                  .stages = 4,
                                  .data_parallel = 8,
                                  .global_batch = 256,
                                  .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte}});
  auto before = first_step("", plan.unbalanced, chain);
  auto after = first_step("", plan.planned, chain);
  before.title =
      "before: random micro-batches, layers split by parameters, everything recomputed, " +
      seconds(before);
  after.title =
      "after: as many samples, packed, partitioned and recomputed by plan, " + seconds(after);
  std::printf("%s\n%s\nan epoch is %.2f times as fast\n", before.title.c_str(), after.title.c_str(),
              plan.unbalanced.epoch_seconds() / plan.planned.epoch_seconds());
  if (argc > 1) std::ofstream(argv[1]) << examples::timelines_svg({before, after});
}
