// SPDX-License-Identifier: Apache-2.0
/// @file
/// A planned run as one page of HTML, which needs nothing beside itself: bars, tables, a step of
/// the pipeline before and after.
#pragma once

#include <string>
#include <vector>

#include "reports/plan_report.hpp"
#include "reports/timeline.hpp"

namespace omnibal::cli {

/// The page of a report in which a plan was found (plan_page.html), with timelines to be drawn on
/// one scale. The same bytes for the same plan.
[[nodiscard]] std::string plan_page(const run_report& report, const std::vector<timeline>& steps);

}  // namespace omnibal::cli
