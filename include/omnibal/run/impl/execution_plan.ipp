// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/message_order.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/pipeline/simulate_items.hpp>
#include <omnibal/run/detail/kept_samples.hpp>
#include <omnibal/run/detail/prepared_schedule.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/execution_program.hpp>
#include <omnibal/run/layer_binding.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// What a device does after its last operation: all reductions, all steps, all gathers.
[[nodiscard]] inline std::vector<execution_item> closing_items(const execution_plan& plan,
                                                               std::uint32_t device) {
  std::vector<execution_item> items;
  for (const item_kind kind : {item_kind::reduce, item_kind::step, item_kind::gather}) {
    if (kind == item_kind::reduce && plan.replicas == 1) continue;
    if (kind == item_kind::gather && (plan.replicas == 1 || !plan.shards_optimizer)) continue;
    for (std::uint32_t j = 0; j < plan.stages.size(); ++j)
      if (plan.stages[j].device == device && plan.stages[j].trained)
        items.push_back({.kind = kind, .stage = j});
  }
  return items;
}

/// The index of lanes in a plan, to which they are added unless it has them.
[[nodiscard]] inline std::uint32_t index_of_lanes(execution_plan& plan, execution_lanes lanes) {
  const auto found = std::ranges::find(plan.lanes, lanes);
  const auto index = static_cast<std::uint32_t>(found - plan.lanes.begin());
  if (found == plan.lanes.end()) plan.lanes.push_back(std::move(lanes));
  return index;
}

/// Makes the execution of a strategy.
class execution_builder {
 public:
  execution_builder(const run_problem& problem, const run_strategy& strategy,
                    const execution_options& options)
      : problem_(problem),
        strategy_(strategy),
        options_(options),
        chain_(chain_under(strategy.schedule.kind, problem.chain, problem.recompute_for_w)),
        stages_(stage_models(chain_, strategy.plan, strategy.schedule,
                             strategy.data.load.mean_microbatch(), problem.overlap)),
        schedules_(strategy.schedule) {}

  [[nodiscard]] execution_plan make() {
    check_options();
    plan_.schedule = std::string(strategy_.schedule.kind.name());
    plan_.devices = static_cast<std::uint32_t>(strategy_.schedule.stages);
    plan_.virtual_stages = static_cast<std::uint32_t>(strategy_.schedule.virtual_stages);
    plan_.replicas = static_cast<std::uint32_t>(strategy_.data.load.ranks);
    plan_.splits_backward = strategy_.schedule.splits_backward();
    plan_.shards_optimizer = options_.shards_optimizer;
    plan_.packs = strategy_.data.packing.packs;
    plan_.skipped = samples_in(problem_.samples, plan_.packs).skipped;
    plan_.workloads = strategy_.data.load.microbatches;
    plan_.assignment = strategy_.data.load.assignment;
    plan_.peak_memory = strategy_.epoch.peak_memory;
    plan_.bubble_ratio = strategy_.epoch.bubble_ratio;
    add_layers();
    add_stages();
    add_labels();
    add_steps();
    return std::move(plan_);
  }

 private:
  void check_options() const {
    if (options_.tensor_parallel < 1)
      throw invalid_input("tensor_parallel", options_.tensor_parallel, "must be at least 1");
    if (options_.gradient_bytes < 0)
      throw invalid_input("gradient_bytes", options_.gradient_bytes, "must not be negative");
    if (options_.weight_bytes < 0)
      throw invalid_input("weight_bytes", options_.weight_bytes, "must not be negative");
    const auto& labels = options_.label_tokens;
    if (!labels.empty() && labels.size() != problem_.samples.size())
      throw invalid_input("label_tokens", labels.size(),
                          "must be one per sample, " + std::to_string(problem_.samples.size()));
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (labels[i] < 0) throw invalid_input("label_tokens", i, labels[i], "must not be negative");
  }

  void add_layers() {
    for (std::size_t l = 0; l < chain_.size(); ++l) {
      const mode_cost& mode = chain_[l].modes[strategy_.plan.modes[l]];
      plan_.layers.push_back({.name = chain_[l].name, .mode = mode.name, .kind = mode.kind});
    }
  }

