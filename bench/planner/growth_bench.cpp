// SPDX-License-Identifier: Apache-2.0
// How the recurrences of joint planning grow: one quantity at a time, the others kept. Layers are
// distinct, which is the hardest case for the choice of modes.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/planner/plan_jointly.hpp>

using namespace omnibal;

namespace {

struct size {
  std::int64_t layers = 64;
  std::int64_t stages = 8;
  std::int64_t modes = 3;
  std::int64_t byte_bits = 24;
};

/// A layer of about 2^20 bytes that keeps less the more time it spends.
pipeline_layer distinct_layer(random_stream& random, std::int64_t modes) {
  const auto draw = [&](std::int64_t least, std::uint32_t span) {
    return least + uniform_below(random, span);
  };
  pipeline_layer one{.forward_time = draw(5'000'000, 5'000'000),
                     .static_bytes = draw(1 << 18, 1 << 17)};
  one.backward_time = 2 * one.forward_time;
  const std::int64_t all = draw(1 << 20, 1 << 20);
  one.modes = {{.saved_bytes = all}};
  for (std::int64_t m = 1; m < modes; ++m)
    one.modes.push_back({.extra_time = one.forward_time * m * m / (modes * modes),
                         .saved_bytes = all * (modes - m) / modes,
                         .transient_bytes = all * m / modes});
  return one;
}

/// The same problem in units in which a device's memory is 2^bits of them.
void resolve(pipeline_problem& problem, std::int64_t bits) {
  const std::int64_t limit = problem.memory_limit.front();
  const auto in_units = [&](std::int64_t& bytes) {
    bytes = static_cast<std::int64_t>((static_cast<wide_integer>(bytes) << bits) / limit);
  };
  for (pipeline_layer& one : problem.layers) {
    in_units(one.static_bytes);
    for (recompute_mode& mode : one.modes)
      for (std::int64_t* bytes : {&mode.saved_bytes, &mode.transient_bytes}) in_units(*bytes);
  }
  for (std::int64_t& bytes : problem.memory_limit) in_units(bytes);
}

pipeline_problem problem_of_size(const size& wanted) {
  random_stream random(5);
  pipeline_problem problem{
      .schedule = {.stages = static_cast<std::size_t>(wanted.stages), .microbatches = 64}};
  std::int64_t kept = 0;
  for (std::int64_t l = 0; l < wanted.layers; ++l) {
    problem.layers.push_back(distinct_layer(random, wanted.modes));
    kept += problem.layers.back().modes.front().saved_bytes;
  }
  // One mode cannot recompute; with more, the first stages must and the last need not.
  problem.memory_limit.assign(problem.schedule.stages, (wanted.modes == 1 ? 4 : 1) * kept * 6 / 10);
  resolve(problem, wanted.byte_bits);
  return problem;
}

void plan(benchmark::State& state, const any_objective& objective, std::int64_t size::*varied) {
  size wanted;
  wanted.*varied = state.range(0);
  const pipeline_problem problem = problem_of_size(wanted);
  joint_result found;
  for (auto _ : state) found = plan_jointly(problem, objective);
  state.SetLabel(std::string(to_string(found.status)));
}

}  // namespace

#define GROWTH(objective)                                                                   \
  BENCHMARK_CAPTURE(plan, objective##_layers, objectives::objective{}, &size::layers)       \
      ->Arg(16)                                                                             \
      ->Arg(32)                                                                             \
      ->Arg(64)                                                                             \
      ->Arg(96)                                                                             \
      ->Arg(128)                                                                            \
      ->Unit(benchmark::kMillisecond);                                                      \
  BENCHMARK_CAPTURE(plan, objective##_stages, objectives::objective{}, &size::stages)       \
      ->RangeMultiplier(2)                                                                  \
      ->Range(2, 32)                                                                        \
      ->Unit(benchmark::kMillisecond);                                                      \
  BENCHMARK_CAPTURE(plan, objective##_modes, objectives::objective{}, &size::modes)         \
      ->DenseRange(1, 4)                                                                    \
      ->Unit(benchmark::kMillisecond);                                                      \
  BENCHMARK_CAPTURE(plan, objective##_byte_bits, objectives::objective{}, &size::byte_bits) \
      ->DenseRange(8, 32, 8)                                                                \
      ->Unit(benchmark::kMillisecond)

GROWTH(bottleneck);
GROWTH(closed_form);
GROWTH(period);
