// SPDX-License-Identifier: Apache-2.0
#include "commands/run_figures.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "files/given_names.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

constexpr double seconds_per_nanosecond = 1e-9;

pack_capacity to_capacity(const loads<2>& capacity) {
  return {.images = capacity[0], .tokens = capacity[1]};
}

/// Per stage: how many layers run in each mode that recomputes.
std::vector<recomputed_modes> recomputed_layers(const std::vector<layer_cost>& chain,
                                                const pipeline_plan& plan) {
  std::vector<recomputed_modes> stages;
  for (std::size_t s = 0; s + 1 < plan.cuts.size(); ++s) {
    recomputed_modes& counts = stages.emplace_back();
    for (std::size_t l = plan.cuts[s]; l < plan.cuts[s + 1]; ++l) {
      const mode_cost& mode = chain[l].modes[plan.modes[l]];
      if (mode.kind == recompute_kind::none) continue;
      const auto found =
          std::ranges::find(counts, mode.name, [](const auto& count) { return count.first; });
      if (found == counts.end())
        counts.emplace_back(mode.name, 1);
      else
        ++found->second;
    }
  }
  return stages;
}

std::vector<double> in_seconds(const std::vector<std::int64_t>& nanoseconds) {
  std::vector<double> seconds;
  for (const std::int64_t time : nanoseconds)
    seconds.push_back(static_cast<double>(time) * seconds_per_nanosecond);
  return seconds;
}

epoch_figures figures_of(const plan_subject& subject, const run_strategy& strategy) {
  const batch_plan& data = strategy.data;
  epoch_figures figures{.step_seconds = strategy.step_seconds(),
                        .epoch_seconds = strategy.epoch_seconds(),
                        .steps = strategy.epoch.steps,
                        .microbatches_per_rank = data.load.most_microbatches(),
                        .mean_samples_per_step = data.mean_samples_per_step,
                        .least_samples_per_step = data.least_samples_per_step,
                        .most_samples_per_step = data.most_samples_per_step,
                        .order_gain = static_cast<double>(strategy.time_as_assigned) *
                                      seconds_per_nanosecond / strategy.epoch_seconds(),
                        .bubble_ratio = strategy.epoch.bubble_ratio,
                        .rank_wait_ratio = strategy.epoch.rank_wait_ratio,
                        .pad_ratio = data.pad_ratio,
                        .dist_ratio = data.dist_ratio,
                        .cost_ratio = data.cost_ratio,
                        .peak_memory = strategy.epoch.peak_memory,
                        .fits = strategy.fits,
                        .keeps_constraints = strategy.keeps_constraints,
                        .cuts = strategy.plan.cuts,
                        .recomputed = recomputed_layers(subject.calibrated.chain, strategy.plan)};
  if (subject.arguments.overlap.any())
    figures.step_end =
        step_end_figures{.seconds = in_seconds(strategy.epoch.step_times),
                         .hidden_seconds = in_seconds(strategy.epoch.hidden_step_times)};
  if (strategy.capacity)
    figures.packing = pack_figures{.capacity = to_capacity(*strategy.capacity),
                                   .packs = data.packing.objective,
                                   .bound = data.packing.bound};
  return figures;
}

strategy_report strategy_of(const plan_subject& subject, const run_strategy& strategy,
                            std::size_t skipped) {
  if (strategy.status != search_status::infeasible) return figures_of(subject, strategy);
  const infeasibility& why = strategy.why;
  if (why.reason == infeasibility::cause::none)
    return no_answer{
        .status = search_status::stopped,
        .reason = "the limit was reached before any plan was found",
        .suggestion = subject.arguments.time_limit ? "allow more seconds with --time-limit" : ""};
  no_answer answer =
      describe_lack(why, suggestion(why, subject.arguments, subject.samples, skipped));
  if (why.reason == infeasibility::cause::rules && subject.nearest_vision_stages)
    answer.suggestion = "ask for --vision-stages " +
                        std::to_string(*subject.nearest_vision_stages) +
                        ", the nearest that these stages and layers allow";
  else if (why.reason == infeasibility::cause::rules && why.most_stages == 0 &&
           subject.arguments.vision_stages > 0)
    answer.suggestion =
        "use more (virtual) stages: language layers need one beside those of --vision-stages, and "
        "layers that must share one must not be of both kinds";
  return answer;
}

