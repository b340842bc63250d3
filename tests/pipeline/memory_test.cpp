// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/static_memory.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

std::int64_t bytes_at(const peak_event& moment, const std::vector<activation_bytes>& chunks) {
  std::int64_t bytes = moment.running ? chunks[*moment.running].transient : 0;
  for (std::size_t c = 0; c < chunks.size(); ++c)
    bytes += static_cast<std::int64_t>(moment.whole[c]) * chunks[c].saved +
             static_cast<std::int64_t>(moment.waiting[c]) * chunks[c].saved_for_weight_gradient;
  return bytes;
}

/// The most bytes held at one time when the operations run one by one, in a table of what each
/// micro-batch of each stage holds.
template <typename Memory>
std::int64_t replayed_peak(const std::vector<pipeline_operation>& order, bool splits_backward,
                           const Memory& memory) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::int64_t> held;
  std::int64_t peak = 0;
  const auto look = [&](std::int64_t more) {
    std::int64_t sum = more;
    for (const auto& [of, bytes] : held) sum += bytes;
    peak = std::max(peak, sum);
  };
  for (const pipeline_operation& work : order) {
    const activation_bytes bytes = memory(work);
    std::int64_t& own = held[{work.stage, work.microbatch}];
    switch (work.kind) {
      case operation_kind::forward: own = bytes.saved; break;
      case operation_kind::backward:
        look(bytes.transient);
        own = splits_backward ? bytes.saved_for_weight_gradient : 0;
        break;
      case operation_kind::weight_gradient: own = 0; break;
    }
    look(0);
  }
  return peak;
}

}  // namespace

TEST_CASE("The worst moments give the peak of every schedule, whatever its stages hold") {
  random_stream random(11);
  for (int round = 0; round < 2000; ++round) {
    schedule_shape shape{
        .kind = all_schedules[uniform_below(random, std::uint32_t{all_schedules.size()})],
        .stages = static_cast<std::size_t>(test::draw(random, 1, 5)),
        .microbatches = static_cast<std::size_t>(test::draw(random, 1, 12))};
    const schedule_capabilities& can = shape.kind.capabilities();
    if (can.most_virtual_stages > can.least_virtual_stages) {
      shape.virtual_stages = static_cast<std::size_t>(test::draw(random, 1, 3));
      shape.group_size = shape.stages + static_cast<std::size_t>(test::draw(random, 0, 3));
    }
    shape.virtual_stages =
        std::clamp(shape.virtual_stages, can.least_virtual_stages, can.most_virtual_stages);
    shape.microbatches = runnable_microbatches(shape, shape.microbatches);
    const auto device = static_cast<std::size_t>(
        test::draw(random, 0, static_cast<std::int64_t>(shape.stages) - 1));
    std::vector<activation_bytes> chunks(shape.virtual_stages);
    for (activation_bytes& chunk : chunks) {
      chunk.saved = test::draw(random, 0, 50);
      chunk.transient = test::draw(random, 0, 50);
      if (shape.splits_backward())
        chunk.saved_for_weight_gradient =
            test::draw(random, 0, round % 2 == 0 ? chunk.saved : 2 * chunk.saved + 9);
    }
    const std::vector<std::size_t> own = stages_of_devices(shape)[device];
    const auto memory = [&](const pipeline_operation& work) {
      return chunks[static_cast<std::size_t>(std::ranges::find(own, work.stage) - own.begin())];
    };
    const auto order = device_order(shape, device);
    const std::int64_t peak = replayed_peak(order, shape.splits_backward(), memory);
    REQUIRE(peak_activation(order, memory).bytes == peak);
    for (const kept_bytes kept : {kept_bytes::any, kept_bytes::within_saved}) {
      if (kept == kept_bytes::within_saved && round % 2 != 0) continue;
      const std::vector<peak_event> moments = peak_events(shape, device, kept);
      std::int64_t worst = 0;
      for (const peak_event& moment : moments) worst = std::max(worst, bytes_at(moment, chunks));
      REQUIRE(worst == peak);
      // Then planning takes a stage that has a device to itself as one knapsack; of schedules that
      // split the backward it asks how many events there are.
      const bool has_one_event =
          !shape.splits_backward() ||
          (kept == kept_bytes::within_saved && shape.kind == schedules::zero_bubble_h1{});
      if (shape.virtual_stages == 1 && has_one_event) REQUIRE(moments.size() == 1);
    }
  }
}

TEST_CASE("What B keeps until W counts before the next forward and after the last") {
  const schedule_shape shape{.kind = schedules::zero_bubble_h1{}, .stages = 2, .microbatches = 4};
  // Device 1: F0 B0 F1 B1 W0 F2 B2 W1 F3 B3 W2 W3. W0 starts with 10 + 10 kept.
  const auto memory = [](const pipeline_operation&) {
    return activation_bytes{.saved = 2, .transient = 3, .saved_for_weight_gradient = 10};
  };
  CHECK(peak_activation(device_order(shape, 1), memory).bytes == 20);
  CHECK(peak_events(shape, 1) ==
        std::vector<peak_event>{{.whole = {1}, .waiting = {1}, .running = 0},
                                {.whole = {0}, .waiting = {2}}});
  CHECK(peak_events(shape, 1, kept_bytes::within_saved).size() == 1);
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
