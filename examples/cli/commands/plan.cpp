// SPDX-License-Identifier: Apache-2.0
// omnibal plan: plans a whole run from length tables, or solves a problem of plain numbers.
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/objectives.hpp>
#include <omnibal/run/schedule_search.hpp>

#include "commands/commands.hpp"
#include "commands/joined_names.hpp"
#include "commands/plan_arguments.hpp"
#include "files/given_names.hpp"
#include "options/options.hpp"
#include "options/units.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

/// Throws invalid_input if there is none; `more` are further names to suggest.
any_schedule schedule_named(std::string_view option, std::string_view name,
                            std::vector<std::string> more) {
  for (const any_schedule& one : all_schedules)
    if (one.name() == name) return one;
  std::vector<std::string> names;
  for (const any_schedule& one : all_schedules) names.emplace_back(one.name());
  names.insert(names.end(), more.begin(), more.end());
  throw_not_among(option, name, names);
}

void add_cluster_options(CLI::App& command, given_files& files, plan_arguments& arguments) {
  add_integer(command, "--dp", arguments.data_parallel, "Data-parallel ranks", {1, 1 << 20});
  add_integer(command, "--pp", arguments.pipeline_parallel, "Pipeline stages", {1, 1 << 10});
  add_integer(command, "--tp", arguments.tensor_parallel, "Tensor-parallel devices per stage [1]",
              {1, 1 << 10});
  add_integer(command, "--gpus", arguments.devices,
              "Number of devices; --dp, --pp and --tp are then searched for", {1, 1 << 20});
  add_integer(command, "--devices-per-node", arguments.devices_per_node,
              "Devices that tensor parallelism reaches without the network [8, or what the file "
              "of --device says]",
              {1, 1 << 20});
  add_input_file(command, files, "--device", arguments.device,
                 "a100, h100, h200 or a JSON file of achieved rates [a100]");
  add_bytes(command, "--memory", arguments.memory, "Memory per device, as in 80GiB", 1);
  add_bytes(command, "--reserve", arguments.reserve,
            "Memory left to context, communication buffers and fragmentation [6GiB]");
  add_ratio(command, "--margin", arguments.margin,
            "Share added to predicted activation memory, such as 0.05 or 5% [0, or what the errors "
            "of --profile require]");
  add_input_file(command, files, "--profile", arguments.profile,
                 "Measured layers, or the output of omnibal calibrate");
  const auto take_schedule = [&](const std::string& name) {
    arguments.search_schedule = name == "auto";
    if (!arguments.search_schedule)
      arguments.schedule = schedule_named("--schedule", name, {"auto"});
  };
  command.add_option_function<std::string>(
      "--schedule", take_schedule,
      "Pipeline schedule: " + joined_names(all_schedules, ", ") +
          ", or auto to search for it [1f1b]");
  const auto take_allowed = [&](const std::string& names) {
    for (const std::string_view name : split(names, ','))
      arguments.allow.push_back(schedule_named("--allow", name, {}));
  };
  command.add_option_function<std::string>(
      "--allow", take_allowed,
      "With --schedule auto: the schedules that the trainer can run [" +
          joined_names(schedule_problem{}.allowed, ",") + "]");
  add_integer(command, "--virtual", arguments.virtual_stages,
              "Virtual stages per device of the interleaved schedule [1; 2 for zbv]; with "
              "--schedule auto, the most that are tried [4]",
              {1, 1 << 10});
  command
      .add_option(
          "--together", arguments.together,
          "Layers that must share a virtual stage: kinds, ranges or numbers, such as vision, "
          "vision,projector or 0-5; may be repeated")
      ->allow_extra_args(false);
  add_integer(command, "--vision-stages", arguments.vision_stages,
              "The number of virtual stages, the first, that the vision and projector layers fill, "
              "with no other layers on them",
              {1, 1 << 20});
  add_input_file(command, files, "--current", arguments.current,
                 "The layout used today, a file of the form of --out, to be compared with");
}

