// SPDX-License-Identifier: Apache-2.0
#include "reports/generation_report.hpp"

#include "reports/text.hpp"

namespace omnibal::cli {

json to_json(const generation_report& report) {
  json columns = json::object();
  for (const auto& [name, values] : report.columns)
    columns[name] = {{"least", values.least}, {"mean", values.mean}, {"most", values.most}};
  return {{"out", report.out},
          {"samples", report.samples},
          {"columns", columns},
          {"sha256", report.sha256}};
}

std::string to_text(const generation_report& report) { return describe(to_json(report)); }

}  // namespace omnibal::cli
