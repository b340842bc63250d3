// SPDX-License-Identifier: Apache-2.0
#include "engine.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/pipeline/schedules.hpp>

#include "../catch.hpp"
#include "toy_stage.hpp"

using namespace omnibal;
using namespace omnibal::trainer;
using test::toy_stage;

namespace {

constexpr float learning_rate = 0.01F;

void descend(std::vector<test::toy_parameter> parameters) {
  for (const test::toy_parameter& each : parameters)
    for (std::size_t i = 0; i < each.value.size(); ++i)
      each.value[i] -= learning_rate * each.gradient[i];
}

std::vector<std::vector<float>> inputs_of(const execution_plan& plan,
                                          std::span<const std::uint32_t> packs) {
  std::vector<std::vector<float>> inputs;
  for (const std::uint32_t pack : packs)
    inputs.push_back(test::toy_input(pack, plan.workloads[pack].tokens));
  return inputs;
}

/// Gradient descent by all_reduce over the replicas; clip() meets all ranks.
class toy_update {
 public:
  toy_update(thread_channel& world, thread_channel& replicas, std::vector<toy_stage*> stages)
      : world_(&world), replicas_(&replicas), stages_(std::move(stages)) {}

  void reduce(std::uint32_t stage) {
    require(clips == steps);
    for (const test::toy_parameter& each : stages_[stage]->parameters())
      replicas_->all_reduce(view_of(each.gradient), reduction::sum).wait();
  }
  void clip() {
    ++clips;
    std::vector<float> one = {1};
    world_->all_reduce(view_of(one), reduction::sum).wait();
    require(one[0] == static_cast<float>(world_->size()));
  }
  void step(std::uint32_t stage) {
    require(clips == steps + 1);
    descend(stages_[stage]->parameters());
  }
  void gather(std::uint32_t) {}
  void abort(std::string_view reason) { replicas_->abort(reason); }

  std::size_t clips = 0;
  std::size_t steps = 0;

 private:
  // Catch2 counts on one thread alone.
  static void require(bool holds) {
    if (!holds) throw std::logic_error("reduce, clip and step are called in another order");
  }

  thread_channel* world_;
  thread_channel* replicas_;
  std::vector<toy_stage*> stages_;
};

/// The weights of all layers after the plan, and what the ranks logged.
struct outcome {
  std::vector<float> weights = {};
  std::vector<double> losses = {};               // per step
  std::vector<std::vector<step_log>> logs = {};  // per rank and step
};

/// Where a stage of a rank fails.
struct planted_failure {
  std::size_t rank = 0;
  std::size_t stage = 0;
  std::size_t step = 0;
  std::size_t microbatch = 0;
};

/// All steps of a plan on thread ranks.
outcome run_plan_of_toys(const execution_plan& plan, std::uint32_t frozen = 0,
                         std::optional<planted_failure> failure = {},
                         std::vector<std::string>* errors = nullptr) {
  outcome result;
  result.weights.resize(plan.layers.size());
  result.losses.resize(plan.steps());
  result.logs.resize(plan.ranks());
  std::mutex mutex;
  const auto rank_body = [&](thread_communicator& ranks) {
    const std::size_t rank = ranks.rank();
    thread_channel world = open_thread_channel(
        ranks, {.rendezvous = true, .deadline = std::chrono::seconds(60), .name = "world"});
    thread_channel replicas = *world.split(static_cast<int>(rank % plan.devices), 0);
    std::vector<std::unique_ptr<toy_stage>> owned(plan.stages.size());
    std::vector<toy_stage*> stages(plan.stages.size());
    for (std::size_t j = 0; j < stages.size(); ++j)
      if (plan.stages[j].device == rank % plan.devices) {
        owned[j] = std::make_unique<toy_stage>(plan, j, frozen);
        stages[j] = owned[j].get();
      }
    toy_update update(world, replicas, stages);
    engine<toy_stage, thread_channel> run(plan, world, stages);
    for (std::size_t step = 0; step < plan.steps(); ++step, ++update.steps) {
      const rank_step work = step_of(plan, step, rank);
      for (toy_stage* each : stages)
        if (each != nullptr) each->begin_step(inputs_of(plan, work.packs));
      if (failure && failure->rank == rank && failure->step == step)
        stages[failure->stage]->fail_at(failure->microbatch);
      result.logs[rank].push_back(run(step, update));
      const std::scoped_lock lock(mutex);
      if (stages.back() != nullptr) result.losses[step] += stages.back()->loss();
    }
    if (rank < plan.devices)
      for (toy_stage* each : stages)
        if (each != nullptr)
          for (const test::toy_parameter& one : each->parameters())
            result.weights[one.layer] = one.value[0];
  };
  run_as_ranks(plan.ranks(), [&](thread_communicator& ranks) {
    try {
      rank_body(ranks);
    } catch (const std::exception& error) {
      if (errors != nullptr) {
        const std::scoped_lock lock(mutex);
        (*errors)[ranks.rank()] = error.what();
      }
      throw;
    }
  });
  return result;
}

/// The same steps on one stage, without engine and channel.
outcome reference(execution_plan plan, std::uint32_t frozen = 0) {
  outcome result;
  const std::size_t layers = plan.layers.size();
  plan.stages = {{.first_layer = 0, .end_layer = static_cast<std::uint32_t>(layers)}};
  plan.splits_backward = false;
  toy_stage whole(plan, 0, frozen);
  for (std::size_t step = 0; step < plan.steps(); ++step) {
    std::vector<float> sum(layers);
    result.losses.push_back(0);
    for (std::size_t r = 0; r < plan.replicas; ++r) {
      const auto packs = plan.assignment[step * plan.replicas + r];
      whole.begin_step(inputs_of(plan, packs));
      for (std::size_t m = 0; m < packs.size(); ++m) {
        whole.forward(m, {}, {});
        whole.backward(m, {}, {});
      }
      result.losses.back() += whole.loss();
      const auto parameters = whole.parameters();
      for (std::size_t l = 0; l < layers; ++l)
        sum[l] = r == 0 ? parameters[l].gradient[0] : sum[l] + parameters[l].gradient[0];
    }
    const auto parameters = whole.parameters();
    for (std::size_t l = 0; l < layers; ++l) parameters[l].gradient[0] = sum[l];
    descend(parameters);
  }
  for (const test::toy_parameter& each : whole.parameters())
    result.weights.push_back(each.value[0]);
  return result;
}

std::size_t virtual_stages_of(const any_schedule& kind) {
  return std::max<std::size_t>(kind.capabilities().least_virtual_stages,
                               kind == any_schedule(schedules::interleaved{}) ? 2 : 1);
}

/// Different numbers of packs per replica, fewer than a group of interleaved stages, and a last
/// step in which all replicas but the first are idle.
test::pack_counts uneven_counts(std::size_t devices, std::size_t replicas) {
  test::pack_counts counts(3, std::vector<std::size_t>(replicas, 0));
  for (std::size_t r = 0; r < replicas; ++r) {
    counts[0][r] = 2 * devices + 1 - r % 2;
    counts[1][r] = r % 2 == 0 ? 1 : devices + 2;
  }
  counts[2][0] = 3;
  return counts;
}

}  // namespace

