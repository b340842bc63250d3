// SPDX-License-Identifier: Apache-2.0
#include <omnibal/core/error.hpp>
#include <omnibal/cost/transformer.hpp>
#include <omnibal/planner/run.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "files.hpp"
#include "model_file.hpp"
#include "plan_arguments.hpp"
#include "plan_report.hpp"
#include "progress_line.hpp"
#include "report.hpp"
#include "stopwatch.hpp"
#include "units.hpp"

namespace omnibal::cli {
namespace {

void require(const char* option, bool given, const char* example) {
  if (!given)
    throw usage_error(std::string(option) + " is missing: the plan needs it, as in " + option +
                      " " + example);
}

void check(const plan_arguments& arguments) {
  require("--model", !arguments.model.empty(), "internvl-chat-1.5");
  require("--dp", arguments.data_parallel > 0, "8");
  require("--pp", arguments.pipeline_parallel > 0, "4");
  require("--global-batch", arguments.global_batch > 0, "256");
  if (arguments.objective && *arguments.objective != "expected_makespan")
    throw invalid_input("--objective", *arguments.objective,
                        "must be expected_makespan with --lengths; the epoch is what is judged");
  if (arguments.virtual_stages > 1 && arguments.schedule != schedule_kind::interleaved)
    throw invalid_input("--virtual", arguments.virtual_stages,
                        "needs --schedule interleaved; other schedules have one stage a device");
}

/// Tables of a run say tiles and tokens, in this order.
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

}  // namespace

exit_status plan_tables(const command_context& context, const plan_arguments& arguments) {
  check(arguments);
  const model_shape model = find_model(arguments.model);
  const device_shape device = find_device(arguments.device);
  const training_setup setup{.tensor_parallel = arguments.tensor_parallel,
                             .data_parallel = arguments.data_parallel,
                             .sequence_parallel = arguments.sequence_parallel,
                             .shard_optimizer = arguments.shard_optimizer,
                             .optimizer_bytes = arguments.optimizer_bytes,
                             .freeze = arguments.freeze};
  const std::vector<layer_cost> chain = price_layers(model, device, setup);
  expect_writable(arguments.out);

  stopwatch watch;
  const length_tables tables = read_length_tables(arguments.tables);
  const std::vector<loads<2>>& samples = tiles_and_tokens(tables);
  const double read_seconds = watch.lap();
  progress_line line(context);
  const run_plan plan =
      plan_run({.samples = samples,
                .chain = chain,
                .schedule = arguments.schedule,
                .stages = static_cast<std::size_t>(arguments.pipeline_parallel),
                .virtual_stages = static_cast<std::size_t>(arguments.virtual_stages),
                .data_parallel = static_cast<std::size_t>(arguments.data_parallel),
                .global_batch = arguments.global_batch,
                .memory = {.limit = arguments.memory > 0 ? arguments.memory : device.memory_bytes,
                           .reserved = arguments.reserve,
                           .margin = arguments.margin},
                .capacity = read_capacity(arguments, tables),
                .seed = static_cast<std::uint64_t>(arguments.seed)},
               line.control());
  const double plan_seconds = watch.lap();

  const plan_subject subject{.model = model,
                             .device = device,
                             .setup = setup,
                             .arguments = arguments,
                             .inputs = tables.inputs,
                             .samples = samples.size(),
                             .chain = chain};
  json report = run_report(subject, plan);
  report["seconds"] = {{"read", read_seconds}, {"plan", plan_seconds}};
  const bool feasible = plan.planned.status != search_status::infeasible;
  if (feasible && !arguments.out.empty()) write_file(arguments.out, plan_text(subject, plan));
  print_report(context, report, run_text);
  return feasible ? exit_status::done : exit_status::infeasible;
}

}  // namespace omnibal::cli
