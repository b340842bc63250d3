// SPDX-License-Identifier: Apache-2.0
// From samples to a plan.
#include "training_plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "data.hpp"
#include "report.hpp"
#include "short_runs.hpp"

using namespace omnibal;
using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;

namespace {

std::set<std::uint32_t> samples_of_step(const execution_plan& plan, std::size_t step) {
  std::set<std::uint32_t> samples;
  for (std::size_t r = 0; r < plan.replicas; ++r)
    for (const std::uint32_t pack : plan.assignment[step * plan.replicas + r])
      samples.insert(plan.packs[pack].begin(), plan.packs[pack].end());
  return samples;
}

constexpr strategy all_strategies[] = {strategy::naive, strategy::unbalanced, strategy::paper,
                                       strategy::planned};

}  // namespace

TEST_CASE("every strategy has the same samples in the same steps") {
  const model_config config = narrow_model();
  const auto chain = made_up_chain(config);
  const picture_task task({.seed = 4});
  for (const strategy how : all_strategies)
    for (const std::size_t replicas : {1U, 2U, 5U}) {
      training_shape shape = short_run(how);
      shape.replicas = replicas;
      const training_plan planned = plan_training(chain, task, shape);
      INFO(strategy_names[static_cast<std::size_t>(how)] << ", dp " << replicas);
      REQUIRE(planned.refusal.empty());
      validate(planned.plan);
      REQUIRE(planned.plan.steps() == 5);
      for (std::uint32_t step = 0; step < 5; ++step) {
        std::set<std::uint32_t> expected;
        for (std::uint32_t i = 0; i < 12; ++i) expected.insert(step * 12 + i);
        CHECK(samples_of_step(planned.plan, step) == expected);
      }
    }
}

TEST_CASE("random micro-batches are padded to their longest sample, and no others are") {
  const model_config config = narrow_model();
  const auto chain = made_up_chain(config);
  const picture_task task({.seed = 4});
  for (const strategy how : all_strategies) {
    const training_plan planned = plan_training(chain, task, short_run(how));
    std::int64_t padded = 0;
    std::int64_t plain = 0;
    for (std::size_t k = 0; k < planned.plan.packs.size(); ++k) {
      std::int64_t longest = 0;
      std::int64_t sum = 0;
      for (const std::uint32_t i : planned.plan.packs[k]) {
        longest = std::max(longest, task.size_of(i)[1]);
        sum += task.size_of(i)[1];
      }
      const auto documents = static_cast<std::int64_t>(planned.plan.packs[k].size());
      CHECK(planned.plan.workloads[k].tokens == (pads(how) ? longest * documents : sum));
      padded += planned.plan.workloads[k].tokens;
      plain += sum;
      if (pads(how))
        for (const std::uint32_t i : planned.plan.packs[k])
          CHECK(planned.padded_tokens[i] == longest);
    }
    CHECK(planned.padded_tokens.empty() == !pads(how));
    CHECK(planned.pad_ratio ==
          Approx(1 - static_cast<double>(plain) / static_cast<double>(padded)));
  }
}

TEST_CASE("naive stages have the vision tower first and equal language layers, others not") {
  model_config config = narrow_model();
  config.shape.language.layers = 5;
  const auto chain = made_up_chain(config);
  const picture_task task({.seed = 4});
  const auto cuts_of = [&](strategy how, std::size_t devices) {
    training_shape shape = short_run(how);
    shape.devices = devices;
    std::vector<std::uint32_t> ends;
    const training_plan planned = plan_training(chain, task, shape);
    for (const execution_stage& stage : planned.plan.stages) ends.push_back(stage.end_layer);
    for (const execution_layer& layer : planned.plan.layers)
      if (pads(how) && layer.name.starts_with("language"))
        CHECK(layer.kind == recompute_kind::full);
    return ends;
  };
  // patch_embedding, vision0, vision1, projector, embedding, language0 … language4, head.
  CHECK(cuts_of(strategy::naive, 2) == std::vector<std::uint32_t>{8, 11});
  CHECK(cuts_of(strategy::naive, 3) == std::vector<std::uint32_t>{7, 9, 11});
  CHECK(cuts_of(strategy::naive, 5) == std::vector<std::uint32_t>{6, 7, 8, 9, 11});
  CHECK(cuts_of(strategy::unbalanced, 2) != cuts_of(strategy::naive, 2));
  training_shape many = short_run(strategy::naive);
  many.devices = 6;
  CHECK(plan_training(chain, task, many).refusal ==
        "the model has 5 language layers, fewer than stages of a naive plan: 6");
  many.how = strategy::unbalanced;
  CHECK(plan_training(chain, task, many).refusal.empty());
}

