// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/plan_run.hpp>

#include "catch.hpp"
#include "engine.hpp"
#include "executed_chain.hpp"
#include "memory_prediction.hpp"
#include "model_runs.hpp"
#include "model_stage.hpp"
#include "training.hpp"

using namespace omnibal;
using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;

static_assert(stage<model_stage<float>>);

namespace {

/// The documents of each pack; those of a replica's step follow each other.
std::vector<std::vector<document>> some_packs() {
  return {{{1, 5}, {0, 3}}, {{0, 9}}, {{2, 4}, {1, 2}, {0, 1}}, {{0, 2}},
          {{1, 7}},         {{3, 6}}, {{0, 4}, {0, 5}},         {{1, 1}, {2, 8}}};
}

/// The layers with the bytes that they say and made-up times.
std::vector<layer_cost> chain_of(const model_config& config) {
  const auto names = layer_names(config);
  std::vector<layer_cost> chain;
  for (std::size_t l = 0; l < names.size(); ++l) {
    layer_cost layer{.name = names[l],
                     .parameters = 1,
                     .trainable = gradients_of(config)[l].of_weights,
                     .forward_time = cost_per({.tile = 20, .token = 10}),
                     .backward_time = cost_per({.tile = 40, .token = 20}),
                     .weight_gradient_time = cost_per({.tile = 20, .token = 10}),
                     .output_bytes = output_cost(config, l)};
    for (const recompute_kind kind : all_kinds) {
      const model_stage<float> alone(
          config, {.first_layer = l, .end_layer = l + 1, .kinds = {kind}, .splits_backward = true});
      layer.modes.push_back({.name = std::string(to_string(kind)),
                             .kind = kind,
                             .saved_bytes = alone.saved_cost(),
                             .transient_bytes = alone.transient_cost(),
                             .saved_for_weight_gradient = alone.waiting_cost()});
    }
    chain.push_back(std::move(layer));
  }
  return chain;
}

/// A step of two replicas with 5 and 3 packs, on `devices` devices each.
execution_plan plan_of(const model_config& config, any_schedule schedule, std::size_t devices,
                       std::size_t shift) {
  const auto chain = as_executed(chain_of(config));
  const std::size_t virtual_stages = schedule == any_schedule(schedules::interleaved{})
                                         ? 2
                                         : schedule.capabilities().least_virtual_stages;
  const std::size_t stages = devices * virtual_stages;
  pipeline_plan cuts;
  for (std::size_t j = 0; j <= stages; ++j) cuts.cuts.push_back(j * chain.size() / stages);
  for (std::size_t l = 0; l < chain.size(); ++l)
    cuts.modes.push_back((l + shift) % 4 % 3 % chain[l].modes.size());

  std::vector<vision_language_sample> samples;
  grouping<std::uint32_t> packs;
  for (const auto& documents : some_packs()) {
    std::vector<std::uint32_t> pack;
    for (const document& one : documents) {
      pack.push_back(static_cast<std::uint32_t>(samples.size()));
      const auto images = static_cast<std::int64_t>(one.tiles * config.tiles.image_rows());
      samples.push_back(
          {static_cast<std::int64_t>(one.tiles), images + static_cast<std::int64_t>(one.text)});
    }
    packs.append(pack);
  }
  dispatch_plan dispatch{.ranks = 2};
  for (std::uint32_t p = 0; p < packs.size(); ++p) {
    dispatch.groups.push_back(p);
    if (p == 4 || p == 7) dispatch.groups.close_group();
  }
  const run_problem problem{.samples = samples,
                            .chain = chain,
                            .schedule = schedule,
                            .stages = devices,
                            .virtual_stages = virtual_stages,
                            .data_parallel = 2,
                            .global_batch = 13,
                            .memory = {.limit = std::int64_t{1} << 40}};
  execution_plan plan = make_execution_plan(
      problem, evaluate_run(problem, packs, dispatch, {100, 10000}, cuts).strategy);
  plan.peak_memory = planned_memory(plan, chain, 0);
  return plan;
}

std::vector<microbatch> microbatches_of(const model_config& config,
                                        std::span<const std::uint32_t> packs) {
  std::vector<microbatch> all;
  for (const std::uint32_t pack : packs) all.push_back(batch_of(config, some_packs()[pack]));
  return all;
}

/// Gradients stay as the operations leave them.
struct no_update {
  void reduce(std::uint32_t) {}
  void clip() {}
  void step(std::uint32_t) {}
  void gather(std::uint32_t) {}
  void abort(std::string_view) {}
};

/// Gradients are summed over the replicas.
class summing_update {
 public:
  summing_update(thread_channel& replicas, std::vector<model_stage<float>*> stages)
      : replicas_(&replicas), stages_(std::move(stages)) {}