void add_training_options(CLI::App& command, given_files& files, plan_arguments& arguments) {
  const auto take_model = [&](const std::string& name) {
    arguments.model = name;
    files.inputs.push_back({"--model", name.substr(0, name.rfind('#'))});
  };
  command.add_option_function<std::string>("--model", take_model,
                                           "A model's id, or FILE or FILE#ID of the same form");
  add_integer(command, "--global-batch", arguments.global_batch,
              "Mean number of samples per optimizer step, over all steps but the last, which takes "
              "what is left",
              {1, std::numeric_limits<std::int32_t>::max()});
  add_share(command, "--batch-tolerance", arguments.batch_tolerance,
            "Share by which that mean may differ from --global-batch; 0: not at all [10%]");
  command.add_option("--capacity", arguments.capacity,
                     "The most a pack may hold, such as images=9,tokens=4096, or auto [auto]");
  add_choice(
      command, "--oversize", arguments.oversize,
      "Samples beyond a capacity: own_step, micro-batches and where faster steps of their "
      "own, with memory for them; reject; or skip, with a list: where capacities are searched for, "
      "only what no plan has memory for [own_step]",
      {{"own_step", oversize_policy::own_pack},
       {"reject", oversize_policy::reject},
       {"skip", oversize_policy::skip}});
  add_choice(command, "--freeze", arguments.freeze, "The part that is not trained [none]",
             {{"none", frozen_part::none},
              {"vision", frozen_part::vision},
              {"language", frozen_part::language}});
  add_choice(
      command, "--recompute-for-w", arguments.recompute_for_w,
      "With a schedule that splits the backward into B and W: layers recompute once, in B, "
      "and hold the result until W, or twice [once]",
      {{"once", weight_gradient_recompute::once}, {"twice", weight_gradient_recompute::twice}});
  add_choice(command, "--reduction", arguments.overlap.reduction,
             "Gradient reduction after the step, or overlapped with the backward of each stage's "
             "last micro-batch [none]",
             {{"none", false}, {"overlapped", true}});
  add_choice(command, "--gather", arguments.overlap.gather,
             "With --shard-optimizer: gathering of parameters after the step, or overlapped with "
             "the forward of each stage's first micro-batch [none]",
             {{"none", false}, {"overlapped", true}});
  command.add_flag("--shard-optimizer", arguments.shard_optimizer,
                   "Shard the optimizer state over the data-parallel ranks");
  add_integer(command, "--optimizer-bytes", arguments.optimizer_bytes,
              "Bytes of optimizer state per parameter [12]", {0, 64});
  command.add_flag("--sequence-parallel", arguments.sequence_parallel,
                   "Shard the activations of norms over the tensor-parallel devices");
  add_integer(command, "--seed", arguments.seed, "Seed of every random choice [1024]",
              {0, std::numeric_limits<std::uint32_t>::max() - 1000});
}

void add_problem_options(CLI::App& command, given_files& files, plan_arguments& arguments) {
  command.add_option("--alpha", arguments.alpha,
                     "With cvar: the share of scenarios, the fastest, that are left out [0.95]");
  add_choice(
      command, "--method", arguments.published,
      "With --problem: the exact search, or the method of the OmniBal paper (published) [exact]",
      {{"exact", false}, {"published", true}});
  add_number(command, "--time-limit", arguments.time_limit,
             "Seconds after which the search stops with the best plan found");
  add_input_file(command, files, "--evaluate", arguments.evaluate,
                 "Evaluate the plan of this file instead of searching for one");
}

void add_execution_options(CLI::App& command, given_files& files, plan_arguments& arguments) {
  add_output_file(command, files, "--execution", arguments.execution,
                  "With --lengths: where to write what every rank executes, as JSON");
  add_choice(command, "--execution-order", arguments.execution_order,
             "With --execution: order items by the times of each step and replica (exact), or of "
             "the mean micro-batch, in a smaller file (mean) [exact]",
             {{"exact", order_source::exact}, {"mean", order_source::mean}});
  command.add_option("--labels", arguments.labels,
                     "With --execution: the column of the tables with the tokens of each sample "
                     "that count in the loss");
}

/// Plans tables or a problem, whichever the arguments give.
exit_status plan(const command_context& context, const plan_arguments& arguments) {
  if (arguments.problem.empty() == arguments.tables.files.empty())
    throw usage_error(arguments.problem.empty()
                          ? "plan needs --lengths FILE to plan a run, or --problem FILE"
                          : "plan takes --lengths or --problem, not both");
  if (!arguments.problem.empty() && !arguments.report.empty())
    throw usage_error("--report needs --lengths: there is no page for a --problem");
  if (!arguments.problem.empty() && !arguments.execution.empty())
    throw usage_error("--execution needs --lengths: a --problem has no samples to execute");
  if (!arguments.problem.empty() && (arguments.recompute_for_w || arguments.overlap.any()))
    throw usage_error(
        "--recompute-for-w, --reduction and --gather need --lengths: a --problem says the same of "
        "its layers with act_w, reduction and gather");
  if (!arguments.problem.empty() && arguments.search_schedule)
    throw usage_error("--schedule auto needs --lengths: a --problem has its schedule");
  if (!arguments.allow.empty() && !arguments.search_schedule)
    throw usage_error("--allow needs --schedule auto, which searches among them");
  if (!arguments.labels.empty() && arguments.execution.empty())
    throw usage_error("--labels needs --execution, which they are written to");
  if (arguments.problem.empty())
    return with_given_names(plan_options(), "", [&] { return plan_tables(context, arguments); });
  return with_given_names(problem_keys(), arguments.problem + ": ",
                          [&] { return plan_problem(context, arguments); });
}

}  // namespace

