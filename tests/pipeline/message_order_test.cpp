// SPDX-License-Identifier: Apache-2.0
// Orders of messages under rendezvous: that of message_order() runs to the end for all schedules
// and any durations; the orders that come naturally deadlock in the same model.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/message_order.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/simulate_items.hpp>

#include "../catch.hpp"
#include "natural_order.hpp"

using namespace omnibal;

namespace {

using test::as_operations_come;
using test::programs;

/// Durations of every operation, and of transfers as a share of a forward; those of the last
/// micro-batches, which are empty, are 0.
struct random_times {
  schedule_shape shape;
  std::size_t microbatches;
  std::size_t real;
  bool splits;
  std::vector<std::int64_t> forwards = {};

  random_times(const schedule_shape& of, std::size_t empty, std::uint32_t seed)
      : shape(of),
        microbatches(shape.microbatches),
        real(shape.microbatches - empty),
        splits(shape.splits_backward()) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < shape.total_stages() * microbatches; ++i)
      forwards.push_back(700 + static_cast<std::int64_t>(random() % 600));
  }
  std::int64_t duration(const pipeline_operation& work) const {
    if (work.microbatch >= real) return 0;
    const std::int64_t one = forwards[work.stage * microbatches + work.microbatch];
    return work.kind == operation_kind::backward && !splits ? 2 * one : one;
  }
  std::int64_t latency(const pipeline_operation& work) const {
    if (work.kind == operation_kind::weight_gradient || work.microbatch >= real) return 0;
    const bool forward = work.kind == operation_kind::forward;
    if (work.stage == (forward ? 0 : shape.total_stages() - 1)) return 0;
    const std::size_t producer = forward ? work.stage - 1 : work.stage + 1;
    return shape.device(producer) == shape.device(work.stage) ? 0 : transfer;
  }
  static constexpr std::int64_t transfer = 100;
};

/// The durations of items: those of their operations, the latency for messages.
std::vector<std::vector<std::int64_t>> durations_of(const programs& ranks,
                                                    const random_times& times) {
  std::vector<std::vector<std::int64_t>> durations;
  for (const auto& items : ranks) {
    durations.emplace_back();
    for (const execution_item& item : items)
      durations.back().push_back(is_operation(item.kind)
                                     ? times.duration({static_cast<operation_kind>(item.kind),
                                                       item.stage, item.microbatch})
                                 : item.microbatch < times.real ? random_times::transfer
                                                                : 0);
  }
  return durations;
}

item_simulation run(const programs& ranks, const random_times& times,
                    item_queues queues = item_queues::two) {
  const auto durations = durations_of(ranks, times);
  return simulate_items(
      {.devices = ranks.size(), .ranks = ranks, .durations = durations, .queues = queues});
}

/// Every schedule with 1 to 3 virtual stages, p devices and m micro-batches, where it has them.
void add_shapes(std::size_t p, std::size_t m, std::vector<schedule_shape>& shapes) {
  for (const any_schedule& kind : all_schedules)
    for (std::size_t v = 1; v <= 3; ++v) {
      const schedule_capabilities& can = kind.capabilities();
      if (v < can.least_virtual_stages || v > can.most_virtual_stages) continue;
      schedule_shape shape{.kind = kind, .stages = p, .virtual_stages = v};
      shape.microbatches = runnable_microbatches(shape, m);
      shapes.push_back(shape);
    }
}

/// Sizes of all schedules: p from 1 to 8, v from 1 to 3, m from 1 to 5 p.
std::vector<schedule_shape> all_shapes() {
  std::vector<schedule_shape> shapes;
  for (std::size_t p = 1; p <= 8; ++p)
    for (std::size_t m = 1; m <= 5 * p; ++m) add_shapes(p, m, shapes);
  return shapes;
}

/// The sizes in the tables of docs/execution.md.
std::vector<schedule_shape> documented_shapes() {
  std::vector<schedule_shape> shapes;
  for (const std::size_t p : {2U, 3U, 4U, 8U})
    for (const std::size_t m : {std::size_t{1}, p, p + 1, 2 * p, 5 * p}) add_shapes(p, m, shapes);
  return shapes;
}

}  // namespace