  void add_stages() {
    const std::vector<std::size_t>& cuts = strategy_.plan.cuts;
    bool trained_before = false;
    for (std::size_t j = 0; j < stages_.size(); ++j) {
      const stage_model& costs = stages_[j];
      execution_stage stage{.device = static_cast<std::uint32_t>(strategy_.schedule.device(j)),
                            .first_layer = static_cast<std::uint32_t>(cuts[j]),
                            .end_layer = static_cast<std::uint32_t>(cuts[j + 1]),
                            .trained = false,
                            .forward_time = costs.forward_time,
                            .backward_time = costs.backward_time,
                            .weight_gradient_time = costs.weight_gradient_time,
                            .forward_latency = costs.forward_latency,
                            .backward_latency = costs.backward_latency,
                            .step_time = costs.step_time};
      for (std::size_t l = cuts[j]; l < cuts[j + 1]; ++l) add_parameters(chain_[l], stage);
      trained_before = trained_before || stage.trained;
      if (j + 1 < stages_.size()) {
        stage.activation_bytes = output_of(cuts[j + 1] - 1);
        if (trained_before) stage.gradient_bytes = stage.activation_bytes;
      }
      plan_.stages.push_back(stage);
    }
  }

  void add_parameters(const layer_cost& layer, execution_stage& stage) const {
    if (!layer.trainable) return;
    stage.trained = true;
    const std::int64_t own = divide_rounding_up(layer.parameters, options_.tensor_parallel);
    const auto add = [&](std::int64_t& sum, std::int64_t each) {
      sum = checked_add(sum, checked_multiply(own, each, "parameters"), "parameters");
    };
    add(stage.reduce_bytes, options_.gradient_bytes);
    add(stage.gather_bytes, options_.weight_bytes);
  }

  [[nodiscard]] linear_cost output_of(std::size_t layer) const {
    const linear_cost& bytes = chain_[layer].output_bytes;
    if (bytes == linear_cost{})
      throw invalid_input("output_bytes", layer, chain_[layer].name,
                          "passes its output to another stage: the chain must give its bytes");
    return bytes;
  }

  void add_labels() {
    if (options_.label_tokens.empty()) return;
    for (std::size_t pack = 0; pack < plan_.packs.size(); ++pack) {
      std::int64_t sum = 0;
      for (const std::uint32_t sample : plan_.packs[pack])
        sum = checked_add(sum, options_.label_tokens[sample], "label_tokens");
      plan_.label_tokens.push_back(sum);
    }
  }

  void add_steps() {
    const std::vector<std::int64_t> closing = device_step_times(strategy_.schedule, stages_);
    std::vector<std::int64_t> device_end;
    for (std::size_t group = 0; group < plan_.assignment.size(); ++group) {
      if (group % plan_.replicas == 0) device_end.assign(plan_.devices, 0);
      plan_.program_of.push_back(add_program(plan_.assignment[group], device_end));
      if ((group + 1) % plan_.replicas != 0) continue;
      std::int64_t time = 0;
      for (std::size_t d = 0; d < plan_.devices; ++d)
        time = std::max(time, checked_add(device_end[d], closing[d], "step time"));
      plan_.step_times.push_back(time);
    }
  }

  /// The program of a replica's step; delays the ends of devices to those of its simulation.
  [[nodiscard]] std::uint32_t add_program(std::span<const std::uint32_t> packs,
                                          std::vector<std::int64_t>& device_end) {
    std::uint32_t microbatches = 0;
    std::vector<std::vector<execution_item>> devices(plan_.devices);
    if (!packs.empty()) {
      const prepared_schedule& prepared = schedules_.of(packs.size());
      times_.evaluate(stages_, strategy_.data.load, packs, prepared.graph.microbatches());
      const simulation<std::int64_t> run = simulate(prepared.graph, times_);
      for (std::size_t d = 0; d < plan_.devices; ++d)
        device_end[d] = std::max(device_end[d], run.end[d]);
      if (options_.order == order_source::mean)
        if (const auto known = by_size_.find(packs.size()); known != by_size_.end())
          return known->second;
      microbatches = static_cast<std::uint32_t>(prepared.graph.microbatches());
      devices = options_.order == order_source::exact ? message_order(prepared.graph, times_)
                                                      : mean_order(prepared.graph, packs.size());
    }
    for (std::uint32_t d = 0; d < plan_.devices; ++d)
      for (const execution_item& item : closing_items(plan_, d)) devices[d].push_back(item);
    const std::uint32_t index = index_of(split_into_lanes(microbatches, devices));
    by_size_.try_emplace(packs.size(), index);
    return index;
  }

