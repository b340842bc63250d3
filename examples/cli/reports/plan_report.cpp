// SPDX-License-Identifier: Apache-2.0
#include "reports/plan_report.hpp"

#include <fmt/format.h>

#include <omnibal/version.hpp>

#include "files/packs_file.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

/// What was planned for.
json setting(const plan_subject& subject) {
  json set = {{"model", subject.costs.model.id},
              {"device", subject.costs.device.id},
              {"dp", subject.arguments.data_parallel},
              {"pp", subject.arguments.pipeline_parallel},
              {"tp", subject.arguments.tensor_parallel},
              {"schedule", std::string(to_string(subject.arguments.schedule))},
              {"virtual", subject.arguments.virtual_stages},
              {"global_batch", subject.arguments.global_batch}};
  if (const auto& profile = subject.costs.profile)
    set["profile"] = {{"name", profile->name}, {"sha256", profile->sha256}};
  set["memory"] = subject.memory.limit;
  set["reserve"] = subject.memory.reserved;
  set["margin"] = subject.memory.margin;
  return set;
}

/// Per stage: how many layers run in each mode that recomputes.
json recomputed_layers(const std::vector<layer_cost>& chain, const pipeline_plan& plan) {
  json stages = json::array();
  for (std::size_t s = 0; s + 1 < plan.cuts.size(); ++s) {
    json counts = json::object();
    for (std::size_t l = plan.cuts[s]; l < plan.cuts[s + 1]; ++l) {
      const std::string& mode = chain[l].modes[plan.modes[l]].name;
      if (mode != "none") counts[mode] = counts.value(mode, 0) + 1;
    }
    stages.push_back(counts);
  }
  return stages;
}

json column_report(const plan_subject& subject, const run_column& column) {
  if (column.status == search_status::infeasible) {
    json report = {{"status", "infeasible"}, {"reason", std::string(to_string(column.why.reason))}};
    if (column.why.reason == infeasibility::cause::memory) {
      report["binding_stage"] = column.why.binding_stage;
      report["bytes_short"] = column.why.bytes_short;
    }
    report["suggestion"] = suggestion(column.why);
    return report;
  }
  const batch_plan& data = column.data;
  json report = {
      {"step_seconds", column.step_seconds()},
      {"epoch_seconds", column.epoch_seconds()},
      {"steps", column.epoch.steps},
      {"microbatches_per_rank", data.microbatches_per_rank},
      {"samples_per_step",
       {{"mean", data.mean_samples_per_step},
        {"min", data.least_samples_per_step},
        {"max", data.most_samples_per_step}}},
      {"order_gain", static_cast<double>(column.time_as_dealt) * 1e-9 / column.epoch_seconds()},
      {"bubble_ratio", column.epoch.bubble_ratio},
      {"pad_ratio", data.pad_ratio},
      {"dist_ratio", {{"images", data.dist_ratio[0]}, {"tokens", data.dist_ratio[1]}}},
      {"cost_ratio", data.cost_ratio},
      {"peak_memory", column.epoch.peak_memory},
      {"fits", column.fits}};
  if (column.capacity) {
    report["capacity"] = {{"images", (*column.capacity)[0]}, {"tokens", (*column.capacity)[1]}};
    report["packs"] = data.packing.objective;
    report["packs_bound"] = data.packing.bound;
  }
  report["cuts"] = column.plan.cuts;
  report["recomputed_layers"] = recomputed_layers(subject.priced.chain, column.plan);
  return report;
}

json speedups(const run_plan& plan) {
  const auto over = [&](const run_column& other) -> json {
    if (other.status == search_status::infeasible) return nullptr;
    return other.epoch_seconds() / plan.planned.epoch_seconds();
  };
  return {{"over_unbalanced", over(plan.unbalanced)}, {"over_published", over(plan.published)}};
}

json ablation_report(const run_plan& plan) {
  json rows = json::array();
  for (const ablation_row& row : plan.ablation)
    rows.push_back({{"name", row.name},
                    {"epoch_seconds", static_cast<double>(row.epoch_time) * 1e-9},
                    {"fits", row.fits}});
  return rows;
}

json capacity_report(const run_plan& plan) {
  json rows = json::array();
  for (const capacity_candidate& candidate : plan.capacities.candidates)
    rows.push_back(
        {{"capacity", {{"images", candidate.capacity[0]}, {"tokens", candidate.capacity[1]}}},
         {"seconds_per_sample",
          candidate.outcome.fits ? json(candidate.outcome.time_per_sample) : json(nullptr)},
         {"samples_per_step", candidate.outcome.samples_per_step},
         {"packs_over_bound", candidate.outcome.packs_over_bound},
         {"room", static_cast<double>(candidate.room) * 1e-6},
         {"passed_over",
          candidate.passed_over.empty() ? json(nullptr) : json(candidate.passed_over)}});
  return rows;
}