TEST_CASE(
    "no schedule deadlocks in the order of messages, whatever the durations were taken to be") {
  for (const schedule_shape& shape : all_shapes()) {
    const operation_graph graph(shape);
    const std::size_t empty = shape.microbatches > 2 ? shape.microbatches / 3 : 0;
    const random_times times(shape, empty, 1);
    const programs ranks = message_order(graph, times);
    INFO(shape.kind.name() << " p " << shape.stages << " v " << shape.virtual_stages << " m "
                           << shape.microbatches);
    const item_simulation step = run(ranks, times);
    CHECK(step.stuck.empty());
    CHECK(run(ranks, times, item_queues::one).stuck.empty());

    // Orders made with other durations: those of another draw, and all 0.
    const random_times others(shape, 0, 2);
    CHECK(run(message_order(graph, others), times).stuck.empty());
    CHECK(run(message_order(graph, others), times, item_queues::one).stuck.empty());
    const random_times none(shape, shape.microbatches, 3);
    CHECK(run(message_order(graph, none), times, item_queues::one).stuck.empty());
  }
}

TEST_CASE("natural orders deadlock in the same model, as often as docs/execution.md says") {
  std::map<std::string, std::pair<int, int>> deadlocks;  // Of how many sizes, by schedule.
  for (const schedule_shape& shape : documented_shapes()) {
    const random_times times(shape, 0, 1);
    const programs natural =
        as_operations_come(shape, message_order(operation_graph(shape), times));
    const bool stuck = !run(natural, times).stuck.empty();
    CHECK(stuck == !run(natural, times, item_queues::one).stuck.empty());
    auto& [of, total] = deadlocks[std::string(shape.kind.name())];
    of += stuck;
    ++total;
  }
  CHECK(deadlocks == std::map<std::string, std::pair<int, int>>{{"1f1b", {16, 20}},
                                                                {"gpipe", {0, 20}},
                                                                {"interleaved", {60, 60}},
                                                                {"zbh1", {16, 20}},
                                                                {"zbv", {16, 20}}});
}

TEST_CASE("an order made with the true durations is as fast as messages that never wait in line") {
  std::size_t slower = 0;  // By more than 1 %.
  double sum = 0;
  const std::vector<schedule_shape> shapes = all_shapes();
  for (const schedule_shape& shape : shapes) {
    const operation_graph graph(shape);
    const random_times times(shape, 0, 4);
    const programs ranks = message_order(graph, times);
    const auto ideal = simulate(graph, times).makespan;
    const auto made = run(ranks, times).makespan;
    INFO(shape.kind.name() << " p " << shape.stages << " v " << shape.virtual_stages << " m "
                           << shape.microbatches);
    CHECK(made >= ideal);
    const double ratio = static_cast<double>(made) / static_cast<double>(ideal);
    CHECK(ratio <= 1.011);
    slower += ratio > 1.01;
    sum += ratio;
  }
  CHECK(slower <= 1);
  CHECK(sum <= 1.002 * static_cast<double>(shapes.size()));
}

TEST_CASE("the order of messages of two devices, written out") {
  const schedule_shape shape{.stages = 2, .microbatches = 2};
  const programs ranks = message_order(operation_graph(shape), random_times(shape, 0, 5));
  std::string first;
  for (const execution_item& item : ranks[0]) first += to_string(item) + "\n";
  CHECK(first ==
        "forward of stage 0, micro-batch 0\n"
        "send_activation of stage 0, micro-batch 0, with rank 1\n"
        "forward of stage 0, micro-batch 1\n"
        "send_activation of stage 0, micro-batch 1, with rank 1\n"
        "receive_gradient of stage 0, micro-batch 0, with rank 1\n"
        "backward of stage 0, micro-batch 0\n"
        "receive_gradient of stage 0, micro-batch 1, with rank 1\n"
        "backward of stage 0, micro-batch 1\n");
}

TEST_CASE("both ends of every message have the messages between them in the same order") {
  for (const schedule_shape& shape : all_shapes()) {
    const programs ranks = message_order(operation_graph(shape), random_times(shape, 0, 6));
    for (std::uint32_t a = 0; a < ranks.size(); ++a)
      for (std::uint32_t b = 0; b < a; ++b) {
        std::vector<execution_item> here, there;
        for (const execution_item& item : ranks[a])
          if (is_message(item.kind) && item.peer == b) here.push_back(other_end(item, a));
        for (const execution_item& item : ranks[b])
          if (is_message(item.kind) && item.peer == a) there.push_back(item);
        CHECK(here == there);
      }
  }
}