  [[nodiscard]] std::vector<std::vector<execution_item>> mean_order(const operation_graph& graph,
                                                                    std::size_t real) {
    const epoch_load mean{.microbatches = {strategy_.data.load.mean_microbatch()}};
    microbatch_times times;
    times.evaluate(stages_, mean, std::vector<std::uint32_t>(real, 0), graph.microbatches());
    return message_order(graph, times);
  }

  /// The index of a program, added unless it is there already.
  [[nodiscard]] std::uint32_t index_of(split_items split) {
    execution_program program{.lanes = index_of_lanes(plan_, std::move(split.lanes)),
                              .turns = std::move(split.turns)};
    hash_stream hash;
    add_to_hash(hash, program.lanes);
    for (const std::string& turns : program.turns) hash.add(std::as_bytes(std::span(turns)));
    std::vector<std::uint32_t>& same = by_hash_[hash.value()];
    for (const std::uint32_t index : same)
      if (plan_.programs[index] == program) return index;
    same.push_back(static_cast<std::uint32_t>(plan_.programs.size()));
    plan_.programs.push_back(std::move(program));
    return same.back();
  }

  const run_problem& problem_;
  const run_strategy& strategy_;
  const execution_options& options_;
  std::vector<layer_cost> chain_;
  std::vector<stage_model> stages_;
  prepared_schedules schedules_;
  microbatch_times times_;
  std::map<std::size_t, std::uint32_t> by_size_;
  std::map<std::uint64_t, std::vector<std::uint32_t>> by_hash_;
  execution_plan plan_;
};

// ---- checks
// ---------------------------------------------------------------------------------------

inline void check_stages(const execution_plan& plan) {
  const std::size_t total = std::size_t{plan.devices} * plan.virtual_stages;
  if (plan.devices == 0 || plan.virtual_stages == 0 || plan.replicas == 0)
    throw invalid_input("devices", plan.devices,
                        "devices, virtual stages and replicas must each be at least 1");
  if (plan.stages.size() != total)
    throw invalid_input("stages", plan.stages.size(),
                        "must be virtual stages times devices, " + std::to_string(total));
  std::vector<std::uint32_t> on_device(plan.devices, 0);
  std::uint32_t next = 0;
  for (std::size_t j = 0; j < total; ++j) {
    const execution_stage& stage = plan.stages[j];
    if (stage.device >= plan.devices)
      throw invalid_input("stages.device", j, stage.device, "is no device");
    if (++on_device[stage.device] > plan.virtual_stages)
      throw invalid_input("stages.device", j, stage.device, "has more than its virtual stages");
    if (stage.first_layer != next || stage.end_layer <= next ||
        stage.end_layer > plan.layers.size())
      throw invalid_input("stages.layers", j, stage.first_layer,
                          "must be the layer after the stage before, and every stage have one");
    next = stage.end_layer;
    for (const std::int64_t amount : {stage.reduce_bytes, stage.gather_bytes, stage.step_time})
      if (amount < 0) throw invalid_input("stages", j, amount, "must not be negative");
    for (const linear_cost& cost :
         {stage.forward_time, stage.backward_time, stage.weight_gradient_time,
          stage.forward_latency, stage.backward_latency, stage.activation_bytes,
          stage.gradient_bytes})
      for (const std::int64_t part :
           {cost.constant, cost.per_tile, cost.per_token, cost.per_squared_token})
        if (part < 0) throw invalid_input("stages", j, part, "coefficients must not be negative");
  }
  if (next != plan.layers.size())
    throw invalid_input("layers", plan.layers.size(),
                        "must all be in a stage; " + std::to_string(next) + " are");
}

