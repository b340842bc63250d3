// SPDX-License-Identifier: Apache-2.0
// omnibal replay: steps of an execution plan with measured durations, beside the predicted ones.
#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include <fmt/format.h>

#include <omnibal/core/error.hpp>
#include <omnibal/interop/chrome_trace.hpp>
#include <omnibal/interop/svg.hpp>
#include <omnibal/pipeline/timeline.hpp>
#include <omnibal/run/replay.hpp>

#include "commands/commands.hpp"
#include "commands/deliver.hpp"
#include "files/execution_file.hpp"
#include "files/files.hpp"
#include "options/options.hpp"
#include "reports/replay_report.hpp"

namespace omnibal::cli {
namespace {

struct replay_arguments {
  std::string execution;
  std::string measured;
  std::string out;
  std::string trace;
  std::string svg;
  std::int64_t replica = 0;
};

/// A replica's measured step above its predicted one.
std::array<timeline, 2> draw(const execution_plan& plan, const replay_report::replayed& one,
                             std::size_t replica) {
  const auto drawn = [&](const char* name, const item_simulation& run) {
    timeline step = replayed_timeline(plan, one.replay, run, replica);
    step.title = fmt::format("step {}, replica {}, {}: {:.3f} ms", one.step, replica, name,
                             static_cast<double>(run.makespan) * 1e-6);
    return step;
  };
  return {drawn("measured", one.replay.measured), drawn("predicted", one.replay.predicted)};
}

exit_status replay_steps(const command_context& context, const replay_arguments& arguments) {
  const execution_plan plan = read_execution_file("--execution", arguments.execution);
  if (static_cast<std::uint64_t>(arguments.replica) >= plan.replicas)
    throw invalid_input("--replica", arguments.replica,
                        "must be less than the replicas, " + std::to_string(plan.replicas));
  expect_writable(arguments.out);
  expect_writable(arguments.trace);
  expect_writable(arguments.svg);
  replay_report report;
  for (const measured_step& measured : read_measured_file(arguments.measured, plan))
    report.steps.push_back({measured.step, replay(plan, measured.step, measured.durations)});
  const auto pictures =
      draw(plan, report.steps.front(), static_cast<std::size_t>(arguments.replica));
  if (!arguments.trace.empty()) write_file(arguments.trace, chrome_traces(pictures));
  if (!arguments.svg.empty()) write_file(arguments.svg, timelines_svg(pictures));
  return deliver(context, true, arguments.out, report);
}

}  // namespace

void add_replay(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<replay_arguments>();
  CLI::App* command = application.add_subcommand(
      "replay", "Replay steps with measured durations: who waited for whom, what was predicted");
  add_input_file(*command, context.files, "--execution", arguments->execution,
                 "What omnibal plan --execution wrote")
      ->required();
  add_input_file(*command, context.files, "--measured", arguments->measured,
                 "Durations of every rank's items, or a Chrome trace of them")
      ->required();
  add_integer(*command, "--replica", arguments->replica,
              "The replica that --trace and --svg show, in the first measured step [0]",
              {0, 1 << 20});
  add_output_file(*command, context.files, "--out", arguments->out,
                  "Where to write the result as JSON");
  add_output_file(*command, context.files, "--trace", arguments->trace,
                  "Where to write measured and predicted operations, for Perfetto");
  add_output_file(*command, context.files, "--svg", arguments->svg,
                  "Where to write them as an SVG picture");
  command->footer(
      "\nExamples:\n  omnibal replay --execution execution.json --measured measured.json --svg "
      "step.svg");
  command->callback([&context, arguments] {
    context.run = [&context, arguments] { return replay_steps(context, *arguments); };
  });
}

}  // namespace omnibal::cli
