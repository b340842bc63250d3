// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <stop_token>
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
#include "commands/joined_names.hpp"
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

void check_ends_of_steps(const plan_arguments& arguments) {
  const auto splits = [](const any_schedule& one) { return one.capabilities().splits_backward; };
  if (arguments.recompute_for_w && !splits(arguments.schedule)) {
    std::vector<any_schedule> splitting;
    std::copy_if(all_schedules.begin(), all_schedules.end(), std::back_inserter(splitting), splits);
    throw usage_error(
        "--recompute-for-w has no meaning with --schedule " +
        std::string(arguments.schedule.name()) +
        ", which does not split the backward; others do: " + joined_names(splitting, ", "));
  }
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

bool has_shape(const plan_arguments& arguments, const cluster_shape& shape) {
  return std::cmp_equal(arguments.data_parallel, shape.data_parallel) &&
         std::cmp_equal(arguments.pipeline_parallel, shape.stages) &&
         arguments.tensor_parallel == shape.tensor_parallel;
}

shape_search_result search_shapes(const plan_arguments& arguments, const length_tables& tables,
                                  const cost_source& costs, const search_control& control,
                                  const std::stop_token& give_up) {
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
                     {.plans = {.control = control}, .give_up = give_up});
}

/// The file of --current, and the division of the devices that it is for.
struct current_file {
  json content = {};
  cluster_shape shape = {};
};

/// Throws invalid_input where the file is for another number of devices than --gpus.
std::optional<current_file> read_current(const plan_arguments& arguments) {
  const std::string& path = arguments.current;
  if (path.empty()) return std::nullopt;
  current_file file{.content = read_json_object("--current", path)};
  if (arguments.devices == 0) return file;
  file.shape = read_shape(file.content, path);
  const auto& [data_parallel, stages, tensor_parallel] = file.shape;
  // Each is at most 2^20, so that the product of two fits.
  const std::int64_t pipelines = static_cast<std::int64_t>(data_parallel * stages);
  if (arguments.devices % pipelines != 0 || arguments.devices / pipelines != tensor_parallel)
    throw invalid_input(path + ": dp, pp, tp",
                        fmt::format("{}, {}, {}", data_parallel, stages, tensor_parallel),
                        fmt::format("must be a division of the {} devices of --gpus, to be "
                                    "compared with: their product is to be that number",
                                    arguments.devices));
  return file;
}

/// The layout of the file. Where that does not say how layers recompute for W, they do so as in
/// this run.
current_layout layout_of(const current_file& file, const plan_subject& subject,
                         const length_tables& tables) {
  run_setting setting = setting_of(subject);
  setting.recompute_for_w = subject.arguments.recomputation_word();
  return read_layout(file.content, subject.arguments.current, setting, subject.calibrated.chain,
                     tables);
}

/// The same for a shape of its own, which the run may not have.
current_layout layout_in_its_shape(const current_file& file, const plan_subject& subject,
                                   const length_tables& tables) {
  const plan_arguments arguments = in_shape(subject.arguments, file.shape);
  const chain_costs calibrated = subject.costs.costs(setup_of(arguments));
  const plan_subject own{.costs = subject.costs,
                         .calibrated = calibrated,
                         .arguments = arguments,
                         .inputs = subject.inputs,
                         .samples = subject.samples,
                         .memory = subject.memory};
  current_layout layout = layout_of(file, own, tables);
  layout.cluster = other_cluster{.stages = file.shape.stages,
                                 .data_parallel = file.shape.data_parallel,
                                 .chain = calibrated.chain};
  return layout;
}

/// The search for a shape or a schedule leaves half of the time to the plan.
std::optional<double> time_of_ranking(const plan_arguments& arguments) {
  if (!arguments.time_limit) return std::nullopt;
  return *arguments.time_limit / 2;
}

