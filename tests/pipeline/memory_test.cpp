// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/static_memory.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

std::int64_t bytes_at(const peak_event& moment, const std::vector<activation_bytes>& chunks) {
  std::int64_t bytes = chunks[moment.running].transient;
  for (std::size_t c = 0; c < chunks.size(); ++c)
    bytes += static_cast<std::int64_t>(moment.whole[c]) * chunks[c].saved +
             static_cast<std::int64_t>(moment.waiting[c]) * chunks[c].saved_for_weight_gradient;
  return bytes;
}

}  // namespace

TEST_CASE("The worst moments give the peak of every schedule, whatever its stages hold") {
  random_stream random(11);
  for (int round = 0; round < 2000; ++round) {
    schedule_shape shape{.kind = all_schedules[static_cast<std::size_t>(test::draw(random, 0, 4))],
                         .stages = static_cast<std::size_t>(test::draw(random, 1, 5)),
                         .microbatches = static_cast<std::size_t>(test::draw(random, 1, 12))};
    if (shape.kind == schedules::interleaved{}) {
      shape.virtual_stages = static_cast<std::size_t>(test::draw(random, 1, 3));
      shape.group_size = shape.stages + static_cast<std::size_t>(test::draw(random, 0, 3));
    }
    shape.virtual_stages =
        std::max(shape.virtual_stages, shape.kind.capabilities().least_virtual_stages);
    shape.microbatches = runnable_microbatches(shape, shape.microbatches);
    const auto device = static_cast<std::size_t>(
        test::draw(random, 0, static_cast<std::int64_t>(shape.stages) - 1));
    std::vector<activation_bytes> chunks(shape.virtual_stages);
    for (activation_bytes& chunk : chunks) {
      chunk.saved = test::draw(random, 0, 50);
      chunk.transient = test::draw(random, 0, 50);
      if (shape.splits_backward())
        chunk.saved_for_weight_gradient = test::draw(random, 0, chunk.saved);
    }
    const auto memory = [&](const pipeline_operation& work) {
      return chunks[work.stage / shape.stages];
    };
    const std::vector<peak_event> moments = peak_events(shape, device);
    std::int64_t worst = 0;
    for (const peak_event& moment : moments) worst = std::max(worst, bytes_at(moment, chunks));
    REQUIRE(worst == peak_activation(device_order(shape, device), memory).bytes);
    // Planning treats a stage that has a device to itself as one knapsack because of this.
    if (shape.virtual_stages == 1) REQUIRE(moments.size() == 1);
  }
}

TEST_CASE("Tied layers count once on a device, the largest of them") {
  pipeline_problem problem{.layers = std::vector<pipeline_layer>(5)};
  for (std::size_t l = 0; l < 5; ++l) problem.layers[l].static_bytes = std::int64_t{1} << l;
  CHECK(static_memory(problem).bytes({0, 5}) == 31);
  problem.tied = {{0, 4}, {2, 4}};
  const static_memory fixed(problem);
  CHECK(fixed.bytes({0, 5}) == 2 + 8 + 16);
  CHECK(fixed.bytes({0, 3}) == 2 + 4);
  CHECK(fixed.bytes({1, 4}) == 14);
  CHECK(fixed.bytes({3, 3}) == 0);
  const std::vector<layer_range> chunks = {{0, 1}, {2, 4}};
  CHECK(fixed.bytes(chunks) == 4 + 8);
}

TEST_CASE("Ties between devices are named") {
  const pipeline_problem problem{
      .schedule = {.kind = schedules::interleaved{}, .stages = 2, .virtual_stages = 2},
      .layers = std::vector<pipeline_layer>(4),
      .tied = {{0, 2}, {0, 3}}};
  const pipeline_plan plan{.cuts = {0, 1, 2, 3, 4}, .modes = {0, 0, 0, 0}};
  CHECK(split_ties(problem, plan) == std::vector<layer_pair>{{0, 3}});
}