TEST_CASE("weights and losses are those of one rank, to the bit, under every schedule") {
  for (const any_schedule& kind : all_schedules)
    for (const auto& [devices, replicas] : std::vector<std::pair<std::size_t, std::size_t>>{
             {1, 1}, {1, 2}, {2, 1}, {2, 2}, {3, 2}, {4, 1}}) {
      INFO(kind.name() << ", pp " << devices << ", dp " << replicas);
      const execution_plan plan =
          test::toy_plan(kind, devices, virtual_stages_of(kind), uneven_counts(devices, replicas));
      validate(plan);
      const outcome run = run_plan_of_toys(plan);
      const outcome expected = reference(plan);
      CHECK(run.weights == expected.weights);
      for (std::size_t step = 0; step < plan.steps(); ++step)
        CHECK(run.losses[step] == Approx(expected.losses[step]).epsilon(1e-12));
    }
}

TEST_CASE("empty micro-batches occur in the plans that are tested") {
  const execution_plan plan = test::toy_plan(schedules::interleaved{}, 2, 2, uneven_counts(2, 1));
  const std::uint32_t lanes = plan.programs[plan.program_of[0]].lanes;
  CHECK(plan.lanes[lanes].microbatches > plan.assignment[0].size());
}

TEST_CASE("layers that are not trained get no gradients, and keep their weights") {
  for (const any_schedule& kind : all_schedules) {
    INFO(kind.name());
    const execution_plan plan =
        test::toy_plan(kind, 2, virtual_stages_of(kind), uneven_counts(2, 2), 3);
    const outcome run = run_plan_of_toys(plan, 3);
    CHECK(run.weights == reference(plan, 3).weights);
    CHECK(run.weights[2] == 1.2F);
    CHECK(run.weights[3] != 1.3F);
  }
}

TEST_CASE("the peak of saved activations is the one that the plan predicts, to the byte") {
  for (const any_schedule& kind : all_schedules) {
    INFO(kind.name());
    const execution_plan plan =
        test::toy_plan(kind, 3, virtual_stages_of(kind), {{7, 7}, {9, 6}, {2, 0}});
    const outcome run = run_plan_of_toys(plan);
    for (std::size_t device = 0; device < plan.devices; ++device) {
      std::int64_t peak = 0;
      for (std::size_t rank = device; rank < plan.ranks(); rank += plan.devices)
        for (const step_log& log : run.logs[rank]) {
          peak = std::max(peak, log.peak_saved_bytes);
          // The rows of the micro-batch, once more.
          CHECK((log.peak_bytes > log.peak_saved_bytes || log.peak_saved_bytes == 0));
          CHECK(log.peak_bytes <= log.peak_saved_bytes + 10 * std::int64_t{test::toy_width} * 4);
        }
      CHECK(peak == plan.peak_memory[device]);
    }
  }
}

