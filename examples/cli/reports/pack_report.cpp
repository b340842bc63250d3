// SPDX-License-Identifier: Apache-2.0
#include "reports/pack_report.hpp"

#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

/// The report without the capacities tried.
json summary(const pack_report& report, const json& oversize) {
  json object{{"status", to_string(report.status)}, {"samples", report.samples}};
  if (report.drawn) object["drawn"] = *report.drawn;
  object.update({{"packed", report.packed},
                 {"oversize", oversize},
                 {"capacity", named_values(report.resources, report.capacity)},
                 {"packs", report.packs},
                 {"bound", report.bound},
                 {"fill", named_values(report.resources, report.fill)},
                 {"samples_per_pack", report.samples_per_pack},
                 {"steps", report.steps},
                 {"dropped", report.dropped},
                 {"dist_ratio", named_values(report.resources, report.dist_ratio)},
                 {"cost_ratio", report.cost_ratio},
                 {"cost_ratio_bound", report.cost_ratio_bound},
                 {"full_steps_cost_ratio", report.full_steps_cost_ratio},
                 {"window_deviation", report.window_deviation},
                 {"pack_cost_variation", report.pack_cost_variation}});
  if (report.group_cost_variation) object["group_cost_variation"] = *report.group_cost_variation;
  object["seconds"] = {{"read", report.seconds.read},
                       {"pack", report.seconds.pack},
                       {"dispatch", report.seconds.dispatch}};
  if (!report.capacities.empty()) object["seconds"]["capacities"] = report.seconds.capacities;
  return object;
}

}  // namespace

json to_json(const pack_report& report) {
  json object = summary(report, report.oversize);
  for (const capacity_row& row : report.capacities)
    object["capacities"].push_back(
        {{"capacity", named_values(report.resources, row.capacity)},
         {"samples_per_pack", row.samples_per_pack},
         {"room", row.capacity_ratio},
         {"passed_over", row.passed_over.empty() ? json() : json(row.passed_over)}});
  return object;
}

std::string to_text(const pack_report& report) {
  return describe(summary(report, report.oversize.size()));
}

}  // namespace omnibal::cli
