// SPDX-License-Identifier: Apache-2.0
// omnibal simulate: exact times and memory of a pipeline schedule.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/interop/chrome_trace.hpp>
#include <omnibal/interop/svg.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/pipeline/timeline.hpp>

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

/// What a file of kind simulate describes.
struct simulation_problem {
  schedule_shape shape;
  stage_times<std::int64_t> times = {};
  std::vector<std::int64_t> recomputation = {};  ///< The part of each backward.
  std::vector<std::int64_t> activation = {};
  std::vector<std::int64_t> step = {};  ///< Per virtual stage, at the end of the step.
  std::vector<std::vector<pipeline_operation>> orders = {};
};

void expect_size(const std::string& field, const std::vector<std::int64_t>& values,
                 std::size_t size, const char* what) {
  if (values.size() != size)
    throw invalid_input(
        field, values.size(),
        "must have one entry per " + std::string(what) + ", " + std::to_string(size));
  for (std::size_t i = 0; i < size; ++i)
    if (values[i] < 0) throw invalid_input(field, i, values[i], "must not be negative");
}

/// Throws unless every sum the simulation forms fits 64 bits.
void expect_sums_fit(const simulation_problem& problem) {
  std::int64_t scale = 0;
  for (const std::int64_t factor : problem.times.microbatch_scale)
    scale = checked_add(scale, std::max<std::int64_t>(1, factor), "mb_scale");
  std::int64_t time = 0;
  for (const auto* values :
       {&problem.times.forward, &problem.times.backward, &problem.times.weight_gradient,
        &problem.times.forward_latency, &problem.times.backward_latency, &problem.step})
    for (const std::int64_t value : *values) time = checked_add(time, value, "times");
  (void)checked_multiply(time, scale, "times");
  std::int64_t bytes = 0;
  for (const std::int64_t value : problem.activation) bytes = checked_add(bytes, value, "act");
  (void)checked_multiply(bytes, static_cast<std::int64_t>(problem.shape.microbatches), "act");
}

simulation_problem read_problem(const problem_file& file) {
  simulation_problem problem{.shape = file.schedule()};
  const std::size_t stages = problem.shape.total_stages();
  problem.times = {.forward = file.integers("fwd"),
                   .backward = file.integers("bwd"),
                   .weight_gradient = file.optional_integers("wgrad"),
                   .forward_latency = file.integers("cf"),
                   .backward_latency = file.integers("cb"),
                   .microbatch_scale = file.optional_integers("mb_scale")};
  problem.recomputation = file.optional_integers("recompute");
  if (problem.recomputation.empty()) problem.recomputation.assign(stages, 0);
  problem.activation = file.optional_integers("act");
  if (problem.times.weight_gradient.empty()) problem.times.weight_gradient.assign(stages, 0);
  if (problem.times.microbatch_scale.empty())
    problem.times.microbatch_scale.assign(problem.shape.microbatches, 1);
  if (problem.activation.empty()) problem.activation.assign(stages, 1);
  problem.step = file.optional_integers("step");
  if (problem.step.empty()) problem.step.assign(stages, 0);
  expect_size("fwd", problem.times.forward, stages, "virtual stage");
  expect_size("bwd", problem.times.backward, stages, "virtual stage");
  expect_size("wgrad", problem.times.weight_gradient, stages, "virtual stage");
  expect_size("recompute", problem.recomputation, stages, "virtual stage");
  for (std::size_t j = 0; j < stages; ++j)
    if (problem.recomputation[j] > problem.times.backward[j])
      throw invalid_input("recompute", j, problem.recomputation[j],
                          "must not be more than bwd, of which it is a part");
  expect_size("act", problem.activation, stages, "virtual stage");
  expect_size("step", problem.step, stages, "virtual stage");
  expect_size("cf", problem.times.forward_latency, stages - 1, "edge between stages");
  expect_size("cb", problem.times.backward_latency, stages - 1, "edge between stages");
  expect_size("mb_scale", problem.times.microbatch_scale, problem.shape.microbatches,
              "micro-batch");
  expect_sums_fit(problem);
  problem.orders = file.device_order();
  if (problem.orders.empty()) problem.orders = device_orders(problem.shape);
  if (problem.orders.size() != problem.shape.stages)
    throw invalid_input("device_order", problem.orders.size(), "must have one order per device");
  return problem;
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

/// Orders by hand may place stages anywhere, so the graph says on which device a stage is.
std::vector<std::int64_t> device_step_times(const operation_graph& graph,
                                            const simulation_problem& problem) {
  std::vector<std::int64_t> times(problem.shape.stages, 0);
  for (const operation_graph::node& node : graph.nodes())
    if (node.work.kind == operation_kind::forward && node.work.microbatch == 0)
      times[node.device] += problem.step[node.work.stage];
  return times;
}

timeline draw(const operation_graph& graph, const simulation_problem& problem) {
  return simulate_timeline(
      graph, problem.times, [&](const pipeline_operation& work) -> std::int64_t {
        if (work.kind != operation_kind::backward) return 0;
        return problem.recomputation[work.stage] * problem.times.microbatch_scale[work.microbatch];
      });
}

simulation_report to_report(const simulation_problem& problem,
                            const simulation<std::int64_t>& run) {
  // Where the weight gradient is an operation of its own, half of the saved activations stay until
  // it.
  const auto bytes = [&](const pipeline_operation& work) {
    const std::int64_t saved = problem.activation[work.stage];
    return activation_bytes{.saved = saved, .saved_for_weight_gradient = saved / 2};
  };
  simulation_report report{
      .makespan = run.makespan, .bubble_ratio = run.bubble_ratio(), .busy = run.busy};
  for (const std::vector<pipeline_operation>& order : problem.orders) {
    const device_peak peak = peak_activation(order, bytes);
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
  const simulation_problem problem = read_problem(file);
  if (!arguments.trace.empty() || !arguments.svg.empty()) expect_drawable(problem.shape);
  expect_writable(arguments.out);
  expect_writable(arguments.trace);
  expect_writable(arguments.svg);
  const operation_graph graph(problem.orders, problem.shape.total_stages(),
                              problem.shape.microbatches);
  const simulation<std::int64_t> run =
      after_steps(simulate(graph, problem.times), device_step_times(graph, problem));
  timeline step = draw(graph, problem);
  step.title = "makespan " + std::to_string(run.makespan);
  if (!arguments.trace.empty()) write_file(arguments.trace, chrome_trace(step));
  if (!arguments.svg.empty()) write_file(arguments.svg, timelines_svg({&step, 1}));
  return deliver(context, true, arguments.out, to_report(problem, run));
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