std::vector<ablation_figures> ablation_of(const run_result& plan) {
  std::vector<ablation_figures> rows;
  for (const ablation_row& row : plan.ablation)
    rows.push_back({.name = row.name,
                    .epoch_seconds = static_cast<double>(row.epoch_time) * seconds_per_nanosecond,
                    .fits = row.fits,
                    .keeps_constraints = row.keeps_constraints});
  return rows;
}

std::vector<capacity_trial> trials_of(const capacity_search_result& search) {
  std::vector<capacity_trial> trials;
  for (const capacity_candidate& candidate : search.candidates) {
    const capacity_outcome& outcome = candidate.outcome;
    capacity_trial& trial = trials.emplace_back(
        capacity_trial{.capacity = to_capacity(candidate.capacity),
                       .samples_per_step = outcome.samples_per_step,
                       .packs_over_bound = outcome.packs_over_bound,
                       .capacity_ratio = static_cast<double>(candidate.capacity_ratio) * 1e-6,
                       .passed_over = candidate.passed_over});
    if (outcome.fits) trial.seconds_per_sample = outcome.time_per_sample;
  }
  return trials;
}

/// What runs beside computation at the end of a step, and what stays of it in a plan.
std::vector<std::string> step_end_texts(const step_overlap& overlap, const epoch_outcome& epoch) {
  if (!overlap.any())
    return {"gradient reduction and optimizer step are not overlapped with the pipeline"};
  std::vector<std::string> list;
  if (overlap.reduction)
    list.emplace_back(
        "gradients are reduced beside the backward of each stage's last micro-batch, taken to be a "
        "mean one: layer by layer as they become ready, the first layer of a stage after it");
  if (overlap.gather)
    list.emplace_back(
        "parameters are gathered beside the forward of each stage's first micro-batch, taken to be "
        "a mean one: layer by layer, each before its forward");
  const auto longest = std::ranges::max_element(epoch.step_times);
  const auto device = static_cast<std::size_t>(longest - epoch.step_times.begin());
  list.push_back(fmt::format(
      "what is not hidden stays after the step: {:.1f} ms on device {}, the most of any, where "
      "{:.1f} ms are hidden; communication is taken not to slow computation",
      static_cast<double>(*longest) * 1e-6, device,
      static_cast<double>(epoch.hidden_step_times[device]) * 1e-6));
  return list;
}

/// The division of the devices that a strategy has, where it was searched for.
std::string shape_text(const plan_arguments& arguments, const run_strategy& strategy) {
  if (arguments.devices == 0) return "";
  const std::size_t pipelines = strategy.data.load.ranks * strategy.schedule.stages;
  return fmt::format(" on dp {}, pp {}, tp {}", strategy.data.load.ranks, strategy.schedule.stages,
                     arguments.devices / static_cast<std::int64_t>(pipelines));
}