json assumptions(const plan_subject& subject, const run_column& planned) {
  const device_shape& device = subject.costs.device;
  std::vector<std::string> list = subject.costs.describe(
      subject.priced, {.tiles = (*planned.capacity)[0], .tokens = (*planned.capacity)[1]});
  list.push_back(fmt::format(
      "{} achieves {:.0f} TFLOP/s in matrix products, {:.0f} in attention, {:.0f} GB/s of memory, "
      "{:.0f} within a node, {:.1f} between nodes",
      device.id, device.matrix_flops * 1e-12, device.attention_flops * 1e-12,
      device.memory_bandwidth * 1e-9, device.tensor_parallel_bandwidth * 1e-9,
      device.pipeline_bandwidth * 1e-9));
  if (subject.memory.margin > 0)
    list.push_back("activations are taken to be " + percent(subject.memory.margin) +
                   " larger than these costs say");
  list.insert(
      list.end(),
      {"token counts are the table's; attention is over each sample alone, causal",
       "gradient reduction and optimizer step are not overlapped with the pipeline",
       "loading data costs nothing; images arrive at the first stage, token ids at every stage",
       "unbalanced: random micro-batches of four samples padded to the longest, stages of even "
       "parameter counts, full recomputation",
       "published: packs of 50 iterations of sampling and filtering" +
           std::string(subject.arguments.capacity == "auto"
                           ? " at the paper's capacity of 9 images and 4096 tokens"
                           : "") +
           ", contiguous shares a rank, the best of ten anchored partitions, adaptive "
           "recomputation"});
  const schedule_kind schedule = subject.arguments.schedule;
  if (schedule == schedule_kind::interleaved)
    list.emplace_back("ranks run multiples of pp micro-batches, filled up with empty ones");
  if (schedule == schedule_kind::zero_bubble_h1)
    list.emplace_back(
        "a layer that recomputes does so for the gradient of its inputs and again for "
        "that of its weights, and holds what it keeps until the latter");
  if (schedule != schedule_kind::gpipe && schedule != schedule_kind::one_forward_one_backward)
    list.emplace_back("published runs 1f1b, the schedule its method knows");
  return list;
}

}  // namespace

json run_report(const plan_subject& subject, const run_plan& plan) {
  const bool feasible = plan.planned.status != search_status::infeasible;
  json report = {{"version", std::string(version)}, {"inputs", to_json(subject.inputs)}};
  report.update(setting(subject));
  report["samples"] = subject.samples;
  report["status"] = feasible ? "feasible" : "infeasible";
  if (!feasible) {
    report.update(column_report(subject, plan.planned));
    report["planned"] = column_report(subject, plan.planned);
    return report;
  }
  const double bound = static_cast<double>(plan.bound_epoch_time) * 1e-9;
  report["objective"] = plan.planned.epoch_seconds();
  report["bound_seconds"] = bound;
  report["gap"] = relative_gap(plan.planned.epoch_seconds(), bound);
  report["unbalanced"] = column_report(subject, plan.unbalanced);
  report["published"] = column_report(subject, plan.published);
  report["planned"] = column_report(subject, plan.planned);
  report["bound"] = {{"epoch_seconds", bound}};
  report["speedup"] = speedups(plan);
  report["ablation"] = ablation_report(plan);
  if (!plan.capacities.candidates.empty()) report["capacities"] = capacity_report(plan);
  report["assumptions"] = assumptions(subject, plan.planned);
  return report;
}

json megatron_report(const plan_subject& subject, const megatron_layout& layout) {
  std::vector<std::string> arguments = {"--tensor-model-parallel-size",
                                        std::to_string(subject.arguments.tensor_parallel),
                                        "--micro-batch-size", "1"};
  arguments.insert(arguments.end(), layout.arguments.begin(), layout.arguments.end());
  if (subject.arguments.sequence_parallel) arguments.emplace_back("--sequence-parallel");
  if (subject.arguments.shard_optimizer) arguments.emplace_back("--use-distributed-optimizer");
  return {{"arguments", arguments},
          {"vision_layers", layout.vision_layers},
          {"warnings", layout.warnings}};
}

json repriced_report(const plan_subject& subject, const repriced_run& run,
                     double promised_seconds) {
  json report = {{"version", std::string(version)}, {"inputs", to_json(subject.inputs)}};
  report.update(setting(subject));
  const double bound = static_cast<double>(run.bound_epoch_time) * 1e-9;
  const double seconds = run.column.epoch_seconds();
  report["samples"] = subject.samples;
  report["status"] = run.column.fits ? "feasible" : "infeasible";
  if (!run.column.fits) report["reason"] = "memory";
  report["objective"] = seconds;
  report["bound_seconds"] = bound;
  report["gap"] = relative_gap(seconds, bound);
  report["promised_epoch_seconds"] = promised_seconds;
  report["evaluated"] = column_report(subject, run.column);
  report["evaluated"].erase("order_gain");
  report["evaluated"].erase("packs_bound");
  return report;
}

std::string plan_text(const plan_subject& subject, const run_plan& plan, const json& megatron) {
  const run_column& planned = plan.planned;
  json more = setting(subject);
  more["seed"] = subject.arguments.seed;
  more["planned"] = column_report(subject, planned);
  more["cuts"] = planned.plan.cuts;
  more["layers"] = json::array();
  more["modes"] = json::array();
  for (std::size_t l = 0; l < subject.priced.chain.size(); ++l) {
    more["layers"].push_back(subject.priced.chain[l].name);
    more["modes"].push_back(subject.priced.chain[l].modes[planned.plan.modes[l]].name);
  }
  more["megatron"] = megatron;
  return to_text({.inputs = subject.inputs,
                  .resources = {"images", "tokens"},
                  .capacity = {planned.capacity->begin(), planned.capacity->end()},
                  .packs = planned.data.packing.packs,
                  .plan = planned.data.dispatch},
                 more);
}

}  // namespace omnibal::cli
