// SPDX-License-Identifier: Apache-2.0
// omnibal recompute: the least recomputation with which one stage fits its memory.
#include <memory>
#include <optional>
#include <string>

#include <omnibal/recompute/exact.hpp>

#include "commands/commands.hpp"
#include "commands/deadline.hpp"
#include "commands/deliver.hpp"
#include "files/files.hpp"
#include "files/given_names.hpp"
#include "files/problem_file.hpp"
#include "options/options.hpp"
#include "reports/search_report.hpp"

namespace omnibal::cli {
namespace {

struct recompute_arguments {
  std::string problem;
  std::optional<double> time_limit = {};
  std::string out;
};

recompute_report to_report(const recompute_result& found) {
  if (found.status == search_status::infeasible)
    return no_answer{.reason = "memory",
                     .suggestion =
                         "raise the budget by bytes_short, keep fewer micro-batches "
                         "in flight, or give the stage fewer layers",
                     .shortage = memory_shortage{.bytes = found.bytes_short}};
  return layer_modes{.outcome = {found.status, found.limit, found.objective, found.bound},
                     .modes = found.modes};
}

exit_status recompute(const command_context& context, const recompute_arguments& arguments) {
  const problem_file file(arguments.problem);
  file.expect_kind({"knapsack"}, "recompute");
  file.expect_keys({"layers", "inflight", "budget"});
  expect_writable(arguments.out);
  const deadline limit(context, arguments.time_limit);
  const recompute_result found =
      choose_recomputation(file.recompute(), {.control = {.stop = limit.token()}});
  return deliver(context, found.status != search_status::infeasible, arguments.out,
                 to_report(found));
}

}  // namespace

void add_recompute(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<recompute_arguments>();
  CLI::App* command = application.add_subcommand(
      "recompute", "Choose the least recomputation with which a stage fits its memory");
  add_input_file(*command, context.files, "--problem", arguments->problem,
                 "The problem: kind knapsack")
      ->required();
  add_number(*command, "--time-limit", arguments->time_limit,
             "Seconds after which the search stops with the best modes found");
  add_output_file(*command, context.files, "--out", arguments->out,
                  "Where to write the result as JSON");
  command->footer("\nExamples:\n  omnibal recompute --problem stage.json");
  command->callback([&context, arguments] {
    context.run = [&context, arguments] {
      return with_given_names(problem_keys(), arguments->problem + ": ",
                              [&] { return recompute(context, *arguments); });
    };
  });
}

}  // namespace omnibal::cli