TEST_CASE("the paper's plan is one for 1F1B, whatever schedule the others have") {
  const auto chain = made_up_chain(narrow_model());
  const picture_task task({.seed = 4});
  for (const any_schedule& schedule : all_schedules) {
    training_shape shape = short_run(strategy::paper);
    const std::uint64_t usual = fingerprint(plan_training(chain, task, shape).plan);
    shape.schedule = schedule;
    for (const std::size_t stages_per_device : {0U, 2U}) {
      if (stages_per_device > schedule.capabilities().most_virtual_stages) continue;
      shape.virtual_stages = stages_per_device;
      const training_plan planned = plan_training(chain, task, shape);
      INFO(schedule.name() << ", " << stages_per_device);
      CHECK(planned.refusal.empty());
      CHECK(planned.plan.schedule == "1f1b");
      CHECK(fingerprint(planned.plan) == usual);
    }
  }
}

TEST_CASE("a longer run begins as a shorter one") {
  const auto chain = made_up_chain(narrow_model());
  const picture_task task({.seed = 4});
  training_shape longer = short_run();
  longer.steps = 9;
  const training_plan five = plan_training(chain, task, short_run());
  const training_plan nine = plan_training(chain, task, longer);
  CHECK(five.capacity == nine.capacity);
  for (std::size_t group = 0; group < five.plan.assignment.size(); ++group) {
    REQUIRE(five.plan.assignment[group].size() == nine.plan.assignment[group].size());
    for (std::size_t k = 0; k < five.plan.assignment[group].size(); ++k)
      CHECK(std::ranges::equal(five.plan.packs[five.plan.assignment[group][k]],
                               nine.plan.packs[nine.plan.assignment[group][k]]));
  }
}

TEST_CASE("what does not fit is refused with its reason, and shapes out of range by name") {
  const auto chain = made_up_chain(narrow_model());
  const picture_task task({.seed = 4});
  training_shape shape = short_run();
  shape.memory = 1000;
  CHECK_THAT(plan_training(chain, task, shape).refusal,
             Catch::Matchers::StartsWith("no plan fits 1000 bytes per rank: stage "));
  shape = short_run();
  shape.devices = 9;
  CHECK(plan_training(chain, task, shape).refusal ==
        "the model has 8 layers, fewer than stages: 9");
  shape = short_run();
  shape.steps = 0;
  CHECK_THROWS_WITH(plan_training(chain, task, shape), "steps = 0: must be at least 1");
  shape = short_run();
  shape.steps = 1U << 30U;
  CHECK_THROWS_WITH(plan_training(chain, task, shape),
                    Catch::Matchers::StartsWith("steps = 1073741824: times the batch"));
}

TEST_CASE("a plan that fits the search but not the run is refused") {
  // Naive plans do not depend on the memory: one byte less than their peak is too little.
  const auto chain = made_up_chain(narrow_model());
  const picture_task task({.seed = 4});
  training_shape shape = short_run(strategy::naive);
  const training_plan unlimited = plan_training(chain, task, shape);
  const std::int64_t peak = std::ranges::max(unlimited.plan.peak_memory);
  shape.memory = peak - 1;
  CHECK_THAT(plan_training(chain, task, shape).refusal, Catch::Matchers::EndsWith("lacks 1 bytes"));
  shape.memory = peak;
  CHECK(plan_training(chain, task, shape).refusal.empty());
}

TEST_CASE("the fingerprint follows what is executed, not predicted times") {
  const picture_task task({.seed = 4});
  auto chain = made_up_chain(narrow_model());
  const auto of = [&](const training_shape& shape) {
    return fingerprint(plan_training(chain, task, shape).plan);
  };
  const std::uint64_t first = of(short_run());
  CHECK(of(short_run()) == first);
  CHECK(of(short_run(strategy::naive)) != first);
  execution_plan plan = plan_training(chain, task, short_run()).plan;
  plan.stages[0].forward_time = {};
  CHECK(fingerprint(plan) == first);
  plan.layers[1].kind = recompute_kind::full;
  CHECK(fingerprint(plan) != first);
}