  void reduce(std::uint32_t stage) {
    for (const auto& each : stages_[stage]->parameters())
      replicas_->all_reduce(view_of(each.gradient), reduction::sum).wait();
  }
  void clip() {}
  void step(std::uint32_t) {}
  void gather(std::uint32_t) {}
  void abort(std::string_view reason) { replicas_->abort(reason); }

 private:
  thread_channel* replicas_;
  std::vector<model_stage<float>*> stages_;
};

/// Where a stage reads rows of the micro-batch before, as from a buffer that was not written again.
enum class stale { nothing, activation, gradient };

class stage_under_test : public model_stage<float> {
 public:
  stage_under_test(const model_config& config, const stage_layout& layout, stale reads)
      : model_stage(config, layout), reads_(reads) {}

  void forward(std::size_t m, std::span<const float> in, std::span<float> out) {
    model_stage::forward(m, read(in, stale::activation), out);
  }
  void backward(std::size_t m, std::span<const float> out_gradient, std::span<float> in_gradient) {
    model_stage::backward(m, read(out_gradient, stale::gradient), in_gradient);
  }

 private:
  /// What is read in place of these rows: those of the call before that had any.
  [[nodiscard]] std::span<const float> read(std::span<const float> rows, stale kind) {
    if (kind != reads_ || rows.empty()) return rows;
    const std::vector<float> before = std::exchange(buffer_, {rows.begin(), rows.end()});
    std::copy_n(before.begin(), std::min(before.size(), buffer_.size()), buffer_.begin());
    return buffer_;
  }

  stale reads_;
  std::vector<float> buffer_;
};

struct rank_outcome {
  gradients<float> of = {};
  step_log log = {};
  predicted_memory predicted = {};
  std::int64_t bytes_left = 0;  ///< After the step.
};

/// A step of the model on thread ranks. `sums`: whether gradients are those of all replicas.
std::vector<rank_outcome> run_planned(const model_config& config, const execution_plan& plan,
                                      bool sums = false, stale reads = stale::nothing) {
  std::vector<rank_outcome> outcomes(plan.ranks());
  run_as_ranks(plan.ranks(), [&](thread_communicator& ranks) {
    thread_channel channel = open_thread_channel(
        ranks, {.rendezvous = true, .deadline = std::chrono::seconds(60), .name = "world"});
    const rank_step work = step_of(plan, 0, ranks.rank());
    thread_channel replicas = *channel.split(static_cast<int>(ranks.rank() % plan.devices), 0);
    std::vector<std::unique_ptr<stage_under_test>> owned;
    std::vector<model_stage<float>*> stages(plan.stages.size());
    std::vector<stage_under_test*> run_stages(plan.stages.size());
    for (std::size_t j = 0; j < stages.size(); ++j) {
      if (plan.stages[j].device != ranks.rank() % plan.devices) continue;
      owned.push_back(std::make_unique<stage_under_test>(config, layout_of(plan, j, 7), reads));
      stages[j] = run_stages[j] = owned.back().get();
      stages[j]->begin_step(microbatches_of(config, work.packs));
    }
    engine<stage_under_test, thread_channel> run(plan, channel, run_stages);
    rank_outcome& mine = outcomes[ranks.rank()];
    no_update none;
    summing_update all(replicas, stages);
    mine.log = sums ? run(0, all) : run(0, none);
    mine.predicted = memory_of_step(plan, 0, ranks.rank(), stages);
    for (auto& one : owned) {
      mine.bytes_left += one->bytes_held();
      for (const auto& each : one->parameters())
        mine.of[{each.layer, each.name}] = {each.gradient.begin(), each.gradient.end()};
    }
  });
  return outcomes;
}

/// Bytes are those that were predicted, and within the plan's.
void check_memory(const rank_outcome& rank, std::int64_t planned) {
  CHECK(rank.bytes_left == 0);
  CHECK(rank.log.peak_saved_bytes == rank.predicted.saved);
  CHECK(rank.log.peak_bytes == rank.predicted.activations);
  CHECK(rank.log.peak_bytes <= planned);
}

}  // namespace

