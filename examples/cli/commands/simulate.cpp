// SPDX-License-Identifier: Apache-2.0
// omnibal simulate: exact times and memory of a pipeline schedule.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/interop/chrome_trace.hpp>
#include <omnibal/interop/svg.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/step_simulation.hpp>

#include "commands/commands.hpp"
#include "commands/deliver.hpp"
#include "files/files.hpp"
#include "files/given_names.hpp"
#include "files/problem_file.hpp"
#include "options/options.hpp"
#include "reports/simulation_report.hpp"

namespace omnibal::cli {
namespace {

struct simulate_arguments {
  std::string problem;
  std::string out;
  std::string trace;
  std::string svg;
};

/// Where the weight gradient is an operation of its own, half of the saved activations stay until
/// it.
std::vector<activation_bytes> read_activations(const problem_file& file, std::size_t stages) {
  std::vector<std::int64_t> saved = file.optional_integers("act");
  if (saved.empty()) saved.assign(stages, 1);
  std::vector<activation_bytes> activations;
  for (const std::int64_t bytes : saved)
    activations.push_back({.saved = bytes, .saved_for_weight_gradient = bytes / 2});
  return activations;
}

/// A timeline takes 200 bytes per operation, and as much again until it is written.
void expect_drawable(const schedule_shape& shape) {
  constexpr std::uint64_t most = std::uint64_t{1} << 19;
  if (std::uint64_t{shape.total_stages()} * shape.microbatches > most)
    throw invalid_input("microbatches", shape.microbatches,
                        "with " + std::to_string(shape.total_stages()) +
                            " (virtual) stages are too many for --trace and --svg: their product "
                            "may be at most 2^19");
}

step_problem read_problem(const problem_file& file) {
  const schedule_shape shape = file.schedule();
  return {.schedule = shape,
          .times = {.forward = file.integers("fwd"),
                    .backward = file.integers("bwd"),
                    .weight_gradient = file.optional_integers("wgrad"),
                    .forward_latency = file.integers("cf"),
                    .backward_latency = file.integers("cb"),
                    .microbatch_scale = file.optional_integers("mb_scale")},
          .recomputation = file.optional_integers("recompute"),
          .activations = read_activations(file, shape.total_stages()),
          .step_times = file.optional_integers("step"),
          .orders = file.device_order()};
}

simulation_report to_report(const simulated_step& step) {
  simulation_report report{.makespan = step.times.makespan,
                           .bubble_ratio = step.times.bubble_ratio(),
                           .busy = step.times.busy};
  for (const device_peak& peak : step.peaks) {
    report.peak_activation.push_back(peak.bytes);
    report.peak_in_flight.push_back(peak.in_flight);
  }
  return report;
}

exit_status simulate_problem(const command_context& context, const simulate_arguments& arguments) {
  const problem_file file(arguments.problem);
  file.expect_kind({"simulate"}, "simulate");
  file.expect_keys({"schedule", "stages", "virtual", "group_size", "microbatches", "fwd", "bwd",
                    "wgrad", "cf", "cb", "mb_scale", "recompute", "act", "step", "device_order"});
  const step_problem problem = read_problem(file);
  if (!arguments.trace.empty() || !arguments.svg.empty()) expect_drawable(problem.schedule);
  expect_writable(arguments.out);
  expect_writable(arguments.trace);
  expect_writable(arguments.svg);
  simulated_step step = with_given_names(step_keys(), arguments.problem + ": ",
                                         [&] { return simulate_step(problem); });
  step.drawn.title = "makespan " + std::to_string(step.times.makespan);
  if (!arguments.trace.empty()) write_file(arguments.trace, chrome_trace(step.drawn));
  if (!arguments.svg.empty()) write_file(arguments.svg, timelines_svg({&step.drawn, 1}));
  return deliver(context, true, arguments.out, to_report(step));
}

}  // namespace

void add_simulate(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<simulate_arguments>();
  CLI::App* command = application.add_subcommand(
      "simulate", "Simulate a pipeline schedule exactly: makespan, idle time, memory");
  add_input_file(*command, context.files, "--problem", arguments->problem,
                 "The problem: kind simulate")
      ->required();
  add_output_file(*command, context.files, "--out", arguments->out,
                  "Where to write the result as JSON");
  add_output_file(*command, context.files, "--trace", arguments->trace,
                  "Where to write the timeline, for Perfetto or chrome://tracing");
  add_output_file(*command, context.files, "--svg", arguments->svg,
                  "Where to write the timeline as an SVG picture");
  command->footer(
      "\nExamples:\n  omnibal simulate --problem step.json --svg step.svg --trace step-trace.json");
  command->callback([&context, arguments] {
    context.run = [&context, arguments] {
      return with_given_names(problem_keys(), arguments->problem + ": ",
                              [&] { return simulate_problem(context, *arguments); });
    };
  });
}

}  // namespace omnibal::cli