TEST_CASE("messages swapped or dropped deadlock, and the simulation says where") {
  const schedule_shape shape{.stages = 4, .microbatches = 8};
  const random_times times(shape, 0, 7);
  const programs right = message_order(operation_graph(shape), times);
  for (std::size_t i = 0; i < right[1].size(); ++i) {
    if (!is_message(right[1][i].kind)) continue;
    const auto next =
        std::find_if(right[1].begin() + static_cast<std::ptrdiff_t>(i) + 1, right[1].end(),
                     [&](const execution_item& other) {
                       return is_message(other.kind) && other.peer == right[1][i].peer;
                     });
    if (next != right[1].end()) {
      programs swapped = right;
      std::swap(swapped[1][i], swapped[1][static_cast<std::size_t>(next - right[1].begin())]);
      CHECK(!run(swapped, times).stuck.empty());
    }
    programs dropped = right;
    dropped[1].erase(dropped[1].begin() + static_cast<std::ptrdiff_t>(i));
    const item_simulation step = run(dropped, times);
    REQUIRE(!step.stuck.empty());
    const std::uint32_t stuck = step.stuck[0];
    CHECK(step.first_unfinished(stuck) < dropped[stuck].size());
  }
}

TEST_CASE("a collective starts when the last replica arrives, and names it") {
  const programs ranks = {
      {{item_kind::forward}, {item_kind::backward}, {item_kind::reduce}, {item_kind::step}},
      {{item_kind::reduce}, {item_kind::step}}};
  const std::vector<std::vector<std::int64_t>> durations = {{10, 20, 7, 1}, {5, 1}};
  const item_simulation step = simulate_items({.ranks = ranks, .durations = durations});
  CHECK(step.stuck.empty());
  CHECK(step.makespan == 36);
  CHECK(step.items[1][0].start == 30);
  CHECK(step.items[1][0].waited == 30);
  CHECK(step.items[1][0].waited_for == 0);
  CHECK(step.items[0][2].waited == 0);
  CHECK(step.busy == std::vector<std::int64_t>{31, 1});

  const programs forgotten = {ranks[0], {{item_kind::step}}};
  const std::vector<std::vector<std::int64_t>> fewer = {{10, 20, 7, 1}, {1}};
  CHECK(simulate_items({.ranks = forgotten, .durations = fewer}).stuck ==
        std::vector<std::uint32_t>{0});
}

TEST_CASE("times that are no simulation and items that are none are refused") {
  const operation_graph graph({.stages = 2, .microbatches = 1});
  const std::vector<std::int64_t> starts = {0, 1, 2, 3}, ends = {1, 2, 3, 4};
  CHECK(message_order(graph, starts, ends).size() == 2);
  CHECK_THROWS_AS(message_order(graph, std::vector<std::int64_t>{0, 0, 2, 3}, ends), invalid_input);
  CHECK_THROWS_AS(message_order(graph, starts, std::vector<std::int64_t>{1, 2, 1, 4}),
                  invalid_input);
  CHECK_THROWS_AS(message_order(graph, {}, ends), invalid_input);

  const programs ranks = {{{item_kind::send_activation, 0, 0, 1}}, {}};
  const std::vector<std::vector<std::int64_t>> none = {{1}, {}};
  CHECK(simulate_items({.devices = 2, .ranks = ranks, .durations = none}).stuck.size() == 1);
  CHECK_THROWS_AS(simulate_items({.devices = 3, .ranks = ranks, .durations = none}), invalid_input);
  const std::vector<std::vector<std::int64_t>> negative = {{-1}, {}};
  CHECK_THROWS_AS(simulate_items({.devices = 2, .ranks = ranks, .durations = negative}),
                  invalid_input);
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  const programs two = {{{item_kind::forward}, {item_kind::backward}}};
  const std::vector<std::vector<std::int64_t>> overflow = {{huge, huge}};
  CHECK_THROWS_AS(simulate_items({.ranks = two, .durations = overflow}), invalid_input);
  const programs nowhere = {{{item_kind::send_activation, 0, 0, 5}}};
  const std::vector<std::vector<std::int64_t>> one = {{1}};
  CHECK_THROWS_AS(simulate_items({.ranks = nowhere, .durations = one}), invalid_input);
  CHECK(simulate_items({}).makespan == 0);
}