TEST_CASE("the model has the gradients of one rank, to the bit, and the bytes of its order") {
  const model_config config = micro_model_of(GENERATE(element_type::f32, element_type::bf16));
  for (const any_schedule& schedule : all_schedules)
    for (const std::size_t devices : {1U, 2U, 4U})
      for (std::size_t shift = 0; shift < 3; ++shift) {
        INFO(name_of(config.numbers)
             << ", " << schedule.name() << ", pp " << devices << ", kinds " << shift);
        const execution_plan plan = plan_of(config, schedule, devices, shift);
        validate(plan);
        const auto outcomes = run_planned(config, plan);
        for (std::size_t replica = 0; replica < 2; ++replica) {
          const auto expected = run_step<float>(config, one_stage(config),
                                                microbatches_of(config, plan.assignment[replica]));
          gradients<float> found;
          for (std::size_t d = 0; d < devices; ++d) {
            const rank_outcome& rank = outcomes[replica * devices + d];
            found.insert(rank.of.begin(), rank.of.end());
            check_memory(rank, plan.peak_memory[d]);
          }
          CHECK(found == expected.of);
        }
      }
}

TEST_CASE("two replicas have the sums of their gradients in the order of ranks, to the bit") {
  const model_config config = micro_model_of(GENERATE(element_type::f32, element_type::bf16));
  for (const any_schedule& schedule : all_schedules)
    for (const std::size_t devices : {1U, 2U}) {
      INFO(name_of(config.numbers) << ", " << schedule.name() << ", pp " << devices);
      const execution_plan plan = plan_of(config, schedule, devices, 1);
      const auto outcomes = run_planned(config, plan, true);
      const auto of = [&](std::span<const std::uint32_t> packs) {
        return run_step<float>(config, one_stage(config), microbatches_of(config, packs)).of;
      };
      gradients<float> folded = of(plan.assignment[0]);
      for (const auto& [name, second] : of(plan.assignment[1]))
        for (std::size_t i = 0; i < second.size(); ++i) folded.at(name)[i] += second[i];
      const gradients<float> whole = of(plan.assignment.indices());
      for (std::size_t replica = 0; replica < 2; ++replica) {
        gradients<float> found;
        for (std::size_t d = 0; d < devices; ++d)
          found.insert(outcomes[replica * devices + d].of.begin(),
                       outcomes[replica * devices + d].of.end());
        CHECK(found == folded);
        CHECK(difference(found, whole) < 1e-6);
      }
    }
}

TEST_CASE("a stage that reads the rows before its own is found") {
  const model_config config = micro_model();
  for (const any_schedule& schedule : all_schedules) {
    INFO(schedule.name());
    const execution_plan plan = plan_of(config, schedule, 2, 0);
    const auto expected =
        run_step<float>(config, one_stage(config), microbatches_of(config, plan.assignment[0]));
    for (const stale reads : {stale::nothing, stale::activation, stale::gradient}) {
      const auto outcomes = run_planned(config, plan, false, reads);
      gradients<float> found;
      for (std::size_t d = 0; d < 2; ++d)
        found.insert(outcomes[d].of.begin(), outcomes[d].of.end());
      CHECK((found == expected.of) == (reads == stale::nothing));
      CHECK((difference(found, expected.of) > 1e-4) == (reads != stale::nothing));
    }
  }
}

TEST_CASE("frozen layers have no gradients, and the others those of a model that is all trained") {
  for (const frozen_part frozen : {frozen_part::vision, frozen_part::language})
    for (const any_schedule& schedule : all_schedules)
      for (const std::size_t devices : {1U, 2U, 4U}) {
        INFO(to_string(frozen) << ", " << schedule.name() << ", pp " << devices);
        model_config config = micro_model();
        const model_config trained = config;
        config.frozen = frozen;
        const execution_plan plan = plan_of(config, schedule, devices, 1);
        validate(plan);
        const auto needs = gradients_of(config);
        const auto outcomes = run_planned(config, plan);
        const auto expected = run_step<float>(trained, one_stage(trained),
                                              microbatches_of(trained, plan.assignment[0]));
        for (std::size_t d = 0; d < devices; ++d) {
          check_memory(outcomes[d], plan.peak_memory[d]);
          for (const auto& [name, gradient] : outcomes[d].of)
            CHECK(gradient ==
                  (needs[name.first].of_weights ? expected.of.at(name) : std::vector<float>()));
        }
      }
}
