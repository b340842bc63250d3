// SPDX-License-Identifier: Apache-2.0
// omnibal plan --problem: cuts and modes for a problem of plain numbers.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/planner/advice.hpp>
#include <omnibal/planner/objectives.hpp>
#include <omnibal/planner/plan_jointly.hpp>

#include "commands/deadline.hpp"
#include "commands/deliver.hpp"
#include "commands/plan_arguments.hpp"
#include "commands/stopwatch.hpp"
#include "files/problem_file.hpp"
#include "options/units.hpp"
#include "reports/search_report.hpp"

namespace omnibal::cli {
namespace {

/// The objective: that of one step, or a measure over scenarios.
struct asked_objective {
  any_objective of_step = objectives::makespan{};
  std::optional<makespan_measure> over_scenarios = {};
};

/// A problem with its scenarios, if it has any.
struct asked_problem {
  pipeline_problem problem;
  std::vector<scenario> scenarios;
};

asked_objective read_objective(const plan_arguments& arguments, const problem_file& file) {
  using kind = makespan_measure::kind;
  std::vector<std::pair<std::string, asked_objective>> known;
  for (const any_objective& one : all_objectives)
    known.emplace_back(one.name(), asked_objective{one});
  for (const auto& [measure, of] : {std::pair{"expected_makespan", kind::mean},
                                    {"worst_makespan", kind::worst},
                                    {"cvar", kind::cvar}})
    known.emplace_back(measure, asked_objective{.over_scenarios = makespan_measure{.of = of}});
  const bool stochastic = file.is_stochastic();
  const std::string name =
      arguments.objective.value_or(stochastic ? "expected_makespan" : "bottleneck");
  std::vector<std::string> names;
  for (const auto& [known_name, objective] : known) {
    names.push_back(known_name);
    if (name != known_name) continue;
    asked_objective asked = objective;
    if (stochastic && !asked.over_scenarios)
      throw invalid_input(
          "--objective", name,
          "is not an objective over scenarios; use expected_makespan, worst_makespan or cvar");
    if (asked.over_scenarios) {
      if (const auto alpha = file.alpha()) asked.over_scenarios->alpha = *alpha;
      if (arguments.alpha) {
        const fraction share = parse_fraction("--alpha", *arguments.alpha);
        asked.over_scenarios->alpha = {share.numerator, share.denominator};
      }
    }
    return asked;
  }
  throw_not_among("--objective", name, names);
}

joint_result search(const asked_problem& asked, const asked_objective& objective,
                    const joint_options& options) {
  if (objective.over_scenarios && !asked.scenarios.empty())
    return plan_jointly(asked.problem, asked.scenarios, *objective.over_scenarios, options);
  return plan_jointly(asked.problem, objective.of_step, options);
}

/// The objective of a plan, the makespans by simulation. One step is its own mean, worst and tail.
rational evaluate(const asked_problem& asked, const asked_objective& objective,
                  const pipeline_plan& plan) {
  if (objective.over_scenarios && !asked.scenarios.empty()) {
    std::vector<std::int64_t> makespans = scenario_makespans(asked.problem, asked.scenarios, plan);
    const wide_integer denominator = objective.over_scenarios->denominator(makespans.size());
    return reduced(objective.over_scenarios->value(makespans), denominator, "alpha");
  }
  return objective_of(asked.problem, plan, objective.of_step);
}

/// Changes each of which would make the problem fit, the least costly kinds first.
std::string advice_text(const pipeline_problem& problem, const infeasibility& why) {
  if (why.reason == infeasibility::cause::rules)
    return "no partition satisfies all pairs of together and apart: drop one of them, or change "
           "the "
           "number of stages";
  if (why.reason != infeasibility::cause::memory) return suggestion(why);
  const fit_advice advice = advise(problem, why);
  std::vector<std::string> ways;
  if (advice.microbatches)
    ways.push_back("run at most " + std::to_string(*advice.microbatches) +
                   " micro-batches per step");
  if (advice.layer)
    ways.push_back("give layer " + std::to_string(*advice.layer) +
                   " a recompute mode that saves no activations");
  ways.push_back("give every device at least " + std::to_string(advice.bytes) + " bytes more");
  if (advice.stages) ways.push_back("use " + std::to_string(*advice.stages) + " pipeline stages");
  std::string text;
  for (const std::string& way : ways) text += (text.empty() ? "" : ", or ") + way;
  return text;
}

/// The figures of a plan. Times of stages are those of the mean micro-batch where scenarios
/// differ.
evaluated_plan describe(const asked_problem& asked, const pipeline_plan& plan, search_status status,
                        const rational& objective) {
  const pipeline_problem problem =
      asked.scenarios.empty() ? asked.problem : on_average(asked.problem, asked.scenarios);
  const plan_evaluation result = omnibal::evaluate(problem, plan);
  evaluated_plan evaluated{.status = status,
                           .objective = objective,
                           .plan = plan,
                           .peak_memory = result.peak_memory,
                           .makespan = result.makespan};
  for (const stage_cost& stage : result.stages) {
    evaluated.stage_forward.push_back(stage.forward_time);
    evaluated.stage_backward.push_back(stage.backward_time);
  }
  if (!asked.scenarios.empty())
    evaluated.makespans = scenario_makespans(asked.problem, asked.scenarios, plan);
  if (!problem.tied.empty()) evaluated.gradient_reductions = split_ties(problem, plan);
  return evaluated;
}

evaluated_plan describe(const asked_problem& asked, const pipeline_plan& plan, search_status status,
                        const rational& objective, const rational& bound) {
  evaluated_plan evaluated = describe(asked, plan, status, objective);
  evaluated.bound = bound;
  return evaluated;
}

using problem_answer = std::variant<evaluated_plan, no_answer>;

/// Evaluates a given plan: no search, no bound.
problem_answer evaluate_plan(const asked_problem& asked, const asked_objective& objective,
                             const pipeline_plan& plan) {
  if (const infeasibility why = omnibal::evaluate(asked.problem, plan).why;
      why.reason != infeasibility::cause::none)
    return describe_lack(why, "give every device at least " + std::to_string(why.bytes_short) +
                                  " bytes more, or plan again without --evaluate");
  return describe(asked, plan, search_status::feasible, evaluate(asked, objective, plan));
}

/// The plan of the paper's method, beside the bound of the exact search.
problem_answer plan_by_paper(const asked_problem& asked, const asked_objective& objective,
                             const rational& bound) {
  const auto plan = plan_by_paper(
      asked.scenarios.empty() ? asked.problem : on_average(asked.problem, asked.scenarios));
  if (!plan)
    return no_answer{.reason = "memory",
                     .suggestion =
                         "no partition that the paper's method tries fits, though a plan exists: "
                         "leave out --method published"};
  const rational value = evaluate(asked, objective, *plan);
  const search_status status = value == bound ? search_status::optimal : search_status::feasible;
  return describe(asked, *plan, status, value, bound);
}

problem_answer make_plan(const asked_problem& asked, const asked_objective& objective,
                         const plan_arguments& arguments, const deadline& limit) {
  joint_options options{.control = {.stop = limit.token()}};
  if (arguments.time_limit) options.operation_limit = std::numeric_limits<std::uint64_t>::max();
  const joint_result found = search(asked, objective, options);
  if (found.why.reason != infeasibility::cause::none) {
    no_answer answer = describe_lack(found.why, advice_text(asked.problem, found.why));
    answer.limit = found.limit;
    return answer;
  }
  if (arguments.published) return plan_by_paper(asked, objective, found.bound);
  if (found.plan.cuts.empty())
    return no_answer{.status = found.status,
                     .limit = found.limit,
                     .reason = "the limit was reached before any plan was found"};
  evaluated_plan plan = describe(asked, found.plan, found.status, found.objective, found.bound);
  plan.limit = found.limit;
  plan.tie_settled = found.tie_settled;
  return plan;
}

bool answered(const problem_answer& answer) { return !std::holds_alternative<no_answer>(answer); }

}  // namespace

exit_status plan_problem(const command_context& context, const plan_arguments& arguments) {
  stopwatch watch;
  const problem_file file(arguments.problem);
  file.expect_kind({"joint", "joint_mid", "joint_interleaved", "stochastic"}, "plan");
  file.expect_keys({"schedule", "stages", "virtual", "group_size", "microbatches", "layers",
                    "mem_limit", "reserved", "memory_margin", "devices", "tied", "together",
                    "apart", "scenarios", "alpha"});
  const asked_objective objective = read_objective(arguments, file);
  asked_problem asked{.problem = file.pipeline(), .scenarios = {}};
  if (file.is_stochastic()) asked.scenarios = file.scenarios();
  expect_writable(arguments.out);
  const deadline limit(context, arguments.time_limit);
  problem_report report{
      .answer = arguments.evaluate.empty()
                    ? make_plan(asked, objective, arguments, limit)
                    : evaluate_plan(asked, objective,
                                    problem_file(arguments.evaluate, "--evaluate").plan())};
  report.seconds = watch.lap();
  return deliver(context, answered(report.answer), arguments.out, report);
}

}  // namespace omnibal::cli
