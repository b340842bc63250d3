// SPDX-License-Identifier: Apache-2.0
/// @file
/// The end of a sub-command: its report on standard output, as JSON or as text.
#pragma once

#include <concepts>
#include <string>

#include "commands/commands.hpp"
#include "files/files.hpp"
#include "files/json.hpp"
#include "options/one_line.hpp"

namespace omnibal::cli {

/// The result of a sub-command, which has a form in JSON and one in text.
template <typename Report>
concept reported_in_json_and_text = requires(const Report& report) {
  { to_json(report) } -> std::same_as<json>;
  { to_text(report) } -> std::same_as<std::string>;
};

/// Whether reports are text for people: as the options say or, without them, on a terminal.
[[nodiscard]] bool prefers_text(const command_context& context);

/// Prints the report in the format asked for: on standard output or, where an output file takes
/// that, on standard error. Throws unwritable_output.
template <reported_in_json_and_text Report>
void print_report(const command_context& context, const Report& report) {
  const std::string text =
      prefers_text(context) ? printable(to_text(report)) : json_text(to_json(report)) + "\n";
  if (context.files.take_standard_output())
    write_standard_error(text);
  else
    write_standard_output(text);
}

/// Writes the report to `out`, if that names a file. Throws unwritable_output.
template <reported_in_json_and_text Report>
void write_report(const std::string& out, const Report& report) {
  if (!out.empty()) write_file(out, json_text(to_json(report)) + "\n");
}

/// Ends a sub-command whose report is also its output file: the file is written where there is an
/// answer. On standard output one of them is enough.
template <reported_in_json_and_text Report>
exit_status deliver(const command_context& context, bool answered, const std::string& out,
                    const Report& report) {
  if (answered) write_report(out, report);
  if (!answered || out != standard_stream) print_report(context, report);
  return answered ? exit_status::done : exit_status::infeasible;
}

}  // namespace omnibal::cli