std::vector<std::string> assumptions(const plan_subject& subject, const run_result& plan) {
  const run_strategy& planned = plan.planned;
  const device_shape& device = subject.costs.device;
  std::vector<std::string> list = subject.costs.describe(
      subject.calibrated, {.tiles = (*planned.capacity)[0], .tokens = (*planned.capacity)[1]});
  list.push_back(fmt::format(
      "{} achieves {:.0f} TFLOP/s in matrix products, {:.0f} in attention, {:.0f} GB/s of memory, "
      "{:.0f} within a node of {}, {:.1f} between nodes",
      device.id, device.matrix_flops * 1e-12, device.attention_flops * 1e-12,
      device.memory_bandwidth * 1e-9, device.tensor_parallel_bandwidth * 1e-9,
      device.devices_per_node, device.pipeline_bandwidth * 1e-9));
  const auto division =
      subject.costs.describe_division(subject.calibrated, subject.arguments.tensor_parallel);
  list.insert(list.end(), division.begin(), division.end());
  if (subject.memory.margin > 0)
    list.push_back("activations are taken to be " + percent(subject.memory.margin) +
                   " larger than predicted");
  if (plan.current)
    list.push_back(
        "current: the stages and recomputation of " + subject.arguments.current +
        shape_text(subject.arguments, *plan.current) +
        (plan.current->capacity ? ", with its packs" : ", with the micro-batches of naive"));
  list.emplace_back("token counts are those of the table; attention is causal, within each sample");
  for (std::string& text : step_end_texts(subject.arguments.overlap, planned.epoch))
    list.push_back(std::move(text));
  list.insert(
      list.end(),
      {"loading data takes no time; images arrive at the first stage, token ids at every stage",
       "naive: random micro-batches of four samples padded to the longest, the vision tower on the "
       "first stage, equal numbers of language layers on all stages, full recomputation",
       "unbalanced: the same with stages of even parameter counts; the improvements are added to "
       "it",
       "paper: packs of 50 iterations of sampling and filtering" +
           std::string(subject.arguments.capacity == "auto"
                           ? " at the paper's capacity of 9 images and 4096 tokens"
                           : "") +
           ", contiguous shares of them per rank, the best of ten anchored partitions, adaptive "
           "recomputation"});
  if (const std::size_t skipped = plan.skipped.size(); skipped > 0)
    list.push_back(fmt::format("{} {} {} and in no strategy's epoch", value_text(skipped),
                               skipped == 1 ? "sample is" : "samples are",
                               subject.arguments.capacity == "auto"
                                   ? "larger than any plan found has memory for"
                                   : "beyond the capacity"));
  if (const std::size_t each = planned.data.oversize_per_rank; each > 0)
    list.push_back(fmt::format(
        "samples beyond the capacity are micro-batches of their own, {}; memory has room for {} of "
        "them at a time beside full packs",
        planned.data.oversize_gathered ? "in as few steps as possible" : "spread over all steps",
        each));
  if (const std::size_t most = planned.data.most_samples_per_pack; most > 0)
    list.push_back("packs have at most " + std::to_string(most) +
                   (most == 1 ? " sample" : " samples") +
                   ": larger ones would miss the global batch");
  const schedule_shape schedule{
      .kind = subject.arguments.schedule,
      .stages = static_cast<std::size_t>(subject.arguments.pipeline_parallel),
      .virtual_stages = static_cast<std::size_t>(subject.arguments.virtual_stages)};
  if (runnable_microbatches(schedule, 1) > 1)
    list.emplace_back("every rank runs a multiple of pp micro-batches, filled up with empty ones");
  if (schedule.splits_backward())
    list.emplace_back(
        subject.arguments.holds_until_w()
            ? "a layer that recomputes does so once, for the gradient of its inputs, and holds all "
              "its activations until that of its weights"
            : "a layer that recomputes does so for the gradient of its inputs and again for that "
              "of its weights, and keeps its saved activations until the latter");
  if (schedule.shares_devices() || schedule.splits_backward())
    list.emplace_back("paper runs 1f1b, the schedule that its method supports");
  return list;
}

/// Whether a strategy runs other numbers of samples per step than planned.
bool differs_in_batch(const run_result& plan, double tolerance) {
  const double planned = plan.planned.data.mean_samples_per_step;
  const auto differs = [&](const run_strategy& other) {
    return other.status != search_status::infeasible &&
           std::abs(other.data.mean_samples_per_step - planned) > tolerance * planned;
  };
  return differs(plan.naive) || differs(plan.unbalanced) || differs(plan.published) ||
         (plan.current && differs(*plan.current));
}

/// Candidates of a search as trials, of which `described` says what was tried.
template <typename Trial, typename Candidate, typename Described>
std::vector<Trial> described_trials(const std::vector<Candidate>& candidates,
                                    const Described& described) {
  std::vector<Trial> trials;
  for (const Candidate& candidate : candidates) {
    Trial& trial = trials.emplace_back(described(candidate));
    trial.passed_over = in_given_words(candidate.passed_over, plan_options());
    if (candidate.fits) trial.seconds_per_sample = candidate.time_per_sample;
  }
  return trials;
}

