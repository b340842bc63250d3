// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/core.h>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/plan_run.hpp>
#include <omnibal/run/schedule_search.hpp>
#include <omnibal/run/step_timeline.hpp>

#include "commands/deadline.hpp"
#include "commands/deliver.hpp"
#include "commands/plan_arguments.hpp"
#include "commands/plan_constraints.hpp"
#include "commands/plan_costs.hpp"
#include "commands/plan_file.hpp"
#include "commands/progress_line.hpp"
#include "commands/run_figures.hpp"
#include "commands/stopwatch.hpp"
#include "files/execution_file.hpp"
#include "files/files.hpp"
#include "files/packs_file.hpp"
#include "options/units.hpp"
#include "reports/plan_page.hpp"
#include "reports/plan_report.hpp"
#include "reports/plan_text.hpp"

namespace omnibal::cli {
namespace {

void require(const char* option, bool given, const char* example) {
  if (!given)
    throw usage_error(std::string(option) + " is missing: a plan needs it, as in " + option + " " +
                      example);
}

void check_virtual_stages(const plan_arguments& arguments) {
  const schedule_capabilities& can = arguments.schedule.capabilities();
  const auto given = static_cast<std::size_t>(arguments.virtual_stages);
  if (can.least_virtual_stages <= given && given <= can.most_virtual_stages) return;
  throw invalid_input("--virtual", given,
                      "must be " + std::to_string(can.most_virtual_stages) + " with --schedule " +
                          std::string(arguments.schedule.name()) +
                          "; --schedule interleaved takes any number");
}

std::string schedules_that_split() {
  std::string names;
  for (const any_schedule& one : all_schedules) {
    if (!one.capabilities().splits_backward) continue;
    if (!names.empty()) names += ", ";
    names += one.name();
  }
  return names;
}

void check_ends_of_steps(const plan_arguments& arguments) {
  if (arguments.recompute_for_w && !arguments.schedule.capabilities().splits_backward)
    throw usage_error("--recompute-for-w has no meaning with --schedule " +
                      std::string(arguments.schedule.name()) +
                      ", which does not split the backward; others do: " + schedules_that_split());
  if (arguments.overlap.gather && !arguments.shard_optimizer)
    throw usage_error(
        "--gather overlapped needs --shard-optimizer: without it no parameters are gathered");
}

void check(const plan_arguments& arguments) {
  if (!arguments.evaluate.empty() && !arguments.current.empty())
    throw usage_error("--current has no meaning beside --evaluate, which compares nothing");
  if (!arguments.evaluate.empty() &&
      !(arguments.out.empty() && arguments.report.empty() && arguments.execution.empty()))
    throw usage_error(
        "--out, --report and --execution have no meaning beside --evaluate, which makes no plan");
  require("--model", !arguments.model.empty(), "internvl-chat-1.5");
  if (arguments.devices > 0) {
    if (arguments.data_parallel + arguments.pipeline_parallel + arguments.tensor_parallel > 0)
      throw usage_error("--gpus searches for --dp, --pp and --tp: give either it or them");
    if (!arguments.current.empty())
      throw usage_error("--current has no meaning beside --gpus: the layout has its shape");
    if (!arguments.evaluate.empty())
      throw usage_error("--gpus has no meaning beside --evaluate: the plan has its shape");
  } else {
    require("--dp", arguments.data_parallel > 0, "8");
    require("--pp", arguments.pipeline_parallel > 0, "4");
  }
  require("--global-batch", arguments.global_batch > 0, "256");
  if (arguments.objective && *arguments.objective != "expected_makespan")
    throw invalid_input(
        "--objective", *arguments.objective,
        "must be expected_makespan with --lengths: plans of a run are compared by their epoch");
  if (!arguments.search_schedule) {
    check_virtual_stages(arguments);
    return check_ends_of_steps(arguments);
  }
  if (!arguments.evaluate.empty())
    throw usage_error(
        "--schedule auto has no meaning beside --evaluate: the plan has its schedule");
  if (arguments.devices > 0)
    throw usage_error(
        "--schedule auto and --gpus both search: give --dp, --pp and --tp, or a schedule");
}

/// The samples of a run, which have tiles and tokens, in this order.
const std::vector<loads<2>>& tiles_and_tokens(const length_tables& tables) {
  const auto* samples = std::get_if<std::vector<loads<2>>>(&tables.samples);
  if (samples == nullptr || tables.resources != std::vector<std::string>{"images", "tokens"})
    throw invalid_input("--resource", std::to_string(tables.resources.size()),
                        "columns: a run is planned for images and tokens");
  return *samples;
}

std::optional<loads<2>> read_capacity(const plan_arguments& arguments,
                                      const length_tables& tables) {
  if (arguments.capacity == "auto") return std::nullopt;
  const std::vector<std::int64_t> amounts =
      parse_amounts("--capacity", arguments.capacity, tables.resources, {.least = 1});
  return loads<2>{amounts[0], amounts[1]};
}

evaluated_run evaluate(const plan_subject& subject, const run_problem& problem,
                       const packs_file& file, const pipeline_plan& plan,
                       const search_control& control) {
  try {
    return evaluate_run(problem, file.packs, file.plan, {file.capacity[0], file.capacity[1]}, plan,
                        {.control = control});
  } catch (const invalid_input& error) {
    throw usage_error(subject.arguments.evaluate + ": " + error.what());
  }
}

/// Throws invalid_input unless the samples that the file says were left out are those in no pack.
void expect_skipped(const std::string& path, const std::vector<std::uint32_t>& listed,
                    const std::vector<std::uint32_t>& left_out) {
  if (listed == left_out) return;
  for (std::size_t k = 0; k < listed.size(); ++k)
    if (k >= left_out.size() || listed[k] != left_out[k])
      throw invalid_input(path + ": skipped", k, listed[k],
                          "must be the samples in no pack, each once, in ascending order");
  throw invalid_input(path + ": indices", left_out[listed.size()],
                      "is a sample in no pack, and not among those skipped");
}

exit_status evaluate_plan(const command_context& context, const plan_subject& subject,
                          run_problem problem, const length_tables& tables,
                          const search_control& control) {
  const std::string& path = subject.arguments.evaluate;
  const json content = read_json_object("--evaluate", path);
  const earlier_plan earlier =
      read_plan(content, path, setting_of(subject), subject.calibrated.chain);
  if (!earlier.epoch_seconds)
    throw invalid_input(path + ": planned", json_text(nullptr), "must hold epoch_seconds");
  const packs_file file = read_packs(content, path, tables);
  problem.oversize = earlier.skipped.empty() ? oversize_policy::own_pack : oversize_policy::skip;
  const evaluated_run run = evaluate(subject, problem, file, earlier.plan, control);
  expect_skipped(path, earlier.skipped, run.skipped);
  print_report(context, report_of(subject, run, *earlier.epoch_seconds));
  return run.strategy.fits ? exit_status::done : exit_status::infeasible;
}

training_setup setup_of(const plan_arguments& arguments) {
  return {.tensor_parallel = arguments.tensor_parallel,
          .data_parallel = arguments.data_parallel,
          .sequence_parallel = arguments.sequence_parallel,
          .shard_optimizer = arguments.shard_optimizer,
          .optimizer_bytes = arguments.optimizer_bytes,
          .freeze = arguments.freeze};
}

/// The run without its layers.
run_problem run_of(const plan_arguments& arguments, const length_tables& tables,
                   const cost_source& costs) {
  return {.samples = tiles_and_tokens(tables),
          .schedule = arguments.schedule,
          .stages = static_cast<std::size_t>(arguments.pipeline_parallel),
          .virtual_stages = static_cast<std::size_t>(arguments.virtual_stages),
          .data_parallel = static_cast<std::size_t>(arguments.data_parallel),
          .global_batch = arguments.global_batch,
          .batch_tolerance = arguments.batch_tolerance,
          .memory = {.limit = arguments.memory > 0 ? arguments.memory : costs.device.memory_bytes,
                     .reserved = arguments.reserve,
                     .margin = costs.margin(arguments.margin)},
          .recompute_for_w = arguments.recomputation_for_w(),
          .overlap = arguments.overlap,
          .capacity = read_capacity(arguments, tables),
          .oversize = arguments.oversize,
          .seed = static_cast<std::uint64_t>(arguments.seed)};
}

plan_arguments in_shape(plan_arguments arguments, const cluster_shape& shape) {
  arguments.data_parallel = static_cast<std::int64_t>(shape.data_parallel);
  arguments.pipeline_parallel = static_cast<std::int64_t>(shape.stages);
  arguments.tensor_parallel = shape.tensor_parallel;
  return arguments;
}

shape_search_result search_shapes(const plan_arguments& arguments, const length_tables& tables,
                                  const cost_source& costs, const search_control& control) {
  run_problem run = run_of(in_shape(arguments, {}), tables, costs);
  const auto layer_costs = [&](const cluster_shape& shape) {
    return costs.costs(setup_of(in_shape(arguments, shape))).chain;
  };
  const std::int64_t measured =
      costs.profile ? costs.profile->profile.tensor_parallel.value_or(1) : 1;
  const std::vector<layer_cost> chain = layer_costs({.tensor_parallel = measured});
  run.chain = chain;
  add_constraints(run, arguments);
  return rank_shapes({.devices = arguments.devices,
                      .node_devices = costs.device.devices_per_node,
                      .layer_costs = layer_costs,
                      .run = std::move(run)},
                     {.plans = {.control = control}});
}

/// Ranks the schedules allowed, and makes the best that of the run.
std::vector<schedule_candidate> choose_schedule(plan_arguments& arguments, run_problem& problem,
                                                const search_control& control) {
  schedule_problem question{.run = problem};
  if (!arguments.allow.empty()) question.allowed = arguments.allow;
  if (arguments.virtual_stages > 0)
    question.most_virtual_stages = static_cast<std::size_t>(arguments.virtual_stages);
  std::vector<schedule_candidate> ranked =
      rank_schedules(question, {.plans = {.control = control}}).candidates;
  arguments.schedule = problem.schedule = ranked.front().schedule;
  problem.virtual_stages = ranked.front().virtual_stages;
  arguments.virtual_stages = static_cast<std::int64_t>(problem.virtual_stages);
  return ranked;
}

/// The first step of the first rank under each strategy, to be drawn.
std::vector<timeline> first_steps(const run_result& plan, const std::vector<layer_cost>& chain,
                                  weight_gradient_recompute recompute_for_w) {
  std::vector<timeline> steps;
  const run_strategy* current = plan.current ? &*plan.current : nullptr;
  for (const auto& [name, strategy] : {std::pair{"naive", &plan.naive},
                                       {"unbalanced", &plan.unbalanced},
                                       {"paper", &plan.published},
                                       {"current", current},
                                       {"planned", &plan.planned}}) {
    if (strategy == nullptr || strategy->status == search_status::infeasible) continue;
    steps.push_back(step_timeline(*strategy, chain, 0, 0, recompute_for_w));
    steps.back().title =
        fmt::format("{}, {:.1f} s", name, static_cast<double>(steps.back().end()) * 1e-9);
  }
  return steps;
}

/// The packs of the plan, and which rank runs which in which step.
packs_file packs_of(const plan_subject& subject, const run_strategy& planned) {
  return {.inputs = subject.inputs,
          .resources = {"images", "tokens"},
          .capacity = {planned.capacity->begin(), planned.capacity->end()},
          .packs = planned.data.packing.packs,
          .plan = planned.data.dispatch};
}

/// The tokens of each sample that count in the loss; empty where no column has them.
std::vector<std::int64_t> read_labels(const plan_arguments& arguments) {
  if (arguments.labels.empty()) return {};
  table_options options = arguments.tables;
  options.resources = {{"labels", arguments.labels}};
  const length_tables tables = read_length_tables(options);
  std::vector<std::int64_t> labels;
  for (const loads<1>& one : std::get<std::vector<loads<1>>>(tables.samples))
    labels.push_back(one[0]);
  return labels;
}

/// Throws invalid_input for a sample with more labels than tokens.
void expect_fewer_labels(std::span<const std::int64_t> labels,
                         std::span<const vision_language_sample> samples) {
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] > samples[i][1])
      throw invalid_input(
          "--labels", i, labels[i],
          "is more than the tokens of the sample, " + std::to_string(samples[i][1]));
}

