// SPDX-License-Identifier: Apache-2.0
/// @file
/// From samples and measured layers to what every rank executes: the library plans cuts and
/// recomputation once, packs the samples of every step, and assigns the packs to ranks.
///
///     const training_plan run = plan_training(chain, task, {.steps = 300, .devices = 2});
///     if (!run.refusal.empty()) …   // nothing fits the memory: run.refusal says which stage
///
/// Step s has the samples s · batch … (s + 1) · batch − 1, whatever the strategy, the cut and the
/// number of ranks: all of them see the same data in the same steps, and so have the same losses up
/// to the order of sums.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/parallel.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/plan_run.hpp>

#include "data.hpp"
#include "executed_chain.hpp"
#include "memory_prediction.hpp"
#include "parameter_memory.hpp"

namespace omnibal::trainer {

/// How a run is planned.
enum class strategy : std::uint8_t {
  naive,       ///< Random padded micro-batches, full recomputation, the whole vision tower on the
               ///< first stage with as many language layers as on the others.
  unbalanced,  ///< The same with layers divided evenly by parameters.
  paper,       ///< The packing, partition and recomputation of the OmniBal paper; always 1F1B.
  planned,     ///< This library's.
};

inline constexpr std::array<std::string_view, 4> strategy_names = {"naive", "unbalanced", "paper",
                                                                   "planned"};

/// Whether the samples of a micro-batch are padded to the longest.
[[nodiscard]] constexpr bool pads(strategy how) noexcept {
  return how == strategy::naive || how == strategy::unbalanced;
}

struct training_shape {
  std::uint64_t seed = 1;
  std::uint32_t steps = 300;
  std::uint32_t batch = 24;  ///< Samples per step.
  any_schedule schedule = {};
  std::size_t devices = 2;         ///< Pipeline-parallel ranks of a replica.
  std::size_t virtual_stages = 0;  ///< Per device; 0: the fewest of the schedule that has a choice.
  std::size_t replicas = 1;
  std::int64_t memory = std::int64_t{1} << 40;  ///< Bytes per rank.
  std::size_t microbatches = 0;                 ///< Per rank and step, about; 0: 4 · devices.
  strategy how = strategy::planned;
};

/// Throws invalid_input naming the member that is out of range.
void validate(const training_shape& shape);

struct training_plan {
  std::string refusal = {};  ///< Why there is no plan; then the rest is empty.
  execution_plan plan = {};
  loads<2> capacity = {};  ///< Of a pack: tiles and tokens.
  /// Per sample: tokens with padding; empty where nothing is padded.
  std::vector<std::int64_t> padded_tokens = {};
  double pad_ratio = 0;  ///< Share of the tokens computed that are padding.
  /// What each kind of balance adds, predicted for the samples that the search saw.
  std::vector<ablation_row> ablation = {};
};

/// Plans all steps. Throws invalid_input for a shape out of range.
[[nodiscard]] training_plan plan_training(std::span<const layer_cost> chain,
                                          const picture_task& task, const training_shape& shape);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// The paper's partition is one for 1F1B, with a stage per device.
[[nodiscard]] inline training_shape with_own_schedule(training_shape shape) {
  if (shape.how != strategy::paper) return shape;
  if (shape.schedule.capabilities().most_virtual_stages > 1) shape.virtual_stages = 1;
  shape.schedule = schedules::one_forward_one_backward{};
  return shape;
}

/// The packs of all steps in order, assigned to steps and replicas.
struct assigned_packs {
  grouping<std::uint32_t> packs = {};
  dispatch_plan dispatch = {};
};

class training_planner {
 public:
  training_planner(std::span<const layer_cost> chain, const picture_task& task,
                   const training_shape& shape)
      : chain_(as_executed(chain)),
        shape_(with_own_schedule(shape)),
        samples_(std::size_t{shape.steps} * shape.batch),
        labels_(samples_.size()) {
    parallel_for(samples_.size(), 0, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        samples_[i] = task.size_of(i);
        labels_[i] = task.label_tokens_of(i);
      }
    });
    for (std::uint32_t i = 0; i < searched_steps * shape.batch; ++i)
      searched_samples_.push_back(task.size_of(i));
  }

  [[nodiscard]] training_plan make() {
    if (shape_.memory <= reserved())
      return refused(
          {.reason = infeasibility::cause::memory, .bytes_short = reserved() + 1 - shape_.memory});
    result_.capacity = capacity();
    const assigned_packs assigned = assign();
    pad(assigned.packs);
    std::int64_t limit = shape_.memory;
    while (true) {
      const run_result searched = plan_run(problem(searched_samples_, limit));
      const run_strategy& found = strategy_of(searched);
      const bool is_first = limit == shape_.memory;
      if (found.status == search_status::infeasible)
        return is_first ? refused(found.why) : refused(result_.plan.peak_memory);
      if (is_first) result_.ablation = searched.ablation;
      execute(found.plan, assigned);
      const std::int64_t excess = std::ranges::max(result_.plan.peak_memory) - shape_.memory;
      if (excess <= 0) return std::move(result_);
      // The search sees other packs than those that are run, and may fill the memory to the byte:
      // the next one has less. Baselines do not plan by memory.
      limit = std::min(limit, std::ranges::max(found.epoch.peak_memory)) - excess;
      if (pads(shape_.how) || limit <= reserved()) return refused(result_.plan.peak_memory);
    }
  }

 private:
  /// The search sees so many steps, however many are run: a longer run has the same plan.
  static constexpr std::uint32_t searched_steps = 64;
  static constexpr std::int64_t unlimited_memory = std::int64_t{1} << 56;

  /// Packs of this capacity are about as many as micro-batches are asked for; the longest sample of
  /// the run fits, also one that the search does not see.
  [[nodiscard]] loads<2> capacity() const {
    const std::size_t wanted = shape_.microbatches > 0 ? shape_.microbatches : 4 * shape_.devices;
    loads<2> sum = {};
    loads<2> longest = {1, 1};
    for (const vision_language_sample& each : searched_samples_)
      for (std::size_t r = 0; r < 2; ++r) sum[r] += each[r];
    for (const auto& samples : {std::span(searched_samples_), std::span(samples_)})
      for (const vision_language_sample& each : samples)
        for (std::size_t r = 0; r < 2; ++r) longest[r] = std::max(longest[r], each[r]);
    loads<2> capacity = {};
    const auto packs = static_cast<std::int64_t>(wanted * shape_.replicas * searched_steps);
    // A tenth more, since packs are not filled to the last token.
    for (std::size_t r = 0; r < 2; ++r)
      capacity[r] = std::max(longest[r], (11 * sum[r] + 10 * packs - 1) / (10 * packs));
    return capacity;
  }

  /// The plan of all steps, whatever memory it needs.
  void execute(const pipeline_plan& cuts, const assigned_packs& assigned) {
    const run_problem all = problem(samples_, unlimited_memory);
    const run_strategy evaluated =
        evaluate_run(all, assigned.packs, assigned.dispatch, result_.capacity, cuts).strategy;
    result_.plan = make_execution_plan(all, evaluated,
                                       {.shards_optimizer = true,
                                        .gradient_bytes = 4,
                                        .weight_bytes = 4,
                                        .label_tokens = labels_});
    result_.plan.peak_memory = planned_memory(result_.plan, chain_, reserved());
  }

  [[nodiscard]] run_problem problem(std::span<const vision_language_sample> samples,
                                    std::int64_t memory) const {
    return {.samples = samples,
            .chain = chain_,
            .schedule = shape_.schedule,
            .stages = shape_.devices,
            .virtual_stages = virtual_stages(),
            .data_parallel = shape_.replicas,
            .global_batch = shape_.batch,
            .memory = {.limit = memory, .reserved = reserved()},
            .capacity = result_.capacity,
            .seed = shape_.seed};
  }

  /// Shards of the optimizer's state are in whole blocks, and layers count their shares alone.
  [[nodiscard]] std::int64_t reserved() const {
    return undivided_bytes(shape_.replicas) * static_cast<std::int64_t>(virtual_stages());
  }

  [[nodiscard]] std::size_t virtual_stages() const {
    if (shape_.virtual_stages > 0) return shape_.virtual_stages;
    const schedule_capabilities& can = shape_.schedule.capabilities();
    return can.most_virtual_stages > 1 ? std::max<std::size_t>(2, can.least_virtual_stages) : 1;
  }

  [[nodiscard]] const run_strategy& strategy_of(const run_result& run) const {
    switch (shape_.how) {
      case strategy::naive: return run.naive;
      case strategy::unbalanced: return run.unbalanced;
      case strategy::paper: return run.published;
      case strategy::planned: break;
    }
    return run.planned;
  }

  /// The packs of a step, of samples numbered from 0, assigned to the replicas.
  [[nodiscard]] batch_plan batches_of(std::uint32_t step) const {
    const auto window = std::span(samples_).subspan(std::size_t{step} * shape_.batch, shape_.batch);
    const batch_options options{.ranks = shape_.replicas,
                                .global_batch = shape_.batch,
                                .seed = shape_.seed + step,
                                .cost = necessary_time(chain_)};
    switch (shape_.how) {
      case strategy::naive:
      case strategy::unbalanced: return unbalanced_batches(window, options);
      case strategy::paper: return paper_batches(window, result_.capacity, options);
      case strategy::planned: break;
    }
    return balanced_batches(window, result_.capacity, options);
  }

  /// The packs of a step, each with its samples, and those of each replica. A window that came as
  /// several steps, since a replica had too few packs, is one step all the same: the replica has
  /// the packs of all of them.
  struct step_packs {
    grouping<std::uint32_t> samples = {};
    grouping<std::uint32_t> of_replica = {};
  };

  [[nodiscard]] step_packs packs_of(std::uint32_t step) const {
    batch_plan batches = batches_of(step);
    step_packs packs{.samples = std::move(batches.packing.packs)};
    for (std::size_t r = 0; r < shape_.replicas; ++r) {
      for (std::size_t s = 0; s < batches.load.steps(); ++s)
        for (const std::uint32_t pack : batches.load.assignment[s * shape_.replicas + r])
          packs.of_replica.push_back(pack);
      packs.of_replica.close_group();
    }
    return packs;
  }

  /// Steps do not depend on each other, so all threads of the machine pack them.
  [[nodiscard]] assigned_packs assign() const {
    std::vector<step_packs> steps(shape_.steps);
    parallel_for(steps.size(), 0, [&](std::size_t begin, std::size_t end) {
      for (std::size_t step = begin; step < end; ++step)
        steps[step] = packs_of(static_cast<std::uint32_t>(step));
    });
    assigned_packs all;
    all.dispatch.ranks = static_cast<std::uint32_t>(shape_.replicas);
    for (std::uint32_t step = 0; step < shape_.steps; ++step) {
      const step_packs packs = std::exchange(steps[step], {});
      const auto first = static_cast<std::uint32_t>(all.packs.size());
      for (std::size_t k = 0; k < packs.samples.size(); ++k) {
        for (const std::uint32_t sample : packs.samples[k])
          all.packs.push_back(step * shape_.batch + sample);
        all.packs.close_group();
      }
      for (std::size_t r = 0; r < shape_.replicas; ++r) {
        for (const std::uint32_t pack : packs.of_replica[r])
          all.dispatch.groups.push_back(first + pack);
        all.dispatch.groups.close_group();
      }
    }
    return all;
  }

  /// Every sample of a micro-batch to the longest.
  void pad(const grouping<std::uint32_t>& packs) {
    if (!pads(shape_.how)) return;
    std::int64_t before = 0;
    std::int64_t after = 0;
    for (std::size_t k = 0; k < packs.size(); ++k) {
      std::int64_t longest = 0;
      for (const std::uint32_t i : packs[k]) longest = std::max(longest, samples_[i][1]);
      for (const std::uint32_t i : packs[k]) {
        before += samples_[i][1];
        after += longest;
        samples_[i][1] = longest;
      }
    }
    for (const vision_language_sample& each : samples_) result_.padded_tokens.push_back(each[1]);
    result_.pad_ratio = 1 - static_cast<double>(before) / static_cast<double>(after);
  }

  [[nodiscard]] training_plan refused(const infeasibility& why) const {
    if (why.reason == infeasibility::cause::fewer_layers_than_stages) return refused_stages();
    if (why.reason == infeasibility::cause::memory)
      return {.refusal = "no plan fits " + std::to_string(shape_.memory) +
                         " bytes per rank: stage " + std::to_string(why.binding_stage) +
                         " lacks at least " + std::to_string(why.bytes_short) + " bytes"};
    if (why.reason == infeasibility::cause::global_batch) return refused_batch();
    return {.refusal = "no plan: " + std::string(to_string(why.reason))};
  }

  /// Every replica has a pack in every step; under the interleaved schedule one per device.
  [[nodiscard]] training_plan refused_batch() const {
    return {.refusal = "no plan: the " + std::to_string(shape_.batch) +
                       " samples of a step are too few packs for " +
                       std::to_string(shape_.replicas) + " replicas of " +
                       std::to_string(shape_.devices) + " ranks under the schedule " +
                       std::string(shape_.schedule.name()) +
                       ": more --batch, more --microbatches or fewer --dp"};
  }

  /// Naive stages have a language layer each, others a layer.
  [[nodiscard]] training_plan refused_stages() const {
    const std::size_t stages = shape_.devices * virtual_stages();
    const bool naive = chain_.size() >= stages;
    const auto layers = naive ? std::ranges::count(chain_, layer_kind::language, &layer_cost::kind)
                              : static_cast<std::ptrdiff_t>(chain_.size());
    return {.refusal = "the model has " + std::to_string(layers) +
                       (naive ? " language layers" : " layers") + ", fewer than stages" +
                       (naive ? " of a naive plan: " : ": ") + std::to_string(stages)};
  }

  [[nodiscard]] training_plan refused(const std::vector<std::int64_t>& peaks) const {
    const auto worst = std::ranges::max_element(peaks);
    return {.refusal = "no plan fits " + std::to_string(shape_.memory) + " bytes per rank: stage " +
                       std::to_string(worst - peaks.begin()) + " lacks " +
                       std::to_string(*worst - shape_.memory) + " bytes"};
  }

  std::vector<layer_cost> chain_;
  training_shape shape_;
  std::vector<vision_language_sample> samples_;
  std::vector<vision_language_sample> searched_samples_;
  std::vector<std::int64_t> labels_;
  training_plan result_;
};

}  // namespace detail

inline void validate(const training_shape& shape) {
  const auto require = [](const char* field, auto value, auto least) {
    if (value < least)
      throw invalid_input(field, value, "must be at least " + std::to_string(least));
  };
  require("steps", shape.steps, 1U);
  require("batch", shape.batch, 1U);
  require("devices", shape.devices, std::size_t{1});
  require("replicas", shape.replicas, std::size_t{1});
  require("memory", shape.memory, std::int64_t{1});
  if (std::uint64_t{shape.steps} * shape.batch > 0xFFFFFFFFU)
    throw invalid_input("steps", shape.steps, "times the batch must be at most 2^32 - 1");
}

inline training_plan plan_training(std::span<const layer_cost> chain, const picture_task& task,
                                   const training_shape& shape) {
  validate(shape);
  return detail::training_planner(chain, task, shape).make();
}

}  // namespace omnibal::trainer