run_gain gain_of(const plan_subject& subject, const run_result& plan) {
  const std::size_t skipped = plan.skipped.size();
  return {.naive = strategy_of(subject, plan.naive, skipped),
          .unbalanced = strategy_of(subject, plan.unbalanced, skipped),
          .published = strategy_of(subject, plan.published, skipped),
          .current = plan.current ? std::optional(strategy_of(subject, *plan.current, skipped))
                                  : std::nullopt,
          .bound_seconds = static_cast<double>(plan.bound) * seconds_per_nanosecond,
          .fill_and_drain_seconds =
              static_cast<double>(plan.bound_fill_and_drain) * seconds_per_nanosecond,
          .compared_per_sample = differs_in_batch(plan, subject.arguments.batch_tolerance),
          .ablation = ablation_of(plan),
          .capacities = trials_of(plan.capacities),
          .assumptions = assumptions(subject, plan)};
}

}  // namespace

run_setting setting_of(const plan_subject& subject) {
  const plan_arguments& arguments = subject.arguments;
  run_setting setting{.model = subject.costs.model.id,
                      .device = subject.costs.device.id,
                      .data_parallel = arguments.data_parallel,
                      .pipeline_parallel = arguments.pipeline_parallel,
                      .tensor_parallel = arguments.tensor_parallel,
                      .schedule = std::string(arguments.schedule.name()),
                      .virtual_stages = arguments.virtual_stages,
                      .global_batch = arguments.global_batch,
                      .memory = subject.memory.limit,
                      .reserve = subject.memory.reserved,
                      .margin = subject.memory.margin};
  if (arguments.schedule.capabilities().splits_backward)
    setting.recompute_for_w = arguments.recomputation_word();
  if (arguments.overlap.reduction) setting.reduction = "overlapped";
  if (arguments.overlap.gather) setting.gather = "overlapped";
  if (const auto& profile = subject.costs.profile)
    setting.profile = profile_source{.name = profile->name, .sha256 = profile->sha256};
  return setting;
}

run_report report_of(const plan_subject& subject, const run_result& plan) {
  run_report report{.status = plan.status,
                    .limit = plan.limit,
                    .inputs = subject.inputs,
                    .setting = setting_of(subject),
                    .samples = subject.samples,
                    .skipped = plan.skipped,
                    .planned = strategy_of(subject, plan.planned, plan.skipped.size())};
  if (plan.planned.status != search_status::infeasible) report.gain = gain_of(subject, plan);
  return report;
}

megatron_report report_of(const plan_subject& subject, const megatron_layout& layout) {
  const plan_arguments& given = subject.arguments;
  megatron_report report{
      .arguments = {"--tensor-model-parallel-size", std::to_string(given.tensor_parallel),
                    "--micro-batch-size", "1"},
      .vision_layers = layout.vision_layers,
      .warnings = layout.warnings};
  report.arguments.insert(report.arguments.end(), layout.arguments.begin(), layout.arguments.end());
  if (given.sequence_parallel) report.arguments.emplace_back("--sequence-parallel");
  if (given.shard_optimizer) report.arguments.emplace_back("--use-distributed-optimizer");
  return report;
}

std::vector<shape_trial> trials_of(const std::vector<shape_candidate>& candidates) {
  return described_trials<shape_trial>(candidates, [](const shape_candidate& one) {
    return shape_trial{.data_parallel = one.shape.data_parallel,
                       .pipeline_parallel = one.shape.stages,
                       .tensor_parallel = one.shape.tensor_parallel};
  });
}

std::vector<schedule_trial> trials_of(const std::vector<schedule_candidate>& candidates) {
  return described_trials<schedule_trial>(candidates, [](const schedule_candidate& one) {
    return schedule_trial{.schedule = std::string(one.schedule.name()),
                          .virtual_stages = one.virtual_stages};
  });
}

evaluation_report report_of(const plan_subject& subject, const evaluated_run& run,
                            double promised_seconds) {
  evaluation_report report{.inputs = subject.inputs,
                           .setting = setting_of(subject),
                           .samples = subject.samples,
                           .bound_seconds = static_cast<double>(run.bound) * seconds_per_nanosecond,
                           .promised_seconds = promised_seconds,
                           .skipped = run.skipped,
                           .evaluated = figures_of(subject, run.strategy)};
  report.evaluated.order_gain.reset();
  report.evaluated.packing->bound.reset();
  return report;
}

}  // namespace omnibal::cli