void write_execution(const plan_subject& subject, const run_problem& problem,
                     const run_result& plan, std::span<const std::int64_t> labels) {
  const plan_arguments& arguments = subject.arguments;
  if (arguments.execution.empty()) return;
  write_file(arguments.execution,
             to_text(make_execution_plan(problem, plan.planned,
                                         {.order = arguments.execution_order,
                                          .tensor_parallel = arguments.tensor_parallel,
                                          .shards_optimizer = arguments.shard_optimizer,
                                          .label_tokens = labels}),
                     subject.inputs));
}

void write_plan(const plan_subject& subject, const run_result& plan, const run_report& report) {
  const plan_arguments& arguments = subject.arguments;
  const std::vector<layer_cost>& chain = subject.calibrated.chain;
  if (!arguments.out.empty())
    write_file(arguments.out, plan_file_text(report, arguments.seed, chain, plan.planned.plan,
                                             packs_of(subject, plan.planned)));
  if (!arguments.report.empty())
    write_file(arguments.report,
               plan_page(report, first_steps(plan, chain, arguments.recomputation_for_w())));
}

}  // namespace

exit_status plan_tables(const command_context& context, const plan_arguments& given) {
  check(given);
  plan_arguments arguments = given;
  arguments.tensor_parallel = std::max<std::int64_t>(1, given.tensor_parallel);
  const cost_source costs = read_costs(arguments);
  if (arguments.devices == 0) validate(setup_of(arguments), costs.model);
  expect_writable(arguments.out);
  expect_writable(arguments.report);
  expect_writable(arguments.execution);

  stopwatch watch;
  const length_tables tables = read_length_tables(arguments.tables);
  const std::vector<std::int64_t> labels = read_labels(arguments);
  expect_fewer_labels(labels, tiles_and_tokens(tables));
  const double read_seconds = watch.lap();
  progress_line line(context);
  const deadline limit(context, arguments.time_limit);
  search_control control = line.control();
  control.stop = limit.token();
  std::vector<shape_candidate> shapes;
  if (arguments.devices > 0) {
    shapes = search_shapes(arguments, tables, costs, control).candidates;
    arguments = in_shape(arguments, shapes.front().shape);
  }
  const chain_costs calibrated = costs.costs(setup_of(arguments));
  run_problem problem = run_of(arguments, tables, costs);
  problem.chain = calibrated.chain;
  add_constraints(problem, arguments);
  std::vector<schedule_candidate> schedules;
  if (arguments.search_schedule) schedules = choose_schedule(arguments, problem, control);
  const plan_subject subject{.costs = costs,
                             .calibrated = calibrated,
                             .arguments = arguments,
                             .inputs = tables.inputs,
                             .samples = problem.samples.size(),
                             .memory = problem.memory,
                             .nearest_vision_stages = nearest_vision_stages(problem, arguments)};
  if (!arguments.evaluate.empty())
    return evaluate_plan(context, subject, problem, tables, line.control());
  if (!arguments.current.empty())
    problem.current = read_layout(arguments.current, setting_of(subject), calibrated.chain, tables);
  run_result plan = plan_run(problem, {.control = control});
  extend_bound(plan, problem, schedules);
  const double plan_seconds = watch.lap();

  run_report report = report_of(subject, plan);
  report.shapes = trials_of(shapes);
  report.schedules = trials_of(schedules);
  report.read_seconds = read_seconds;
  report.plan_seconds = plan_seconds;
  if (report.gain) {
    report.gain->megatron = report_of(
        subject, to_megatron_layout(planning_problem(problem, plan.planned), plan.planned.plan));
    write_plan(subject, plan, report);
    write_execution(subject, problem, plan, labels);
  }
  print_report(context, report);
  return report.status == search_status::infeasible ? exit_status::infeasible : exit_status::done;
}

}  // namespace omnibal::cli
