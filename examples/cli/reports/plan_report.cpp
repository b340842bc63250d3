// SPDX-License-Identifier: Apache-2.0
#include "reports/plan_report.hpp"

#include <omnibal/version.hpp>

namespace omnibal::cli {

const epoch_figures* figures_of(const strategy_report& strategy) {
  return std::get_if<epoch_figures>(&strategy);
}

std::vector<rival> rivals(const run_gain& gain) {
  std::vector<rival> list = {{"naive", "naive", &gain.naive},
                             {"unbalanced", "unbalanced", &gain.unbalanced},
                             {"paper", "the paper's method", &gain.published}};
  if (gain.current) list.push_back({"current", "current", &*gain.current});
  return list;
}

json to_json(const run_setting& setting) {
  json object = {{"model", setting.model},
                 {"device", setting.device},
                 {"dp", setting.data_parallel},
                 {"pp", setting.pipeline_parallel},
                 {"tp", setting.tensor_parallel},
                 {"schedule", setting.schedule},
                 {"virtual", setting.virtual_stages},
                 {"global_batch", setting.global_batch}};
  for (const auto& [key, value] : {std::pair{"recompute_for_w", setting.recompute_for_w},
                                   {"reduction", setting.reduction},
                                   {"gather", setting.gather}})
    if (!value.empty()) object[key] = value;
  if (const auto& profile = setting.profile)
    object["profile"] = {{"name", profile->name}, {"sha256", profile->sha256}};
  object["memory"] = setting.memory;
  object["reserve"] = setting.reserve;
  object["margin"] = setting.margin;
  return object;
}

namespace {

json or_null(const std::optional<double>& value) { return value ? json(*value) : json(); }
json or_null(const std::string& text) { return text.empty() ? json() : json(text); }

json to_json(const pack_capacity& capacity) {
  return {{"images", capacity.images}, {"tokens", capacity.tokens}};
}

json to_json(const recomputed_modes& modes) {
  json counts = json::object();
  for (const auto& [mode, layers] : modes) counts[mode] = layers;
  return counts;
}

/// Why there is no plan, without the status: the report has one.
json why_not(const no_answer& why) {
  json object = {{"reason", why.reason}};
  if (why.shortage) {
    object["binding_stage"] = *why.shortage->binding_stage;
    object["bytes_short"] = why.shortage->bytes;
  }
  if (why.nearest_batch) object["nearest_batch"] = *why.nearest_batch;
  object["suggestion"] = why.suggestion;
  return object;
}

json strategy_json(const strategy_report& strategy) {
  if (const epoch_figures* figures = figures_of(strategy)) return cli::to_json(*figures);
  const no_answer& why = std::get<no_answer>(strategy);
  json object = {{"status", to_string(why.status)}};
  object.update(why_not(why));
  return object;
}

json speedup(const strategy_report& planned, const strategy_report& other) {
  const epoch_figures* figures = figures_of(other);
  if (figures == nullptr) return nullptr;
  return figures->epoch_seconds / figures_of(planned)->epoch_seconds;
}

json ablation_json(const std::vector<ablation_figures>& ablation) {
  json rows = json::array();
  for (const auto& [name, epoch_seconds, fits, keeps_constraints] : ablation)
    rows.push_back({{"name", name},
                    {"epoch_seconds", epoch_seconds},
                    {"fits", fits},
                    {"keeps_constraints", keeps_constraints}});
  return rows;
}

json capacities_json(const std::vector<capacity_trial>& capacities) {
  json rows = json::array();
  for (const capacity_trial& trial : capacities)
    rows.push_back({{"capacity", to_json(trial.capacity)},
                    {"seconds_per_sample", or_null(trial.seconds_per_sample)},
                    {"samples_per_step", trial.samples_per_step},
                    {"packs_over_bound", trial.packs_over_bound},
                    {"room", trial.capacity_ratio},
                    {"passed_over", or_null(trial.passed_over)}});
  return rows;
}

json shapes_json(const std::vector<shape_trial>& shapes) {
  json rows = json::array();
  for (const shape_trial& trial : shapes)
    rows.push_back({{"dp", trial.data_parallel},
                    {"pp", trial.pipeline_parallel},
                    {"tp", trial.tensor_parallel},
                    {"seconds_per_sample", or_null(trial.seconds_per_sample)},
                    {"passed_over", or_null(trial.passed_over)}});
  return rows;
}

json schedules_json(const std::vector<schedule_trial>& schedules) {
  json rows = json::array();
  for (const schedule_trial& trial : schedules)
    rows.push_back({{"schedule", trial.schedule},
                    {"virtual", trial.virtual_stages},
                    {"seconds_per_sample", or_null(trial.seconds_per_sample)},
                    {"passed_over", or_null(trial.passed_over)}});
  return rows;
}

void add_gain(json& object, const strategy_report& planned, const run_gain& gain) {
  const double seconds = figures_of(planned)->epoch_seconds;
  object["objective"] = seconds;
  object["bound_seconds"] = gain.bound_seconds;
  object["gap"] = relative_gap(seconds, gain.bound_seconds);
  object["naive"] = strategy_json(gain.naive);
  object["unbalanced"] = strategy_json(gain.unbalanced);
  object["published"] = strategy_json(gain.published);
  if (gain.current) object["current"] = strategy_json(*gain.current);
  object["planned"] = strategy_json(planned);
  object["bound"] = {{"epoch_seconds", gain.bound_seconds},
                     {"fill_and_drain_seconds", gain.fill_and_drain_seconds}};
  object["compared_by"] = gain.compared_per_sample ? "sample" : "epoch";
  object["speedup"] = {{"over_naive", speedup(planned, gain.naive)},
                       {"over_unbalanced", speedup(planned, gain.unbalanced)},
                       {"over_published", speedup(planned, gain.published)}};
  if (gain.current) object["speedup"]["over_current"] = speedup(planned, *gain.current);
  object["ablation"] = ablation_json(gain.ablation);
  if (!gain.capacities.empty()) object["capacities"] = capacities_json(gain.capacities);
  object["assumptions"] = gain.assumptions;
}

/// The part with which both reports begin.
template <typename Report>
json heading(const Report& report, search_status status) {
  json object = {{"version", version}, {"inputs", cli::to_json(report.inputs)}};
  object.update(cli::to_json(report.setting));
  object["samples"] = report.samples;
  object["status"] = to_string(status);
  return object;
}

}  // namespace

json to_json(const epoch_figures& figures) {
  json object = {{"step_seconds", figures.step_seconds},
                 {"epoch_seconds", figures.epoch_seconds},
                 {"steps", figures.steps},
                 {"microbatches_per_rank", figures.microbatches_per_rank},
                 {"samples_per_step",
                  {{"mean", figures.mean_samples_per_step},
                   {"min", figures.least_samples_per_step},
                   {"max", figures.most_samples_per_step}}}};
  if (figures.order_gain) object["order_gain"] = *figures.order_gain;
  object.update(
      {{"bubble_ratio", figures.bubble_ratio},
       {"rank_wait_ratio", figures.rank_wait_ratio},
       {"pad_ratio", figures.pad_ratio},
       {"dist_ratio", {{"images", figures.dist_ratio[0]}, {"tokens", figures.dist_ratio[1]}}},
       {"cost_ratio", figures.cost_ratio},
       {"peak_memory", figures.peak_memory},
       {"fits", figures.fits},
       {"keeps_constraints", figures.keeps_constraints}});
  if (const auto& end = figures.step_end)
    object["step_end"] = {{"seconds", end->seconds}, {"hidden_seconds", end->hidden_seconds}};
  if (const auto& packing = figures.packing) {
    object["capacity"] = to_json(packing->capacity);
    object["packs"] = packing->packs;
    if (packing->bound) object["packs_bound"] = *packing->bound;
  }
  object["cuts"] = figures.cuts;
  object["recomputed_layers"] = json::array();
  for (const recomputed_modes& stage : figures.recomputed)
    object["recomputed_layers"].push_back(to_json(stage));
  return object;
}

json to_json(const megatron_report& megatron) {
  return {{"arguments", megatron.arguments},
          {"vision_layers", megatron.vision_layers},
          {"warnings", megatron.warnings}};
}

json to_json(const run_report& report) {
  json object = heading(report, report.status);
  if (report.limit != search_limit::none) object["limit"] = to_string(report.limit);
  if (!report.skipped.empty()) object["skipped"] = report.skipped;
  if (report.gain) {
    add_gain(object, report.planned, *report.gain);
  } else {
    object.update(why_not(std::get<no_answer>(report.planned)));
    object["planned"] = strategy_json(report.planned);
  }
  if (!report.shapes.empty()) object["shapes"] = shapes_json(report.shapes);
  if (!report.schedules.empty()) object["schedules"] = schedules_json(report.schedules);
  object["seconds"] = {{"read", report.read_seconds}, {"plan", report.plan_seconds}};
  if (report.gain) object["megatron"] = to_json(report.gain->megatron);
  return object;
}

json to_json(const evaluation_report& report) {
  const epoch_figures& evaluated = report.evaluated;
  json object =
      heading(report, evaluated.fits ? search_status::feasible : search_status::infeasible);
  if (!report.skipped.empty()) object["skipped"] = report.skipped;
  if (!evaluated.fits) object["reason"] = "memory";
  object["objective"] = evaluated.epoch_seconds;
  object["bound_seconds"] = report.bound_seconds;
  object["gap"] = relative_gap(evaluated.epoch_seconds, report.bound_seconds);
  object["promised_epoch_seconds"] = report.promised_seconds;
  object["evaluated"] = to_json(evaluated);
  return object;
}

}  // namespace omnibal::cli
