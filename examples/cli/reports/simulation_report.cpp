// SPDX-License-Identifier: Apache-2.0
#include "reports/simulation_report.hpp"

#include "reports/text.hpp"

namespace omnibal::cli {

json to_json(const simulation_report& report) {
  return {{"makespan", report.makespan},
          {"busy", report.busy},
          {"peak_activation", report.peak_activation},
          {"peak_inflight", report.peak_in_flight},
          {"bubble_ratio", report.bubble_ratio}};
}

std::string to_text(const simulation_report& report) { return describe(to_json(report)); }

}  // namespace omnibal::cli