/// Throws unless the indices are 0 … size − 1, each once.
inline void expect_each_once(const char* field, std::span<const std::uint32_t> indices,
                             std::size_t size) {
  std::vector<char> seen(size, 0);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] >= size) throw invalid_input(field, i, indices[i], "does not exist");
    if (std::exchange(seen[indices[i]], char{1}) != 0)
      throw invalid_input(field, i, indices[i], "appears twice");
  }
  for (std::size_t i = 0; i < size; ++i)
    if (seen[i] == 0) throw invalid_input(field, i, "missing from the plan");
}

inline void check_data(const execution_plan& plan) {
  std::vector<std::uint32_t> samples(plan.packs.indices().begin(), plan.packs.indices().end());
  samples.insert(samples.end(), plan.skipped.begin(), plan.skipped.end());
  expect_each_once("packs.samples", samples, samples.size());
  if (plan.workloads.size() != plan.packs.size())
    throw invalid_input("workloads", plan.workloads.size(),
                        "must be one per pack, " + std::to_string(plan.packs.size()));
  for (std::size_t i = 0; i < plan.workloads.size(); ++i)
    for (const std::int64_t amount :
         {plan.workloads[i].tiles, plan.workloads[i].tokens, plan.workloads[i].squared_tokens})
      if (amount < 0) throw invalid_input("workloads", i, amount, "must not be negative");
  if (!plan.label_tokens.empty() && plan.label_tokens.size() != plan.packs.size())
    throw invalid_input("label_tokens", plan.label_tokens.size(), "must be one per pack");
  for (std::size_t i = 0; i < plan.label_tokens.size(); ++i)
    if (plan.label_tokens[i] < 0)
      throw invalid_input("label_tokens", i, plan.label_tokens[i], "must not be negative");
  expect_each_once("steps.packs", plan.assignment.indices(), plan.packs.size());
  if (plan.assignment.size() % plan.replicas != 0)
    throw invalid_input(
        "steps", plan.assignment.size(),
        "must name all replicas, " + std::to_string(plan.replicas) + ", idle ones too");
  if (plan.step_times.size() != plan.steps())
    throw invalid_input("steps.time", plan.step_times.size(), "must be one per step");
  if (plan.program_of.size() != plan.assignment.size())
    throw invalid_input("steps.program", plan.program_of.size(),
                        "must be one per step and replica");
  for (std::size_t g = 0; g < plan.program_of.size(); ++g) {
    if (plan.program_of[g] >= plan.programs.size())
      throw invalid_input("steps.program", g, plan.program_of[g], "does not exist");
    const std::uint32_t lanes = plan.programs[plan.program_of[g]].lanes;
    if (lanes >= plan.lanes.size())
      throw invalid_input("programs[].lanes", plan.program_of[g], lanes, "does not exist");
    const std::size_t places = plan.lanes[lanes].microbatches;
    if (plan.assignment[g].size() > places || (plan.assignment[g].empty() && places > 0))
      throw invalid_input("steps.program", g, plan.program_of[g],
                          "has another number of micro-batches than the replica has packs");
  }
}

/// All items that a device must have in a program of m micro-batches, in no order.
[[nodiscard]] inline std::vector<execution_item> required_items(const execution_plan& plan,
                                                                std::uint32_t device,
                                                                std::uint32_t microbatches) {
  std::vector<execution_item> items;
  const auto stages = static_cast<std::uint32_t>(plan.stages.size());
  for (std::uint32_t j = 0; j < stages; ++j) {
    if (plan.stages[j].device != device) continue;
    for (std::uint32_t m = 0; m < microbatches; ++m) {
      items.push_back({.kind = item_kind::forward, .stage = j, .microbatch = m});
      items.push_back({.kind = item_kind::backward, .stage = j, .microbatch = m});
      if (plan.splits_backward)
        items.push_back({.kind = item_kind::weight_gradient, .stage = j, .microbatch = m});
      const auto message = [&](item_kind kind, std::uint32_t neighbour) {
        const std::uint32_t peer = plan.stages[neighbour].device;
        if (peer != device)
          items.push_back({.kind = kind, .stage = j, .microbatch = m, .peer = peer});
      };
      if (j > 0) {
        message(item_kind::receive_activation, j - 1);
        message(item_kind::send_gradient, j - 1);
      }
      if (j + 1 < stages) {
        message(item_kind::send_activation, j + 1);
        message(item_kind::receive_gradient, j + 1);
      }
    }
  }
  for (const execution_item& item : closing_items(plan, device)) items.push_back(item);
  return items;
}