/// Ranks the schedules allowed, and makes the best that of the run.
schedule_search_result choose_schedule(plan_arguments& arguments, run_problem& problem,
                                       const search_control& control,
                                       const std::stop_token& give_up) {
  schedule_problem question{.run = problem};
  if (!arguments.allow.empty()) question.allowed = arguments.allow;
  if (arguments.virtual_stages > 0)
    question.most_virtual_stages = static_cast<std::size_t>(arguments.virtual_stages);
  schedule_search_result ranked =
      rank_schedules(question, {.plans = {.control = control}, .give_up = give_up});
  arguments.schedule = problem.schedule = ranked.candidates.front().schedule;
  problem.virtual_stages = ranked.candidates.front().virtual_stages;
  arguments.virtual_stages = static_cast<std::int64_t>(problem.virtual_stages);
  return ranked;
}

/// The first step of the first rank under each strategy, to be drawn.
std::vector<timeline> first_steps(const run_result& plan, const run_problem& problem) {
  std::vector<timeline> steps;
  const run_strategy* current = plan.current ? &*plan.current : nullptr;
  for (const auto& [name, strategy] : {std::pair{"naive", &plan.naive},
                                       {"unbalanced", &plan.unbalanced},
                                       {"paper", &plan.published},
                                       {"current", current},
                                       {"planned", &plan.planned}}) {
    if (strategy == nullptr || strategy->status == search_status::infeasible) continue;
    const bool elsewhere = strategy == current && problem.current->cluster.has_value();
    steps.push_back(step_timeline(*strategy,
                                  elsewhere ? problem.current->cluster->chain : problem.chain, 0, 0,
                                  problem.recompute_for_w));
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

void write_plan(const plan_subject& subject, const run_problem& problem, const run_result& plan,
                const run_report& report) {
  const plan_arguments& arguments = subject.arguments;
  if (!arguments.out.empty())
    write_file(arguments.out, plan_file_text(report, arguments.seed, subject.calibrated.chain,
                                             plan.planned.plan, packs_of(subject, plan.planned)));
  if (!arguments.report.empty())
    write_file(arguments.report, plan_page(report, first_steps(plan, problem)));
}

/// What a plan is made from in any shape.
struct planning_job {
  const command_context& context;
  const cost_source& costs;
  const length_tables& tables;
  const std::vector<std::int64_t>& labels;
  const std::optional<current_file>& current;
  const shape_search_result& shapes;  ///< Without candidates if the shape is given.
  search_control control = {};
  search_control ranking = {};  ///< Of the search for a schedule.
  stopwatch& watch;
  double read_seconds = 0;
};

/// Whether the run can have the shape of the current layout in place of that found, and the layout
/// may be a plan then.
bool is_better_as_it_is(const plan_subject& subject, const run_problem& problem,
                        const run_result& plan) {
  if (!plan.current || !problem.current->cluster) return false;
  const run_strategy& current = *plan.current;
  const batch_options batch{.global_batch = problem.global_batch,
                            .batch_tolerance = problem.batch_tolerance};
  return current.fits && current.keeps_constraints &&
         current.schedule.kind == subject.arguments.schedule &&
         meets_batch(batch, current.data.mean_samples_per_step) &&
         (plan.planned.status == search_status::infeasible ||
          current.epoch.time < plan.planned.epoch.time);
}

/// Whether a search was given up before anything that it tried was found to fit.
template <typename Candidate>
bool was_given_up(const candidate_ranking<Candidate>& ranking) {
  return ranking.limit == search_limit::stop && !ranking.has_plan();
}

/// Plans the run in its shape and reports the plan; does not report one that is not faster than
/// `to_beat` nanoseconds.
std::optional<exit_status> plan_in_shape(const planning_job& job, plan_arguments arguments,
                                         std::optional<std::int64_t> to_beat = std::nullopt) {
  const chain_costs calibrated = job.costs.costs(setup_of(arguments));
  run_problem problem = run_of(arguments, job.tables, job.costs);
  problem.chain = calibrated.chain;
  add_constraints(problem, arguments);
  schedule_search_result schedules;
  if (arguments.search_schedule)
    schedules = choose_schedule(arguments, problem, job.ranking, job.control.stop);
  const plan_subject subject{.costs = job.costs,
                             .calibrated = calibrated,
                             .arguments = arguments,
                             .inputs = job.tables.inputs,
                             .samples = problem.samples.size(),
                             .memory = problem.memory,
                             .nearest_vision_stages = nearest_vision_stages(problem, arguments)};
  if (!arguments.evaluate.empty())
    return evaluate_plan(job.context, subject, problem, job.tables, job.control);
  if (job.current)
    problem.current = arguments.devices == 0 || has_shape(arguments, job.current->shape)
                          ? layout_of(*job.current, subject, job.tables)
                          : layout_in_its_shape(*job.current, subject, job.tables);
  run_result plan;
  if (was_given_up(job.shapes) || was_given_up(schedules))
    plan = {.status = search_status::stopped, .limit = search_limit::stop};
  else
    plan = plan_run(problem, {.control = job.control});
  const bool found = plan.planned.status != search_status::infeasible;
  if (!found && (job.shapes.limit == search_limit::stop || schedules.limit == search_limit::stop)) {
    plan.planned.why.proven = false;  // Others were not tried.
    plan.status = search_status::stopped;
    plan.limit = search_limit::stop;
  }
  if (to_beat && (!found || plan.planned.epoch.time >= *to_beat)) return std::nullopt;
  if (is_better_as_it_is(subject, problem, plan)) {
    const std::int64_t best =
        found ? plan.planned.epoch.time : std::numeric_limits<std::int64_t>::max();
    if (const auto done = plan_in_shape(job, in_shape(arguments, job.current->shape), best))
      return done;
  }
  extend_bound(plan, problem, schedules.candidates);
  const double plan_seconds = job.watch.lap();

  run_report report = report_of(subject, plan);
  report.shapes = trials_of(job.shapes.candidates);
  report.schedules = trials_of(schedules.candidates);
  report.read_seconds = job.read_seconds;
  report.plan_seconds = plan_seconds;
  if (report.gain) {
    report.gain->megatron = report_of(
        subject, to_megatron_layout(planning_problem(problem, plan.planned), plan.planned.plan));
    write_plan(subject, problem, plan, report);
    write_execution(subject, problem, plan, job.labels);
  }
  print_report(job.context, report);
  return found ? exit_status::done : exit_status::infeasible;
}

/// Plans the run in the first shapes that missed the batch when they were ranked, at few
/// capacities, until there is a plan, and reports it.
std::optional<exit_status> plan_in_missing_shapes(const planning_job& job,
                                                  const plan_arguments& arguments) {
  constexpr std::size_t most = 8;
  std::size_t tried = 0;
  for (const shape_candidate& one : job.shapes.candidates) {
    if (one.nearest_batch == 0) continue;
    if (tried++ == most || job.control.stop_requested()) break;
    if (const auto done = plan_in_shape(job, in_shape(arguments, one.shape),
                                        std::numeric_limits<std::int64_t>::max()))
      return done;
  }
  return std::nullopt;
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
  const std::optional<current_file> current = read_current(arguments);
  const double read_seconds = watch.lap();
  progress_line line(context);
  const deadline limit(context, arguments.time_limit);
  search_control control = line.control();
  control.stop = limit.token();
  const deadline ranking_limit(context, time_of_ranking(arguments));
  search_control ranking = line.control();
  ranking.stop = ranking_limit.token();
  shape_search_result shapes;
  if (arguments.devices > 0) {
    shapes = search_shapes(arguments, tables, costs, ranking, limit.token());
    arguments = in_shape(arguments, shapes.candidates.front().shape);
  }
  const planning_job job{.context = context,
                         .costs = costs,
                         .tables = tables,
                         .labels = labels,
                         .current = current,
                         .shapes = shapes,
                         .control = arguments.evaluate.empty() ? control : line.control(),
                         .ranking = ranking,
                         .watch = watch,
                         .read_seconds = read_seconds};
  if (arguments.devices > 0 && !shapes.has_plan() && shapes.limit == search_limit::none)
    if (const auto done = plan_in_missing_shapes(job, arguments)) return *done;
  return *plan_in_shape(job, arguments);
}

}  // namespace omnibal::cli
