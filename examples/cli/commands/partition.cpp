// SPDX-License-Identifier: Apache-2.0
// omnibal partition: cuts a chain of weights into intervals whose largest sum is as small as
// possible.
#include <memory>
#include <string>

#include <omnibal/core/error.hpp>
#include <omnibal/partition/chain.hpp>

#include "commands/commands.hpp"
#include "commands/deliver.hpp"
#include "files/files.hpp"
#include "files/given_names.hpp"
#include "files/problem_file.hpp"
#include "options/options.hpp"
#include "reports/search_report.hpp"

namespace omnibal::cli {
namespace {

struct partition_arguments {
  std::string problem;
  std::string out;
};

partition_report to_report(const chain_partition<std::int64_t>& found) {
  if (found.status == search_status::infeasible)
    return no_answer{.reason = "fewer_layers_than_stages",
                     .suggestion = "use at most as many parts as there are weights"};
  return chain_cuts{
      .outcome = {.status = found.status, .objective = found.objective, .bound = found.bound},
      .cuts = found.cuts,
      .tie_settled = found.tie_settled};
}

exit_status partition(const command_context& context, const partition_arguments& arguments) {
  const problem_file file(arguments.problem);
  file.expect_kind({"ccp"}, "partition");
  file.expect_keys({"weights", "parts"});
  const std::int64_t parts = file.integer("parts");
  if (parts < 1) throw invalid_input(arguments.problem + ": parts", parts, "must be at least 1");
  expect_writable(arguments.out);
  const chain_partition<std::int64_t> found =
      partition_chain(file.integers("weights"), static_cast<std::size_t>(parts));

  return deliver(context, found.status != search_status::infeasible, arguments.out,
                 to_report(found));
}

}  // namespace

void add_partition(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<partition_arguments>();
  CLI::App* command = application.add_subcommand(
      "partition",
      "Cut a chain of weights into intervals whose largest sum is as small as possible");
  add_input_file(*command, context.files, "--problem", arguments->problem, "The problem: kind ccp")
      ->required();
  add_output_file(*command, context.files, "--out", arguments->out,
                  "Where to write the result as JSON");
  command->footer("\nExamples:\n  omnibal partition --problem chain.json");
  command->callback([&context, arguments] {
    context.run = [&context, arguments] {
      return with_given_names(problem_keys(), arguments->problem + ": ",
                              [&] { return partition(context, *arguments); });
    };
  });
}

}  // namespace omnibal::cli