TEST_CASE("the log has the items of the plan, and what happened is in order") {
  const execution_plan plan = test::toy_plan(schedules::zero_bubble_v{}, 2, 2, {{5, 4}});
  const outcome run = run_plan_of_toys(plan);
  for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
    const step_log& log = run.logs[rank][0];
    CHECK(log.items == step_of(plan, 0, rank).items);
    std::int64_t last = log.step.begin;
    for (std::size_t i = 0; i < log.items.size(); ++i) {
      CHECK(log.times[i].begin >= last);
      CHECK(log.times[i].end >= log.times[i].begin);
      CHECK(log.times[i].end <= log.step.end);
      CHECK(log.times[i].computed >= 0);
      // The two clocks are read one after the other.
      if (is_operation(log.items[i].kind))
        CHECK(log.times[i].computed <= log.times[i].duration() + 1'000'000);
      if (!is_message(log.items[i].kind)) last = log.times[i].end;
    }
    CHECK(log.busy() > 0);
    CHECK(log.busy() <= log.step.duration());
    CHECK(log.peak_message_bytes > 0);
  }
}

TEST_CASE("a message is received after it was sent, and an operation begins after what it needs") {
  const execution_plan plan = test::toy_plan(schedules::one_forward_one_backward{}, 3, 1, {{6}});
  const outcome run = run_plan_of_toys(plan);
  const auto times = [&](std::uint32_t rank, item_kind kind, std::uint32_t microbatch) {
    const step_log& log = run.logs[rank][0];
    for (std::size_t i = 0; i < log.items.size(); ++i)
      if (log.items[i].kind == kind && log.items[i].microbatch == microbatch) return log.times[i];
    FAIL("the item is in the log");
    return item_times{};
  };
  for (std::uint32_t m = 0; m < 6; ++m) {
    CHECK(times(1, item_kind::receive_activation, m).end >=
          times(0, item_kind::send_activation, m).begin);
    CHECK(times(1, item_kind::forward, m).begin >= times(0, item_kind::forward, m).end);
    CHECK(times(1, item_kind::backward, m).begin >= times(2, item_kind::backward, m).end);
  }
}

TEST_CASE("buffers of messages are released once they are sent or read") {
  const execution_plan plan = test::toy_plan(schedules::one_forward_one_backward{}, 2, 1, {{12}});
  const outcome run = run_plan_of_toys(plan);
  std::int64_t largest = 0;
  for (const workload& each : plan.workloads)
    largest = std::max(largest, plan.stages[0].activation_bytes.of(each));
  // At most two activations and two gradients are on their way at one time, of 12.
  for (std::size_t rank = 0; rank < 2; ++rank) {
    CHECK(run.logs[rank][0].peak_message_bytes >= largest);
    CHECK(run.logs[rank][0].peak_message_bytes <= 4 * largest);
  }
}

TEST_CASE("a rank that fails is named with its item, and the other ranks end") {
  const execution_plan plan =
      test::toy_plan(schedules::one_forward_one_backward{}, 2, 1, {{4, 4}, {4, 4}});
  std::vector<std::string> errors(plan.ranks());
  const std::string cause = "rank 3, step 1, forward of stage 1, micro-batch 2: planted failure";
  CHECK_THROWS_WITH(
      run_plan_of_toys(plan, 0, planted_failure{.rank = 3, .stage = 1, .step = 1, .microbatch = 2},
                       &errors),
      cause);
  CHECK(errors[3] == cause);
  // Rank 2 waits for rank 3; ranks 0 and 1 meet both of them at the end of the step.
  for (std::size_t rank = 0; rank < 3; ++rank)
    CHECK_THAT(errors[rank], Catch::Matchers::ContainsSubstring(cause));
}

TEST_CASE("an engine refuses a channel of another size and a missing stage") {
  const execution_plan plan = test::toy_plan(schedules::one_forward_one_backward{}, 2, 1, {{2}});
  auto alone = make_thread_channels(1);
  auto two = make_thread_channels(2);
  using toy_engine = engine<toy_stage, thread_channel>;
  CHECK_THROWS_WITH(toy_engine(plan, alone[0], {}),
                    "channel.size() = 1: must be the ranks of the plan, 2");
  CHECK_THROWS_WITH(toy_engine(plan, two[1], {}), "stages[1] = null: is a stage of this rank");
}