[[nodiscard]] inline auto sort_key(const execution_item& item) noexcept {
  return std::tuple(item.kind, item.stage, item.microbatch, item.peer);
}

/// Throws unless the lanes have every item that each device must have once.
inline void check_lanes(const execution_plan& plan, std::size_t index) {
  const execution_lanes& lanes = plan.lanes[index];
  if (lanes.devices.size() != plan.devices)
    throw invalid_input("lanes[].devices", index, lanes.devices.size(),
                        "must be one per device, " + std::to_string(plan.devices));
  for (std::uint32_t d = 0; d < plan.devices; ++d) {
    std::vector<execution_item> given;
    for (const auto& lane : lanes.devices[d]) given.insert(given.end(), lane.begin(), lane.end());
    if (lanes.microbatches > given.size())
      throw invalid_input("lanes[].devices", {index, d}, given.size(),
                          "items are fewer than micro-batches");
    std::vector<execution_item> required = required_items(plan, d, lanes.microbatches);
    std::ranges::sort(given, {}, sort_key);
    std::ranges::sort(required, {}, sort_key);
    const auto [left, right] = std::ranges::mismatch(given, required);
    if (left == given.end() && right != required.end())
      throw invalid_input("lanes[].devices", {index, d}, to_string(*right), "is missing");
    if (left != given.end())
      throw invalid_input("lanes[].devices", {index, d}, to_string(*left),
                          right != required.end() && sort_key(*right) < sort_key(*left)
                              ? "is there, but " + to_string(*right) + " is missing"
                              : "appears twice, or is none of this device's");
  }
}

/// As items_of(), with errors that name the program.
[[nodiscard]] inline std::vector<execution_item> items_or_refusal(const execution_plan& plan,
                                                                  std::size_t program,
                                                                  std::size_t device) {
  try {
    return items_of(plan, program, device);
  } catch (const invalid_input& error) {
    throw invalid_input("programs[].turns[]", {program, device, *error.index()}, error.value(),
                        error.advice());
  }
}

/// Throws unless every device takes its items once and no device waits for ever.
inline void check_program(const execution_plan& plan, std::size_t index) {
  const execution_program& program = plan.programs[index];
  if (program.lanes >= plan.lanes.size())
    throw invalid_input("programs[].lanes", index, program.lanes, "does not exist");
  if (program.turns.size() != plan.devices)
    throw invalid_input("programs[].turns", index, program.turns.size(),
                        "must be one per device, " + std::to_string(plan.devices));
  std::vector<std::vector<execution_item>> devices;
  std::vector<std::vector<std::int64_t>> durations;
  for (std::uint32_t d = 0; d < plan.devices; ++d) {
    devices.push_back(items_or_refusal(plan, index, d));
    const std::vector<execution_item> closing = closing_items(plan, d);
    if (!std::equal(closing.rbegin(), closing.rend(), devices[d].rbegin()))
      throw invalid_input("programs[].turns[]", {index, d}, to_string(devices[d].back()),
                          "must end with the reductions, steps and gathers of its stages");
    durations.emplace_back(devices[d].size(), 0);
  }
  // Durations do not matter. All replicas have the same collectives, so one of them is enough.
  const item_simulation run = simulate_items({.devices = plan.devices,
                                              .ranks = devices,
                                              .durations = durations,
                                              .queues = item_queues::one});
  if (run.stuck.empty()) return;
  const std::uint32_t stuck = run.stuck.front();
  throw invalid_input("programs[].turns[]", {index, stuck},
                      to_string(devices[stuck][run.first_unfinished(stuck)]), "waits for ever");
}

}  // namespace detail

OMNIBAL_INLINE execution_plan make_execution_plan(const run_problem& problem,
                                                  const run_strategy& strategy,
                                                  const execution_options& options) {
  return detail::execution_builder(problem, strategy, options).make();
}

