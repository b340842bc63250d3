// SPDX-License-Identifier: Apache-2.0
// From samples to a plan, and from a plan to trained ranks.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/pipeline/schedules.hpp>

#include "catch.hpp"
#include "checkpoint.hpp"
#include "costs_file.hpp"
#include "data.hpp"
#include "model.hpp"
#include "model_stage.hpp"
#include "profile.hpp"
#include "report.hpp"
#include "strategy_run.hpp"
#include "training_plan.hpp"

using namespace omnibal;
using namespace omnibal::trainer;

namespace {

/// The tiny model, narrower.
model_config narrow_model() {
  model_config config = model_of("tiny", vocabulary);
  config.shape.vision.hidden = 16;
  config.shape.vision.heads = 2;
  config.shape.vision.ffn = 32;
  config.shape.language.layers = 2;
  config.shape.language.hidden = 16;
  config.shape.language.heads = 2;
  config.shape.language.kv_heads = 2;
  config.shape.language.ffn = 24;
  config.shape.projector = {{64, 16}, {16, 16}};
  return config;
}

/// Times in proportion to rows, bytes as the layers declare them.
std::vector<layer_cost> made_up_chain(const model_config& config) {
  std::vector<layer_cost> chain;
  const auto names = layer_names(config);
  for (std::size_t l = 0; l < names.size(); ++l) {
    const auto declared = trainer::detail::declared_by(config, l);
    layer_cost layer{.name = names[l],
                     .kind = kind_of(layer_at(config, l)),
                     .parameters = declared.parameters,
                     .forward_time = cost_per({.tile = 1600, .token = 200}),
                     .backward_time = cost_per({.tile = 3200, .token = 400}),
                     .weight_gradient_time = cost_per({.tile = 1600, .token = 200}),
                     .output_bytes = output_cost(config, l),
                     .static_bytes = 24 * declared.parameters};
    for (std::size_t k = 0; k < recompute_kinds.size(); ++k)
      layer.modes.push_back({.name = std::string(to_string(recompute_kinds[k])),
                             .kind = recompute_kinds[k],
                             .extra_time = cost_per({.tile = 800.0 * static_cast<double>(k)})});
    trainer::detail::keep_useful_modes(layer, declared);
    chain.push_back(std::move(layer));
  }
  return chain;
}

training_shape short_run(strategy how = strategy::planned) {
  return {.steps = 5, .batch = 12, .devices = 2, .replicas = 2, .how = how};
}

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

TEST_CASE("items are replayed with what was computed for them, not with their waiting") {
  const step_log log{
      .items = {{.kind = item_kind::forward}, {.kind = item_kind::send_activation}},
      .times = {{.begin = 0, .end = 90, .computed = 40}, {.begin = 90, .end = 500, .computed = 5}}};
  CHECK(trainer::detail::durations_of(std::vector{log}) ==
        std::vector<std::vector<std::int64_t>>{{40, 5}});
}

TEST_CASE("costs are read as they were written, and other files are refused by name") {
  const auto chain = made_up_chain(narrow_model());
  const nlohmann::json json = costs_to_json(chain, element_type::f32);
  const auto read_from = [](const nlohmann::json& from) {
    return costs_from_json(from, element_type::f32, "file");
  };
  auto read = read_from(nlohmann::json::parse(json.dump()));
  CHECK(read != chain);  // what layers are is not in the file: the model says it
  describe_layers(read, narrow_model(), 1);
  CHECK(read == chain);
  nlohmann::json other = json;
  other["layers"][1]["forward_time"] = {1, 2, 3};
  CHECK_THROWS_AS(read_from(other), invalid_input);
  other = json;
  other["layers"][1]["forward_time"][2] = -1;
  CHECK_THROWS_WITH(read_from(other), "cost = -1: must not be negative");
  CHECK_THROWS_WITH(read_from({{"format", "x"}}), Catch::Matchers::StartsWith("file = "));
  CHECK_THROWS_WITH(costs_from_json(json, element_type::bf16, "file"),
                    "file = f32: is the precision of these costs, this run has bf16: each needs a "
                    "file of its own");
}

TEST_CASE("a profile has the bytes that the layers declare and times of every direction") {
  const model_config config = narrow_model();
  const picture_task task({.seed = 4});
  const auto chain = measured_chain(
      config, task, {.samples = {1, 2, 3, 4}, .time = std::chrono::milliseconds(0), .replicas = 2});
  REQUIRE(chain.size() == layer_count(config));
  const workload work{.tiles = 6, .tokens = 50, .squared_tokens = 500};
  for (std::size_t l = 0; l < chain.size(); ++l) {
    INFO(chain[l].name);
    CHECK(chain[l].name == layer_names(config)[l]);
    CHECK(chain[l].forward_time.of(work) > 0);
    CHECK(chain[l].backward_time.of(work) > 0);
    CHECK(chain[l].output_bytes == output_cost(config, l));
    CHECK(chain[l].static_bytes == chain[l].parameters * 16);
    for (const mode_cost& mode : chain[l].modes) {
      const model_stage<float> stage(config,
                                     {.first_layer = l, .end_layer = l + 1, .kinds = {mode.kind}});
      CHECK(mode.saved_bytes == stage.saved_cost());
    }
  }
  // Blocks have all three kinds, the embedding has nothing to recompute.
  CHECK(chain[1].modes.size() == 3);
  CHECK(chain[4].modes.size() == 1);
}

TEST_CASE("a run reports what it did, and a rank that fails is named to all") {
  const model_config config = narrow_model();
  const auto chain = made_up_chain(config);
  const picture_task task({.seed = 4});
  const training_plan planned = plan_training(chain, task, short_run());
  training_run run{.model = config,
                   .planned = planned,
                   .task = task,
                   .batch = 12,
                   .held_out = 24,
                   .kept_logs = 3};
  const strategy_report report = run_on_threads(run, strategy::planned);
  REQUIRE(report.ranks.size() == 4);
  for (std::size_t r = 0; r < 4; ++r) {
    CHECK(report.ranks[r].losses == report.ranks[0].losses);
    CHECK(report.ranks[r].peak_saved_bytes == report.ranks[r].predicted_peak_saved_bytes);
    CHECK(report.ranks[r].peak_saved_bytes > 0);
    CHECK(report.logs[r].size() == 3);
  }
  CHECK(report.first_logged == 2);
  CHECK(report.step_seconds.size() == 5);
  CHECK(report.ranks[0].losses.size() == 5);
  CHECK(report.ranks[0].held_out.samples == 24);
  CHECK(report.skew >= 1);
  CHECK(report.skew < 1.5);
  for (const double share :
       {report.bubble.predicted, report.bubble.replayed, report.bubble.measured}) {
    CHECK(share >= 0);
    CHECK(share < 1);
  }
  CHECK(report.replayed_seconds <= report.seconds);
  const nlohmann::json json = to_json(report, planned);
  CHECK(json.at("loss").size() == 5);
  CHECK(json.at("ranks").size() == 4);
  CHECK(json.at("stages").size() == 2);

  run.after_step = [](std::size_t rank, const step_report& step) {
    if (rank == 2 && step.step == 3) throw std::runtime_error("planted");
  };
  CHECK_THROWS_WITH(run_on_threads(run, strategy::planned), "planted");
  std::vector<std::string> errors(4);
  run_as_ranks(4, [&](thread_communicator& ranks) {
    thread_channel world = open_thread_channel(ranks);
    try {
      (void)train_rank(world, run);
    } catch (const std::exception& error) {
      errors[ranks.rank()] = error.what();
    }
  });
  for (const std::string& each : errors)
    CHECK_THAT(each, Catch::Matchers::ContainsSubstring("planted"));
}

TEST_CASE("the questions at the end are held-out ones, answered by the trained weights") {
  const model_config config = narrow_model();
  const auto chain = made_up_chain(config);
  const picture_task task({.seed = 4});
  training_shape shape = short_run();
  shape.steps = 60;
  const training_plan planned = plan_training(chain, task, shape);
  const auto folder = std::filesystem::temp_directory_path() /
                      ("omnibal_training_test_" + std::to_string(::getpid()));
  const training_run run{.model = config,
                         .planned = planned,
                         .task = task,
                         .optimizer = {.schedule = {.peak = 0.01, .warm_up = 5, .updates = 60}},
                         .batch = 12,
                         .held_out = 400,
                         .checkpoints = folder};
  const strategy_report report = run_on_threads(run, strategy::planned);

  // The whole model on one stage, with the weights of the checkpoint.
  const std::size_t layers = layer_count(config);
  model_stage<float> whole(
      config,
      {.first_layer = 0, .end_layer = layers, .kinds = std::vector(layers, recompute_kind::none)});
  for (std::size_t l = 0; l < layers; ++l) {
    const std::vector<float> values = read_layer(newest_checkpoint(folder), l).values;
    std::size_t at = 0;
    for (const auto& each : whole.parameters())
      if (each.layer == l)
        for (float& value : each.value) value = values.at(at++);
    CHECK(at == values.size());
  }
  std::filesystem::remove_all(folder);
  const picture_task held_out({.seed = 4, .split = data_split::held_out, .questions = 1});
  std::vector<std::uint32_t> samples(400);
  std::iota(samples.begin(), samples.end(), 0U);
  const std::vector<microbatch> batches = {make_microbatch(held_out, samples, 1)};
  whole.begin_step(batches);
  whole.forward(0, {}, {});
  const std::size_t exact = exact_answers(batches[0], whole.result(0).predictions);
  CHECK(report.ranks[0].held_out.exact == exact);
  CHECK(exact > 40);
  CHECK(exact < 360);
}

TEST_CASE("operations of a model, and when a loss was reached") {
  const model_config config = narrow_model();
  // Per patch: 2 · (4 · 16² + 2 · 16 · 32), 16 patches, 2 layers; per tile 4 rows of the projector.
  const double tile = 16 * 2 * (4 * 256 + 2 * 512) * 2 + 4 * 2 * (64 * 16 + 256);
  // Per token: 2 · (4 · 16² + 3 · 16 · 24), 2 layers, and the head.
  const double token = 2 * (4 * 256 + 3 * 384) * 2 + 2 * 16 * vocabulary;
  CHECK(model_operations(config, {.tiles = 3, .tokens = 20}) ==
        Approx(3 * (3 * tile + 20 * token)));

  std::vector<double> losses(30);
  for (std::size_t i = 0; i < losses.size(); ++i) losses[i] = 30 - static_cast<double>(i);
  CHECK(final_loss(losses) == Approx(5.5));
  CHECK(steps_to_loss(losses, 5.5) == 30);
  CHECK(steps_to_loss(losses, 15.5) == 20);
  CHECK(steps_to_loss(losses, 100) == 10);
  CHECK(steps_to_loss(losses, 1) == 0);
  CHECK(steps_to_loss({}, 1) == 0);
  CHECK(final_loss({3, 1}) == 2);
}