namespace {

/// a, b, or c
std::string alternatives(const std::vector<std::string>& ways) {
  std::string text = ways.front();
  for (std::size_t k = 1; k < ways.size(); ++k)
    text += (k + 1 < ways.size() ? ", " : ", or ") + ways[k];
  return text;
}

/// What lets steps have more samples.
std::string larger_batch(const plan_arguments& arguments, std::size_t samples,
                         std::size_t skipped) {
  const bool is_fixed = arguments.capacity != "auto";
  if (std::cmp_less(samples, arguments.global_batch)) return "give a table of more samples";
  if (std::cmp_less(samples - skipped, arguments.global_batch))
    return std::string(is_fixed ? "raise the capacity of packs" : "give devices more memory") +
           ", beyond which " + value_text(skipped) + " of " + value_text(samples) +
           " samples are skipped";
  return std::string(is_fixed ? "raise the capacity of packs, " : "") +
         "use fewer data-parallel ranks";
}

}  // namespace

no_answer describe_lack(const infeasibility& why, std::string suggestion) {
  no_answer answer{.status = why.proven ? search_status::infeasible : search_status::stopped,
                   .reason = std::string(to_string(why.reason)),
                   .suggestion = std::move(suggestion)};
  if (why.reason == infeasibility::cause::global_batch) answer.nearest_batch = why.nearest_batch;
  if (why.reason == infeasibility::cause::memory)
    answer.shortage = memory_shortage{.binding_stage = why.binding_stage, .bytes = why.bytes_short};
  return answer;
}

std::string suggestion(const infeasibility& why) {
  if (why.reason == infeasibility::cause::fewer_layers_than_stages)
    return "use at most as many pipeline stages as the chain has layers";
  return why.most_stages == 0
             ? "drop one of the layers that must, or must not, share a stage"
             : "use at most " + std::to_string(why.most_stages) +
                   " (virtual) stages, the most that the layers that must share one allow";
}

std::string suggestion(const infeasibility& why, const plan_arguments& arguments,
                       std::size_t samples, std::size_t skipped) {
  if (why.reason == infeasibility::cause::global_batch)
    return "ask for a --global-batch of " + std::to_string(why.nearest_batch) +
           ", the nearest that this shape and table allow, " +
           larger_batch(arguments, samples, skipped) +
           ", or allow the difference with --batch-tolerance";
  if (why.reason != infeasibility::cause::memory) return suggestion(why);
  std::vector<std::string> ways = {
      why.bytes_short > 0
          ? "give every device at least " + std::to_string(why.bytes_short) + " bytes more"
          : "give every device more memory",
      "use more pipeline stages or tensor-parallel devices"};
  const bool has_ranks = arguments.data_parallel > 1 || arguments.devices > 0;
  if (!arguments.shard_optimizer && has_ranks) ways.emplace_back("shard the optimizer");
  ways.emplace_back("lower the capacity of packs");
  if (arguments.oversize != oversize_policy::skip)
    ways.emplace_back("leave out what does not fit with --oversize skip");
  if (arguments.holds_until_w()) ways.emplace_back("recompute twice with --recompute-for-w twice");
  return alternatives(ways);
}

void add_plan(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<plan_arguments>();
  CLI::App* command = application.add_subcommand(
      "plan",
      "Plan a run: packs, their assignment to ranks, layer partition, recomputation, and the gain");
  add_table_options(*command, context.files, arguments->tables);
  command->get_option("--lengths")->required(false);
  add_input_file(*command, context.files, "--problem", arguments->problem,
                 "In place of --lengths, a problem of plain numbers: kind joint or stochastic");
  command->add_option("--objective", arguments->objective,
                      "What to minimise: expected_makespan for --lengths; " +
                          joined_names(all_objectives, ", ") +
                          ", expected_makespan, worst_makespan or cvar for --problem");
  add_problem_options(*command, context.files, *arguments);
  add_training_options(*command, context.files, *arguments);
  add_cluster_options(*command, context.files, *arguments);
  add_output_file(*command, context.files, "--report", arguments->report,
                  "With --lengths: where to write the plan as a page of HTML");
  add_output_file(*command, context.files, "--out", arguments->out,
                  "Where to write the plan as JSON");
  add_execution_options(*command, context.files, *arguments);
  command->footer(
      "\nExamples:\n"
      "  omnibal plan --lengths lengths.json --model internvl-chat-1.5 --dp 8 --pp 4 --tp 2 \\\n"
      "    --memory 80GiB --global-batch 256 --out plan.json --report plan.html\n"
      "  omnibal plan --problem problem.json --objective makespan --time-limit 10");
  command->callback([&context, arguments] {
    if (arguments->virtual_stages == 0 && !arguments->search_schedule)
      arguments->virtual_stages =
          static_cast<std::int64_t>(arguments->schedule.capabilities().least_virtual_stages);
    context.run = [&context, arguments] { return plan(context, *arguments); };
  });
}

}  // namespace omnibal::cli
