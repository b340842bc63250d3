// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/planner/joint.hpp>
#include <string>
#include <utility>
#include <vector>

#include "deliver.hpp"
#include "plan_arguments.hpp"
#include "problem_file.hpp"
#include "stopwatch.hpp"
#include "units.hpp"

namespace omnibal::cli {
namespace {

plan_objective read_objective(const std::optional<std::string>& name) {
  static const std::vector<std::pair<std::string, plan_objective>> known = {
      {"bottleneck", plan_objective::bottleneck},
      {"blocking_bottleneck", plan_objective::blocking_bottleneck},
      {"closed_form", plan_objective::closed_form},
      {"period", plan_objective::period}};
  constexpr std::array to_come = {"makespan", "variance", "expected_makespan", "worst_makespan",
                                  "cvar"};
  if (!name) return plan_objective::bottleneck;
  std::vector<std::string> names;
  for (const auto& [known_name, objective] : known) {
    if (*name == known_name) return objective;
    names.push_back(known_name);
  }
  if (std::ranges::find(to_come, *name) != to_come.end())
    throw invalid_input("--objective", *name,
                        "is not planned for yet; use bottleneck, blocking_bottleneck, closed_form "
                        "or period");
  throw_not_among("--objective", *name, names);
}

json describe_infeasible(const joint_plan& found) {
  json report = infeasible_report(std::string(to_string(found.why.reason)), suggestion(found.why));
  if (found.why.reason == infeasibility::cause::memory) {
    report["binding_stage"] = found.why.binding_stage;
    report["bytes_short"] = found.why.bytes_short;
  }
  return report;
}

json describe_plan(const pipeline_problem& problem, const joint_plan& found) {
  const std::vector<stage_cost> stages = stage_costs(problem, found.plan);
  std::vector<std::int64_t> forward;
  std::vector<std::int64_t> backward;
  for (const stage_cost& stage : stages) {
    forward.push_back(stage.forward_time);
    backward.push_back(stage.backward_time);
  }
  json report = {{"status", std::string(to_string(found.status))},
                 {"objective_numerator", found.objective.numerator},
                 {"objective_denominator", found.objective.denominator},
                 {"objective", found.objective.value()},
                 {"bound", found.bound.value()},
                 {"gap", relative_gap(found.objective.value(), found.bound.value())}};
  report["cuts"] = found.plan.cuts;
  report["modes"] = found.plan.modes;
  report["stage_forward"] = forward;
  report["stage_backward"] = backward;
  report["peak_memory"] = peak_memory(problem, stages);
  report["makespan"] = makespan(problem.schedule, stages);
  return report;
}

}  // namespace

exit_status plan_problem(const command_context& context, const plan_arguments& arguments) {
  stopwatch watch;
  const plan_objective objective = read_objective(arguments.objective);
  const problem_file file(arguments.problem);
  file.expect_kind({"joint", "joint_mid", "joint_interleaved"}, "plan");
  const pipeline_problem problem = file.pipeline();
  expect_writable(arguments.out);
  const joint_plan found = plan_jointly(problem, objective);
  json report = found.status == search_status::infeasible ? describe_infeasible(found)
                                                          : describe_plan(problem, found);
  report["seconds"] = watch.lap();
  return deliver(context, found.status, arguments.out, report);
}

}  // namespace omnibal::cli
