// SPDX-License-Identifier: Apache-2.0
#include "reports/search_report.hpp"

#include "reports/text.hpp"

namespace omnibal::cli {

namespace {

/// The status, and the limit that ended the search where there was one.
json heading(search_status status, search_limit limit) {
  json report = {{"status", to_string(status)}};
  if (limit != search_limit::none) report["limit"] = to_string(limit);
  return report;
}

}  // namespace

json to_json(const no_answer& why) {
  json report = heading(why.status, why.limit);
  report["reason"] = why.reason;
  if (!why.suggestion.empty()) report["suggestion"] = why.suggestion;
  if (why.nearest_batch) report["nearest_batch"] = *why.nearest_batch;
  if (!why.shortage) return report;
  if (why.shortage->binding_stage) report["binding_stage"] = *why.shortage->binding_stage;
  report["bytes_short"] = why.shortage->bytes;
  return report;
}

json to_json(const search_outcome& outcome) {
  json report = heading(outcome.status, outcome.limit);
  report["objective"] = outcome.objective;
  report["bound"] = outcome.bound;
  report["gap"] =
      relative_gap(static_cast<double>(outcome.objective), static_cast<double>(outcome.bound));
  return report;
}

json to_json(const chain_cuts& found) {
  json report = to_json(found.outcome);
  report["bottleneck"] = found.outcome.objective;
  report["cuts"] = found.cuts;
  report["tie_settled"] = found.tie_settled;
  return report;
}

json to_json(const layer_modes& found) {
  json report = to_json(found.outcome);
  report["extra"] = found.outcome.objective;
  report["modes"] = found.modes;
  return report;
}

json to_json(const evaluated_plan& plan) {
  json report = heading(plan.status, plan.limit);
  const rational objective =
      reduced(plan.objective.numerator, plan.objective.denominator, "objective");
  report["objective_numerator"] = objective.numerator;
  report["objective_denominator"] = objective.denominator;
  report["objective"] = objective.value();
  if (plan.bound) {
    report["bound"] = plan.bound->value();
    report["gap"] = plan.objective == *plan.bound
                        ? 0.0
                        : relative_gap(plan.objective.value(), plan.bound->value());
  }
  report["cuts"] = plan.plan.cuts;
  report["modes"] = plan.plan.modes;
  if (plan.tie_settled) report["tie_settled"] = *plan.tie_settled;
  report["stage_forward"] = plan.stage_forward;
  report["stage_backward"] = plan.stage_backward;
  report["peak_memory"] = plan.peak_memory;
  report["makespan"] = plan.makespan;
  if (!plan.makespans.empty()) report["makespans"] = plan.makespans;
  if (!plan.gradient_reductions) return report;
  json pairs = json::array();
  for (const layer_pair& pair : *plan.gradient_reductions)
    pairs.push_back({pair.first, pair.second});
  report["gradient_reductions"] = pairs;
  return report;
}

namespace {

template <typename Answer>
json json_of(const Answer& answer) {
  return std::visit([](const auto& either) { return to_json(either); }, answer);
}

}  // namespace

json to_json(const partition_report& report) { return json_of(report); }
json to_json(const recompute_report& report) { return json_of(report); }

json to_json(const problem_report& report) {
  json object = json_of(report.answer);
  object["seconds"] = report.seconds;
  return object;
}

std::string to_text(const partition_report& report) { return describe(to_json(report)); }
std::string to_text(const recompute_report& report) { return describe(to_json(report)); }
std::string to_text(const problem_report& report) { return describe(to_json(report)); }

}  // namespace omnibal::cli
