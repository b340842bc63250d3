// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/message_order.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/execution_program.hpp>

#include "../catch.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Durations drawn for every operation; a transfer takes a tenth of a forward.
struct drawn_times {
  std::size_t microbatches;
  std::vector<std::int64_t> durations;

  drawn_times(const schedule_shape& shape, std::uint32_t seed) : microbatches(shape.microbatches) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < shape.total_stages() * microbatches; ++i)
      durations.push_back(700 + static_cast<std::int64_t>(random() % 600));
  }
  [[nodiscard]] std::int64_t duration(const pipeline_operation& work) const {
    return durations[work.stage * microbatches + work.microbatch];
  }
  [[nodiscard]] static std::int64_t latency(const pipeline_operation&) { return 100; }
};

std::vector<std::vector<execution_item>> joined(const split_items& split) {
  std::vector<std::vector<execution_item>> devices;
  for (std::size_t d = 0; d < split.turns.size(); ++d)
    devices.push_back(items_of(split.lanes, split.turns[d], d));
  return devices;
}

}  // namespace

TEST_CASE("the lanes of a schedule do not depend on times, and programs are rebuilt exactly") {
  for (const any_schedule& kind : all_schedules)
    for (const std::size_t p : {1U, 2U, 5U})
      for (std::size_t v = 1; v <= 3; ++v) {
        const schedule_capabilities& can = kind.capabilities();
        if (v < can.least_virtual_stages || v > can.most_virtual_stages) continue;
        const schedule_shape shape{
            .kind = kind, .stages = p, .virtual_stages = v, .microbatches = 2 * p};
        const operation_graph graph(shape);
        const auto first = message_order(graph, drawn_times(shape, 1));
        const split_items split = split_into_lanes(9, first);
        INFO(kind.name() << " p " << p << " v " << v);
        CHECK(split.lanes.microbatches == 9);
        CHECK(joined(split) == first);
        for (std::uint32_t seed = 2; seed < 5; ++seed) {
          const auto other = message_order(graph, drawn_times(shape, seed));
          const split_items same = split_into_lanes(9, other);
          CHECK(same.lanes == split.lanes);
          CHECK(joined(same) == other);
        }
      }
}

TEST_CASE("lanes written out: operations, sends, and receives by peer") {
  const std::vector<std::vector<execution_item>> devices = {
      {{item_kind::receive_activation, 2, 0, 7},
       {item_kind::forward, 2, 0},
       {item_kind::send_activation, 2, 0, 4},
       {item_kind::receive_gradient, 2, 0, 4},
       {item_kind::receive_activation, 2, 1, 7},
       {item_kind::backward, 2, 0},
       {item_kind::step, 2}}};
  const split_items split = split_into_lanes(2, devices);
  CHECK(split.turns == std::vector<std::string>{"3012300"});
  const auto& lanes = split.lanes.devices[0];
  REQUIRE(lanes.size() == 4);
  CHECK(lanes[0].size() == 3);
  CHECK(lanes[1].size() == 1);
  CHECK(lanes[2] == std::vector{devices[0][3]});
  CHECK(lanes[3] == std::vector{devices[0][0], devices[0][4]});
  CHECK(joined(split) == devices);
}

TEST_CASE("more peers than digits are taken apart and joined too") {
  std::vector<std::vector<execution_item>> devices(1);
  for (std::uint32_t peer = 60; peer > 0; --peer)
    devices[0].push_back({item_kind::receive_gradient, 0, peer % 3, peer});
  const split_items split = split_into_lanes(3, devices);
  CHECK(split.lanes.devices[0].size() == 36);
  CHECK(joined(split) == devices);
}

TEST_CASE("turns that do not take every item once are refused") {
  const execution_lanes lanes{
      .microbatches = 1,
      .devices = {{{{item_kind::forward}, {item_kind::backward}}, {{item_kind::send_gradient}}}}};
  CHECK(items_of(lanes, "001", 0).size() == 3);
  const auto refused = [&](const char* turns, const char* says) {
    CHECK_THROWS_WITH(items_of(lanes, turns, 0), ContainsSubstring(says));
  };
  refused("002", "turns[2] = 2: is no lane");
  refused("00A", "turns[2] = A: is no lane");
  refused("000", "turns[2] = 0: takes more items than the lane has");
  refused("01", "backward of stage 0, micro-batch 0 is missing");
  refused("", "forward of stage 0, micro-batch 0 is missing");
}
