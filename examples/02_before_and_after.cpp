// SPDX-License-Identifier: Apache-2.0
// Plans the training of InternVL-Chat-1.5 (6+20B) on 64 GPUs for the length table in examples/data,
// and draws one step of one rank before and after. It is the run of README.md and of the demo, made
// by the library in place of the command: 02_before_and_after lengths.json [picture.svg]
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <omnibal/cost.hpp>
#include <omnibal/interop.hpp>
#include <omnibal/run.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

// Reads [{"vit_num": 3, "token_num": 892}, …], the form of that table. The command also
// reads other layouts and formats.
std::vector<omnibal::vision_language_sample> read_lengths(const char* path) {
  std::vector<omnibal::vision_language_sample> samples;
  std::FILE* file = std::fopen(path, "r");
  claim(file != nullptr, "the first argument is the path of a length table");
  long long tiles = 0, tokens = 0;
  while (std::fscanf(file, "%*[^:]:%lld%*[^:]:%lld", &tiles, &tokens) == 2)
    samples.push_back({tiles, tokens});
  std::fclose(file);
  claim(!samples.empty(), "the table has samples");
  return samples;
}

std::string times_of(const omnibal::timeline& step, const omnibal::run_strategy& run) {
  char text[64];
  std::snprintf(text, sizeof text, "this step %.1f s, the epoch %.1f min",
                static_cast<double>(step.end()) * 1e-9, run.epoch_seconds() / 60);
  return text;
}

int main(int argc, char** argv) {
  const auto samples = read_lengths(argc > 1 ? argv[1] : "examples/data/lengths.json");

  // What every layer costs in time and bytes, as a function of the micro-batch.
  const auto chain = omnibal::cost_layers(omnibal::model_presets()[0], omnibal::device_presets()[0],
                                          {.tensor_parallel = 2, .data_parallel = 8});
  // Eight ranks of four pipeline stages, each of two tensor-parallel GPUs with 80 GiB, of which
  // 6 GiB are reserved for the libraries.
  constexpr std::int64_t gibibyte = std::int64_t{1} << 30;
  const omnibal::run_result plan =
      omnibal::plan_run({.samples = samples,
                         .chain = chain,
                         .stages = 4,
                         .data_parallel = 8,
                         .global_batch = 256,
                         .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte}});

  auto before = omnibal::step_timeline(plan.unbalanced, chain);
  auto after = omnibal::step_timeline(plan.planned, chain);
  before.title =
      "before: random micro-batches, layers split by parameters, everything recomputed; " +
      times_of(before, plan.unbalanced);
  after.title = "after: as many samples, packed, partitioned and recomputed by plan; " +
                times_of(after, plan.planned);
  const double gain = plan.unbalanced.epoch_seconds() / plan.planned.epoch_seconds();
  std::printf("%s\n%s\n", before.title.c_str(), after.title.c_str());
  std::printf("planned runs the epoch %.2f times as fast as unbalanced\n", gain);
  if (argc > 2) std::ofstream(argv[2]) << omnibal::timelines_svg(std::vector{before, after});

  claim(gain > 2, "balance makes the epoch more than twice as fast");
  claim(plan.planned.fits, "the plan stays within the memory");
  claim(plan.planned.epoch.time >= plan.bound, "the bound is below the plan");
}
