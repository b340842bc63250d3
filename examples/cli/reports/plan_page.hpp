// SPDX-License-Identifier: Apache-2.0
/// @file
/// A planned run as one self-contained page of HTML: bars, tables, one step of the pipeline under
/// every strategy.
#pragma once

#include <string>
#include <vector>

#include <omnibal/pipeline/timeline.hpp>

#include "reports/plan_report.hpp"

namespace omnibal::cli {

/// The page (plan_page.html) of a report in which a plan was found; its timelines share one scale.
/// The same bytes for the same plan.
[[nodiscard]] std::string plan_page(const run_report& report, const std::vector<timeline>& steps);

}  // namespace omnibal::cli
