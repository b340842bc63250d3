// SPDX-License-Identifier: Apache-2.0
// omnibal calibrate: cost models of layers, fitted to measurements.
#include <memory>
#include <string>

#include "commands/commands.hpp"
#include "commands/deliver.hpp"
#include "files/files.hpp"
#include "files/profile_file.hpp"
#include "options/options.hpp"
#include "reports/calibration_text.hpp"

namespace omnibal::cli {
namespace {

struct calibrate_arguments {
  std::string profile;
  std::string out;
};

exit_status calibrate(const command_context& context, const calibrate_arguments& arguments) {
  expect_writable(arguments.out);
  return deliver(context, true, arguments.out, read_profile(arguments.profile));
}

}  // namespace

void add_calibrate(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<calibrate_arguments>();
  CLI::App* command = application.add_subcommand(
      "calibrate", "Fit the cost models of layers, with their errors, to measurements");
  add_input_file(*command, context.files, "--profile", arguments->profile,
                 "The measurements: a profile, or a calibration made before")
      ->required();
  add_output_file(*command, context.files, "--out", arguments->out,
                  "Where to write the fits as JSON");
  command->footer(
      "\nExamples:\n"
      "  omnibal calibrate --profile measured.json --out fitted.json\n"
      "  omnibal plan --profile fitted.json --lengths lengths.json ...");
  command->callback([&context, arguments] {
    context.run = [&context, arguments] { return calibrate(context, *arguments); };
  });
}

}  // namespace omnibal::cli
