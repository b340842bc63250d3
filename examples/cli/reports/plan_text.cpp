// SPDX-License-Identifier: Apache-2.0
#include "reports/plan_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace omnibal::cli {

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.2f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.1f} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{:.1f} h", seconds / 3600);
  return fmt::format("{:.1f} days", seconds / 86400);
}

std::string gibibytes_text(std::int64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / 1073741824.0);
}

std::string megatron_arguments(const megatron_report& megatron) {
  const auto quoted = [](const std::string& word) {
    return word.find_first_of("|*") == std::string::npos ? word : "'" + word + "'";
  };
  std::string text;
  for (const std::string& argument : megatron.arguments) {
    const bool on_next_line =
        argument.starts_with("--pipeline") || argument.starts_with("--recompute-granularity");
    text += on_next_line ? " \\\n    " : text.empty() ? "" : " ";
    text += quoted(argument);
  }
  return text;
}

namespace {

template <typename Value>
std::string cell(const strategy_report& strategy, const Value& value) {
  if (const epoch_figures* figures = figures_of(strategy)) return value(*figures);
  const bool is_short = std::get<no_answer>(strategy).shortage.has_value();
  return is_short ? "does not fit" : "no plan";
}

/// A row of the comparison; "-" where a strategy does not have the value.
template <typename Value>
std::vector<std::string> row(const strategy_report& planned, const run_gain& gain,
                             const std::string& heading, const Value& value,
                             const std::string& bound = "-") {
  std::vector<std::string> cells = {heading};
  for (const rival& other : rivals(gain)) cells.push_back(cell(*other.report, value));
  cells.push_back(cell(planned, value));
  cells.push_back(bound);
  return cells;
}

std::string capacity_text(const epoch_figures& figures) {
  if (!figures.packing) return "-";
  const auto& [images, tokens] = figures.packing->capacity;
  return fmt::format("{} / {}", images, tokens);
}

std::string largest_memory_text(const epoch_figures& figures) {
  return gibibytes_text(std::ranges::max(figures.peak_memory));
}

std::string stage_sizes(const std::vector<std::size_t>& cuts) {
  std::vector<std::size_t> sizes;
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) sizes.push_back(cuts[s + 1] - cuts[s]);
  return fmt::format("{}", fmt::join(sizes, " "));
}

text_table ablation_table(const std::vector<ablation_figures>& ablation) {
  text_table table{.headings = {"improvements, added one by one", "epoch time", "speedup", ""}};
  double before = 0;
  for (const ablation_figures& one : ablation) {
    table.rows.push_back({one.name, duration_text(one.epoch_seconds),
                          before > 0 ? fmt::format("x {:.2f}", before / one.epoch_seconds) : "",
                          remark(one)});
    before = one.epoch_seconds;
  }
  return table;
}

/// What each schedule would give; empty where none was searched for.
std::string schedules_text(const std::vector<schedule_trial>& schedules) {
  if (schedules.empty()) return "";
  text_table table{.headings = {"schedules tried on a part of the samples", "virtual stages",
                                "seconds per sample", ""}};
  for (const schedule_trial& one : schedules)
    table.rows.push_back({one.schedule, value_text(one.virtual_stages),
                          one.seconds_per_sample ? value_text(*one.seconds_per_sample) : "-",
                          one.passed_over});
  return table.to_string() + "\n";
}

std::string megatron_text(const megatron_report& megatron) {
  std::string text =
      fmt::format("Megatron-LM arguments (vision layers per stage: {}):\n  {}\n",
                  fmt::join(megatron.vision_layers, " "), megatron_arguments(megatron));
  for (const std::string& warning : megatron.warnings) text += "- " + warning + "\n";
  return text;
}

std::string why_no_plan(const no_answer& why) {
  if (why.nearest_batch)
    return "No plan has this global batch. To get one, " + why.suggestion + ".\n";
  std::string text = why.status == search_status::infeasible
                         ? "No plan fits: " + why.reason
                         : "No plan was found that fits: " + why.reason;
  if (why.shortage)
    text += fmt::format(", stage {} lacks {}", *why.shortage->binding_stage,
                        gibibytes_text(why.shortage->bytes));
  if (why.suggestion.empty()) return text + ".\n";
  return text + ". To make one fit, " + why.suggestion + ".\n";
}

}  // namespace

std::string remark(const ablation_figures& row) {
  std::string text = row.fits ? "" : "does not fit the memory";
  if (row.keeps_constraints) return text;
  return text + (text.empty() ? "" : ", ") + "does not keep layers on the stages asked for";
}

