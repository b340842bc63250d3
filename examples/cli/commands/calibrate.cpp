// SPDX-License-Identifier: Apache-2.0
// omnibal calibrate: the costs of layers, fitted to measurements.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "commands/commands.hpp"
#include "files/files.hpp"
#include "files/profile_file.hpp"
#include "options/options.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

struct calibrate_arguments {
  std::string profile;
  std::string out;
};

/// A coefficient and how sure it is: a share of itself, as people judge it.
std::string coefficient_text(const json& fit, const std::string& name) {
  for (const json& undetermined : fit.at("undetermined"))
    if (undetermined == name) return "?";
  const double value = fit.at(name).get<double>();
  if (value == 0.0) return "0";
  const json& error = fit.at("standard_errors").at(name);
  if (error.is_null()) return fmt::format("{:.4g}", value);
  return fmt::format("{:.4g} ± {}", value, percent(error.get<double>() / value, 1));
}

void add_row(text_table& table, const std::string& layer, const char* what, const json& fits,
             const char* key) {
  if (!fits.contains(key)) return;
  const json& fit = fits.at(key);
  std::vector<std::string> row = {layer + ", " + what};
  for (const auto name : coefficient_names) row.push_back(coefficient_text(fit, std::string(name)));
  row.push_back(value_text(fit.at("measurements")));
  row.push_back(percent(fit.at("rms_residual").get<double>(), 1));
  row.push_back(percent(fit.at("largest_residual").get<double>(), 1));
  table.rows.push_back(row);
}

std::string fits_table(const json& report) {
  text_table table{.headings = {"", "constant", "a tile", "a token", "a squared token", "rows",
                                "off, rms", "at most"}};
  for (const json& layer : report.at("fits")) {
    const auto name = layer.at("name").get<std::string>();
    add_row(table, name, "forward, ns", layer, "forward_nanoseconds");
    add_row(table, name, "backward, ns", layer, "backward_nanoseconds");
    for (const json& mode : layer.at("modes")) {
      const std::string in_mode = name + " " + mode.at("name").get<std::string>();
      add_row(table, in_mode, "extra, ns", mode, "extra_nanoseconds");
      add_row(table, in_mode, "kept, bytes", mode, "kept_bytes");
      add_row(table, in_mode, "transient, bytes", mode, "transient_bytes");
    }
  }
  return table.to_string();
}

std::string calibration_text(const json& report) {
  const std::string table = fits_table(report);
  std::string text = value_text(report.at("measurements")) + " measurements\n\n" + table + "\n";
  if (table.find('?') != std::string::npos)
    text +=
        "?: these rows cannot tell this coefficient from the others; it is taken to be 0. Measure "
        "workloads whose tiles, tokens and sequence lengths vary apart from each other.\n";
  if (report.at("margin").is_null())
    return text +
           "Bytes were measured where none are predicted: no margin covers them. Look for rows "
           "that contradict each other, or give plan a --margin.\n";
  return text + "With a margin of " + percent(report.at("margin").get<double>(), 1) +
         " the fitted bytes hold all that was measured; plan --profile takes it.\n";
}

exit_status calibrate(const command_context& context, const calibrate_arguments& arguments) {
  expect_writable(arguments.out);
  const json report = to_json(read_profile(arguments.profile));
  if (!arguments.out.empty()) write_file(arguments.out, json_text(report) + "\n");
  print_report(context, report, calibration_text);
  return exit_status::done;
}

}  // namespace

void add_calibrate(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<calibrate_arguments>();
  CLI::App* command = application.add_subcommand(
      "calibrate", "Fit the costs of layers, with their errors, to measured ones");
  command->add_option("--profile", arguments->profile, "What was measured")->required();
  command->add_option("--out", arguments->out, "Where to write the fits as JSON");
  command->footer(
      "\nExamples:\n"
      "  omnibal calibrate --profile measured.json --out fitted.json\n"
      "  omnibal plan --profile fitted.json --lengths lengths.json ...");
  command->callback([&context, arguments] {
    context.run = [&context, arguments] { return calibrate(context, *arguments); };
  });
}

}  // namespace omnibal::cli
