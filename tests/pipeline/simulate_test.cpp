// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/simulate.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

/// The same rules read off their statement, without a graph: repeat over all devices until
/// nothing moves.
std::int64_t slow_makespan(const schedule_shape& shape, const stage_times<std::int64_t>& times) {
  const auto orders = device_orders(shape);
  std::map<pipeline_operation, std::int64_t> end;
  std::vector<std::size_t> next(shape.stages, 0);
  std::vector<std::int64_t> free(shape.stages, 0);
  const auto last = static_cast<std::uint32_t>(shape.total_stages() - 1);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t d = 0; d < shape.stages; ++d) {
      if (next[d] == orders[d].size()) continue;
      const pipeline_operation work = orders[d][next[d]];
      pipeline_operation needs = work;
      std::int64_t latency = 0;
      bool waits = true;
      if (work.kind == operation_kind::forward && work.stage > 0) {
        needs.stage = work.stage - 1;
        latency = times.forward_latency[needs.stage];
      } else if (work.kind == operation_kind::backward && work.stage < last) {
        needs.stage = work.stage + 1;
        latency = times.backward_latency[work.stage];
      } else if (work.kind == operation_kind::backward) {
        needs.kind = operation_kind::forward;
      } else if (work.kind == operation_kind::weight_gradient) {
        needs.kind = operation_kind::backward;
      } else {
        waits = false;
      }
      if (waits && !end.contains(needs)) continue;
      const std::int64_t start = std::max(free[d], waits ? end[needs] + latency : 0);
      free[d] = end[work] = start + times.duration(work);
      ++next[d];
      moved = true;
    }
  }
  return *std::ranges::max_element(free);
}

}  // namespace

TEST_CASE("Equal stages without latency take (m + p - 1) (F + B)") {
  for (std::size_t p = 1; p <= 6; ++p)
    for (std::size_t m = 1; m <= 12; ++m) {
      const schedule_shape shape{.stages = p, .microbatches = m};
      stage_times<std::int64_t> times{.forward = std::vector<std::int64_t>(p, 3),
                                      .backward = std::vector<std::int64_t>(p, 5),
                                      .weight_gradient = {},
                                      .forward_latency = std::vector<std::int64_t>(p - 1, 0),
                                      .backward_latency = std::vector<std::int64_t>(p - 1, 0),
                                      .microbatch_scale = {}};
      const auto run = simulate(operation_graph(shape), times);
      REQUIRE(run.makespan == static_cast<std::int64_t>((m + p - 1) * 8));
      REQUIRE(run.busy == std::vector<std::int64_t>(p, static_cast<std::int64_t>(8 * m)));
    }
}

TEST_CASE("The closed form is not the makespan") {
  // F = [10, 1, 1, 1], B = [1, 10, 1, 1], m = 8: exact 117, formula 103.
  const schedule_shape shape{.stages = 4, .microbatches = 8};
  const stage_times<std::int64_t> times{.forward = {10, 1, 1, 1},
                                        .backward = {1, 10, 1, 1},
                                        .weight_gradient = {},
                                        .forward_latency = {0, 0, 0},
                                        .backward_latency = {0, 0, 0},
                                        .microbatch_scale = {}};
  CHECK(simulate(operation_graph(shape), times).makespan == 117);
  std::vector<stage_cost> stages(4);
  for (std::size_t s = 0; s < 4; ++s) {
    stages[s].forward_time = times.forward[s];
    stages[s].backward_time = times.backward[s];
  }
  CHECK(closed_form(stages, 8) == 103);
}

TEST_CASE("Random pipelines of every schedule agree with the rules read literally") {
  random_stream random(11);
  for (int round = 0; round < 500; ++round) {
    const any_schedule kind = all_schedules[static_cast<std::size_t>(round) % all_schedules.size()];
    schedule_shape shape{.kind = kind,
                         .stages = static_cast<std::size_t>(test::draw(random, 1, 5))};
    shape.microbatches = static_cast<std::size_t>(test::draw(random, 1, 8));
    if (shape.kind == schedules::interleaved{}) {
      shape.microbatches *= shape.stages;
      shape.virtual_stages = static_cast<std::size_t>(test::draw(random, 1, 3));
      if (test::draw(random, 0, 1) == 1) shape.group_size = shape.stages + 1;
    }
    shape.virtual_stages = std::max(shape.virtual_stages, kind.capabilities().least_virtual_stages);
    shape.microbatches = runnable_microbatches(shape, shape.microbatches);
    stage_times<std::int64_t> times;
    for (std::size_t j = 0; j < shape.total_stages(); ++j) {
      times.forward.push_back(test::draw(random, 0, 20));
      times.backward.push_back(test::draw(random, 0, 20));
      times.weight_gradient.push_back(test::draw(random, 0, 20));
      if (j > 0) times.forward_latency.push_back(test::draw(random, 0, 5));
      if (j > 0) times.backward_latency.push_back(test::draw(random, 0, 5));
    }
    for (std::size_t m = 0; m < shape.microbatches; ++m)
      times.microbatch_scale.push_back(test::draw(random, 1, 3));
    std::vector<std::int64_t> ends;
    const operation_graph graph(shape);
    const auto run = simulate(graph, times, ends);
    REQUIRE(run.makespan == slow_makespan(shape, times));
    REQUIRE(*std::ranges::max_element(ends) == run.makespan);
    REQUIRE(run.bubble_ratio() >= 0.0);
    REQUIRE(run.bubble_ratio() <= 1.0);
  }
}

TEST_CASE("Any integer type counts time") {
  const schedule_shape shape{.stages = 2, .microbatches = 2};
  const stage_times<std::int32_t> times{.forward = {1, 2},
                                        .backward = {3, 4},
                                        .weight_gradient = {},
                                        .forward_latency = {1},
                                        .backward_latency = {1},
                                        .microbatch_scale = {}};
  const auto run = simulate(operation_graph(shape), times);
  static_assert(std::same_as<decltype(run.makespan), std::int32_t>);
  CHECK(run.makespan == 18);
}

TEST_CASE("A run of no time at all has no bubble") {
  const schedule_shape shape{.stages = 1, .microbatches = 1};
  const stage_times<std::int64_t> times{.forward = {0},
                                        .backward = {0},
                                        .weight_gradient = {},
                                        .forward_latency = {},
                                        .backward_latency = {},
                                        .microbatch_scale = {}};
  const auto run = simulate(operation_graph(shape), times);
  CHECK(run.makespan == 0);
  CHECK(run.bubble_ratio() == 0.0);
}