text_table comparison_table(const strategy_report& planned, const run_gain& gain) {
  using figures = epoch_figures;
  text_table table{.headings = {""}};
  for (const rival& other : rivals(gain)) table.headings.push_back(other.heading);
  table.headings.insert(table.headings.end(), {"planned", "lower bound"});
  const auto add = [&](const std::string& heading, const auto& value,
                       const std::string& bound = "-") {
    table.rows.push_back(row(planned, gain, heading, value, bound));
  };
  add(
      "epoch time", [](const figures& of) { return duration_text(of.epoch_seconds); },
      duration_text(gain.bound_seconds));
  add("mean step time", [](const figures& of) { return duration_text(of.step_seconds); });
  add("steps per epoch", [](const figures& of) { return value_text(of.steps); });
  add("mean samples per step",
      [](const figures& of) { return value_text(std::round(of.mean_samples_per_step * 10) / 10); });
  add("micro-batches per rank and step",
      [](const figures& of) { return value_text(of.microbatches_per_rank); });
  add("pack capacity, images / tokens", capacity_text);
  add("padding, share of tokens", [](const figures& of) { return percent(of.pad_ratio); });
  add("speedup by reordering micro-batches",
      [](const figures& of) { return percent(of.order_gain.value_or(1.0) - 1.0); });
  add("device time idle", [](const figures& of) { return percent(of.bubble_ratio); });
  add("- waiting for slower ranks", [](const figures& of) { return percent(of.rank_wait_ratio); });
  add("- within the pipeline of a rank",
      [](const figures& of) { return percent(of.bubble_ratio - of.rank_wait_ratio); });
  add("largest peak memory of a device", largest_memory_text);
  add("layers per stage", [](const figures& of) { return stage_sizes(of.cuts); });
  return table;
}

std::string remarks(const run_report& report) {
  const run_gain& gain = *report.gain;
  const strategy_report& planned = report.planned;
  std::string text;
  for (const rival& other : rivals(gain)) {
    const epoch_figures* figures = figures_of(*other.report);
    if (figures != nullptr && !figures->fits)
      text += fmt::format(
          "{} does not fit the memory, of which a device lacks {}; its times are those of a run "
          "with "
          "enough.\n",
          other.name,
          gibibytes_text(std::ranges::max(figures->peak_memory) - report.setting.memory));
    if (figures != nullptr && !figures->keeps_constraints)
      text += fmt::format("{} does not keep layers on the stages asked for.\n", other.name);
  }
  if (gain.compared_per_sample)
    text += "Strategies differ in samples per step: speedups compare times per sample.\n";
  const auto warn_if_slower = [&](std::string_view left, const strategy_report& slow,
                                  std::string_view right, const strategy_report& fast) {
    const epoch_figures* a = figures_of(slow);
    const epoch_figures* b = figures_of(fast);
    if (a != nullptr && b != nullptr && a->epoch_seconds > b->epoch_seconds)
      text += fmt::format("Here {} is slower than {}.\n", left, right);
  };
  for (const rival& other : rivals(gain))
    warn_if_slower("planned", planned, other.name, *other.report);
  warn_if_slower("the paper's method", gain.published, "unbalanced", gain.unbalanced);
  return text;
}

std::string verdict(const run_report& report) {
  if (!report.gain) return why_no_plan(std::get<no_answer>(report.planned));
  const double seconds = figures_of(report.planned)->epoch_seconds;
  std::vector<std::string> gains;
  for (const rival& other : rivals(*report.gain))
    if (const epoch_figures* figures = figures_of(*other.report))
      gains.push_back(
          fmt::format("{:.2f} times as fast as {}", figures->epoch_seconds / seconds, other.name));
  return fmt::format(
      "planned runs the epoch {}.\n"
      "Its epoch takes {} longer than the proven lower bound.\n",
      fmt::join(gains, ", "), percent(seconds / report.gain->bound_seconds - 1.0, 1));
}

std::string title(const run_setting& setting) {
  const std::int64_t devices =
      setting.data_parallel * setting.pipeline_parallel * setting.tensor_parallel;
  return fmt::format("{} on {} {}", setting.model, value_text(devices), setting.device);
}

std::string to_text(const run_report& report) {
  const run_setting& setting = report.setting;
  std::string text =
      fmt::format("{} (dp {}, pp {}, tp {}, {}), {} samples, {} per step\n\n", title(setting),
                  value_text(setting.data_parallel), value_text(setting.pipeline_parallel),
                  value_text(setting.tensor_parallel), setting.schedule, value_text(report.samples),
                  value_text(setting.global_batch));
  if (!report.gain) return text + schedules_text(report.schedules) + verdict(report);
  const run_gain& gain = *report.gain;
  text += comparison_table(report.planned, gain).to_string() + "\n" + verdict(report) +
          remarks(report) + "\n" + schedules_text(report.schedules) +
          ablation_table(gain.ablation).to_string() + "\n" + megatron_text(gain.megatron) +
          "\nAssumptions:\n";
  for (const std::string& one : gain.assumptions) text += "- " + one + "\n";
  return text;
}

std::string to_text(const evaluation_report& report) {
  const epoch_figures& figures = report.evaluated;
  std::vector<std::string> peaks;
  for (const std::int64_t peak : figures.peak_memory) peaks.push_back(gibibytes_text(peak));
  std::string text = fmt::format(
      "The epoch of the plan takes {}; {} were expected when it was made.\n"
      "The proven lower bound is {}.\n"
      "Peak memory per device: {}.\n",
      duration_text(figures.epoch_seconds), duration_text(report.promised_seconds),
      duration_text(report.bound_seconds), fmt::join(peaks, " "));
  if (!report.skipped.empty())
    text += fmt::format("The plan leaves out {} of {} samples.\n",
                        value_text(report.skipped.size()), value_text(report.samples));
  if (!figures.fits) text += "This does not fit the memory: plan again without --evaluate.\n";
  return text;
}

}  // namespace omnibal::cli
