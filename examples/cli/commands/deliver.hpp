// SPDX-License-Identifier: Apache-2.0
/// @file
/// The end of a sub-command whose report is also its output file.
#pragma once

#include <string>

#include <omnibal/core/search_status.hpp>

#include "commands/commands.hpp"
#include "errors.hpp"
#include "files/files.hpp"
#include "files/json.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {

/// Writes the report to `out`, if that names a file and there is an answer, and prints it.
inline exit_status deliver(const command_context& context, search_status status,
                           const std::string& out, const json& report) {
  const bool answered = status != search_status::infeasible;
  if (answered && !out.empty()) write_file(out, json_text(report) + "\n");
  print_report(context, report);
  return answered ? exit_status::done : exit_status::infeasible;
}

/// The part of a report that says what a search proved.
inline json search_report(search_status status, std::int64_t objective, std::int64_t bound) {
  return {{"status", std::string(to_string(status))},
          {"objective", objective},
          {"bound", bound},
          {"gap", relative_gap(static_cast<double>(objective), static_cast<double>(bound))}};
}

/// The same where there is no answer.
inline json infeasible_report(const std::string& reason, const std::string& suggestion) {
  return {{"status", std::string(to_string(search_status::infeasible))},
          {"reason", reason},
          {"suggestion", suggestion}};
}

}  // namespace omnibal::cli
