// SPDX-License-Identifier: Apache-2.0
#include "reports/plan_page.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include <omnibal/interop/svg.hpp>
#include <omnibal/version.hpp>

#include "reports/html_template.hpp"
#include "reports/plan_page_html.hpp"
#include "reports/plan_text.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

using html_list = html_value::list;
using html_object = html_value::object;

html_list to_list(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

struct bar {
  std::string name = {};
  double value = 0;
  std::string text = {};
  const char* kind = "";  ///< A class of the style.
};

/// Bars on one scale, with a mark at a limit where there is one.
html_list to_list(const std::vector<bar>& bars, double limit = 0) {
  double most = limit;
  for (const bar& one : bars) most = std::max(most, one.value);
  const auto percent_of_most = [&](double value) {
    return fmt::format("{:.2f}%", most > 0 ? 100 * value / most : 0.0);
  };
  html_list list;
  for (const bar& one : bars)
    list.push_back(html_object{{"name", one.name},
                               {"kind", one.kind},
                               {"width", percent_of_most(one.value)},
                               {"limit", percent_of_most(limit)},
                               {"text", one.text}});
  return list;
}

std::string setting_text(const run_report& report) {
  const run_setting& setting = report.setting;
  return fmt::format("dp {}, pp {}, tp {}, {}, {} per device; {} samples, {} per step",
                     value_text(setting.data_parallel), value_text(setting.pipeline_parallel),
                     value_text(setting.tensor_parallel), setting.schedule,
                     gibibytes_text(setting.memory), value_text(report.samples),
                     value_text(setting.global_batch));
}

html_list remark_list(const run_report& report) {
  const std::string text = remarks(report);
  return text.empty() ? html_list() : html_list{text};
}

html_list epochs(const run_report& report) {
  const run_gain& gain = *report.gain;
  std::vector<bar> bars;
  const auto add = [&](const std::string& name, double seconds, const char* kind) {
    bars.push_back({name, seconds, duration_text(seconds), kind});
  };
  for (const rival& other : rivals(gain))
    if (const epoch_figures* figures = figures_of(*other.report))
      add(other.heading, figures->epoch_seconds, "");
  add("planned", figures_of(report.planned)->epoch_seconds, "planned");
  add("lower bound", gain.bound_seconds, "");
  return to_list(bars);
}

html_list ablation(const std::vector<ablation_figures>& rows) {
  std::vector<bar> bars;
  for (const ablation_figures& one : rows) {
    const std::string said = remark(one);
    bars.push_back({one.name, one.epoch_seconds,
                    duration_text(one.epoch_seconds) + (said.empty() ? "" : ", " + said),
                    said.empty() ? "" : "over"});
  }
  return to_list(bars);
}

html_list memory(const std::vector<std::int64_t>& peaks, std::int64_t limit) {
  std::vector<bar> bars;
  for (const std::int64_t peak : peaks)
    bars.push_back({fmt::format("device {}", bars.size()), static_cast<double>(peak),
                    gibibytes_text(peak), peak > limit ? "over" : ""});
  return to_list(bars, static_cast<double>(limit));
}

html_list comparison(const text_table& table) {
  html_list rows;
  for (const std::vector<std::string>& cells : table.rows)
    rows.push_back(html_object{{"cells", to_list(cells)}});
  return rows;
}

std::string recomputed_text(const recomputed_modes& modes) {
  std::string text;
  for (const auto& [mode, layers] : modes)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", layers, mode);
  return text.empty() ? "none" : text;
}

html_list stages(const epoch_figures& planned) {
  html_list rows;
  for (std::size_t s = 0; s + 1 < planned.cuts.size(); ++s)
    rows.push_back(
        html_object{{"stage", std::to_string(s)},
                    {"layers", fmt::format("{} to {}", planned.cuts[s], planned.cuts[s + 1] - 1)},
                    {"recomputed", recomputed_text(planned.recomputed[s])}});
  return rows;
}

std::string seconds_text(const std::optional<double>& seconds) {
  return seconds ? value_text(*seconds) : "";
}

/// The section about trials; left out where there were none.
html_list section(html_list trials) {
  if (trials.empty()) return {};
  return {html_object{{"trials", std::move(trials)}}};
}

html_list capacities(const std::vector<capacity_trial>& trials) {
  html_list rows;
  for (const capacity_trial& one : trials)
    rows.push_back(
        html_object{{"capacity", fmt::format("{} / {}", one.capacity.images, one.capacity.tokens)},
                    {"seconds", seconds_text(one.seconds_per_sample)},
                    {"wasted", value_text(one.capacity_ratio)},
                    {"packs_over_bound", value_text(one.packs_over_bound)},
                    {"passed_over", one.passed_over}});
  return section(std::move(rows));
}

html_list shapes(const std::vector<shape_trial>& trials) {
  html_list rows;
  for (const shape_trial& one : trials)
    rows.push_back(html_object{{"dp", value_text(one.data_parallel)},
                               {"pp", value_text(one.pipeline_parallel)},
                               {"tp", value_text(one.tensor_parallel)},
                               {"seconds", seconds_text(one.seconds_per_sample)},
                               {"passed_over", one.passed_over}});
  return section(std::move(rows));
}

html_list schedules(const std::vector<schedule_trial>& trials) {
  html_list rows;
  for (const schedule_trial& one : trials)
    rows.push_back(html_object{{"schedule", one.schedule},
                               {"virtual", value_text(one.virtual_stages)},
                               {"seconds", seconds_text(one.seconds_per_sample)},
                               {"passed_over", one.passed_over}});
  return section(std::move(rows));
}

html_list inputs(const run_report& report) {
  html_list rows;
  for (const auto& [name, samples, sha256] : report.inputs)
    rows.push_back(
        html_object{{"name", name}, {"samples", value_text(samples)}, {"sha256", sha256}});
  if (const auto& profile = report.setting.profile)
    rows.push_back(
        html_object{{"name", profile->name}, {"samples", ""}, {"sha256", profile->sha256}});
  return rows;
}

}  // namespace

std::string plan_page(const run_report& report, const std::vector<timeline>& steps) {
  const run_gain& gain = *report.gain;
  const epoch_figures& planned = *figures_of(report.planned);
  const text_table table = comparison_table(report.planned, gain);
  return fill_template(plan_page_html,
                       {{"title", title(report.setting)},
                        {"setting", setting_text(report)},
                        {"verdict", verdict(report)},
                        {"remarks", remark_list(report)},
                        {"epochs", epochs(report)},
                        {"steps", timelines_svg(steps)},
                        {"ablation", ablation(gain.ablation)},
                        {"strategies", to_list(table.headings)},
                        {"comparison", comparison(table)},
                        {"memory", memory(planned.peak_memory, report.setting.memory)},
                        {"stages", stages(planned)},
                        {"capacities", capacities(gain.capacities)},
                        {"shapes", shapes(report.shapes)},
                        {"schedules", schedules(report.schedules)},
                        {"megatron", megatron_arguments(gain.megatron)},
                        {"warnings", to_list(gain.megatron.warnings)},
                        {"assumptions", to_list(gain.assumptions)},
                        {"inputs", inputs(report)},
                        {"version", std::string(version)}});
}

}  // namespace omnibal::cli
