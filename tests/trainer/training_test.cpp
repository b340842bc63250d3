// SPDX-License-Identifier: Apache-2.0
// From a plan to trained ranks.
#include "training.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "catch.hpp"
#include "checkpoint.hpp"
#include "data.hpp"
#include "model.hpp"
#include "model_stage.hpp"
#include "report.hpp"
#include "short_runs.hpp"
#include "strategy_run.hpp"

using namespace omnibal;
using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;

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
    CHECK(report.ranks[r].peak_activation_bytes == report.ranks[r].predicted_peak_activation_bytes);
    CHECK(report.ranks[r].parameter_bytes + report.ranks[r].peak_activation_bytes <=
          planned.plan.peak_memory[r % 2]);
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

TEST_CASE("items are replayed with what was computed for them, not with their waiting") {
  const step_log log{
      .items = {{.kind = item_kind::forward}, {.kind = item_kind::send_activation}},
      .times = {{.begin = 0, .end = 90, .computed = 40}, {.begin = 90, .end = 500, .computed = 5}}};
  CHECK(trainer::detail::durations_of(std::vector{log}) ==
        std::vector<std::vector<std::int64_t>>{{40, 5}});
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
