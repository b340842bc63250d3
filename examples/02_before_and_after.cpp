// SPDX-License-Identifier: Apache-2.0
// Plans the training of InternVL-Chat-1.5 on 64 GPUs and draws one step of one rank before and
// after: 02_before_and_after [picture.svg]
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <omnibal/omnibal.hpp>

#include "step_timeline.hpp"
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
  auto before = examples::step_timeline(plan.unbalanced, chain);
  auto after = examples::step_timeline(plan.planned, chain);
  before.title =
      "before: random micro-batches, layers split by parameters, everything recomputed, " +
      examples::seconds_text(before);
  after.title = "after: as many samples, packed, partitioned and recomputed by plan, " +
                examples::seconds_text(after);
  std::printf("%s\n%s\nan epoch is %.2f times as fast\n", before.title.c_str(), after.title.c_str(),
              plan.unbalanced.epoch_seconds() / plan.planned.epoch_seconds());
  if (argc > 1) std::ofstream(argv[1]) << examples::timelines_svg({before, after});
}