OMNIBAL_INLINE std::vector<execution_item> items_of(const execution_plan& plan, std::size_t program,
                                                    std::size_t device) {
  const execution_program& one = plan.programs[program];
  return items_of(plan.lanes[one.lanes], one.turns[device], device);
}

OMNIBAL_INLINE std::uint32_t add_program(execution_plan& plan, std::uint32_t microbatches,
                                         std::span<const std::vector<execution_item>> devices) {
  split_items split = split_into_lanes(microbatches, devices);
  plan.programs.push_back({.lanes = detail::index_of_lanes(plan, std::move(split.lanes)),
                           .turns = std::move(split.turns)});
  return static_cast<std::uint32_t>(plan.programs.size() - 1);
}

OMNIBAL_INLINE rank_step step_of(const execution_plan& plan, std::size_t step, std::size_t rank) {
  const std::size_t replica = rank / plan.devices;
  const std::size_t group = step * plan.replicas + replica;
  const std::span<const std::uint32_t> packs = plan.assignment[group];
  rank_step result{.items = items_of(plan, plan.program_of[group], rank % plan.devices),
                   .packs = {packs.begin(), packs.end()}};
  for (execution_item& item : result.items) {
    if (is_message(item.kind)) item.peer += static_cast<std::uint32_t>(replica * plan.devices);
    const execution_stage& stage = plan.stages[item.stage];
    const auto passed = [&](const linear_cost& bytes) {
      return item.microbatch < packs.size() ? bytes.of(plan.workloads[packs[item.microbatch]])
                                            : std::int64_t{0};
    };
    std::int64_t bytes = 0;
    switch (item.kind) {
      case item_kind::send_activation: bytes = passed(stage.activation_bytes); break;
      case item_kind::receive_gradient: bytes = passed(stage.gradient_bytes); break;
      case item_kind::receive_activation:
        bytes = passed(plan.stages[item.stage - 1].activation_bytes);
        break;
      case item_kind::send_gradient:
        bytes = passed(plan.stages[item.stage - 1].gradient_bytes);
        break;
      case item_kind::reduce: bytes = stage.reduce_bytes; break;
      case item_kind::gather: bytes = stage.gather_bytes; break;
      default: break;
    }
    result.bytes.push_back(bytes);
  }
  return result;
}

OMNIBAL_INLINE std::vector<std::int64_t> predicted_durations(const execution_plan& plan,
                                                             std::size_t step, std::size_t rank) {
  const std::size_t group = step * plan.replicas + rank / plan.devices;
  const std::span<const std::uint32_t> packs = plan.assignment[group];
  std::vector<std::int64_t> durations;
  for (const execution_item& item : items_of(plan, plan.program_of[group], rank % plan.devices)) {
    const workload work =
        item.microbatch < packs.size() ? plan.workloads[packs[item.microbatch]] : workload{};
    const execution_stage& stage = plan.stages[item.stage];
    std::int64_t time = 0;
    switch (item.kind) {
      case item_kind::forward: time = stage.forward_time.of(work); break;
      case item_kind::backward:
        time = stage.backward_time.of(work) - stage.weight_gradient_time.of(work);
        break;
      case item_kind::weight_gradient: time = stage.weight_gradient_time.of(work); break;
      case item_kind::send_activation: time = stage.forward_latency.of(work); break;
      case item_kind::receive_gradient: time = stage.backward_latency.of(work); break;
      case item_kind::receive_activation:
        time = plan.stages[item.stage - 1].forward_latency.of(work);
        break;
      case item_kind::send_gradient:
        time = plan.stages[item.stage - 1].backward_latency.of(work);
        break;
      case item_kind::reduce: time = stage.step_time; break;
      case item_kind::step: time = plan.replicas == 1 ? stage.step_time : 0; break;
      case item_kind::gather: break;
    }
    durations.push_back(std::max<std::int64_t>(0, time));
  }
  return durations;
}

OMNIBAL_INLINE void validate(const execution_plan& plan) {
  detail::check_stages(plan);
  detail::check_data(plan);
  for (std::size_t index = 0; index < plan.lanes.size(); ++index) detail::check_lanes(plan, index);
  for (std::size_t index = 0; index < plan.programs.size(); ++index)
    detail::check_program(plan, index);
}

}  // namespace omnibal::inline v0
