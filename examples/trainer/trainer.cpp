// SPDX-License-Identifier: Apache-2.0
// omnibal-trainer: plans the training of a small vision-language model with the library, and trains
// it by the plan.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/version.hpp>

#include "costs_file.hpp"
#include "data.hpp"
#include "files/files.hpp"
#include "model.hpp"
#include "options.hpp"
#include "program_error.hpp"
#include "progress.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "run_page.hpp"
#include "setup.hpp"
#include "strategy_run.hpp"
#include "trace.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer {
namespace {

[[nodiscard]] std::string strategy_name(strategy how) {
  return std::string(strategy_names[static_cast<std::size_t>(how)]);
}

[[nodiscard]] std::chrono::milliseconds deadline_of(const program_options& options) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(1000 * options.deadline));
}

/// A run of the program, with what all of its strategies share.
class program_run {
 public:
  program_run(const program_options& options, training_ranks& ranks)
      : options_(options),
        ranks_(ranks),
        said_(takes_standard_output(options) ? stderr : stdout),
        setup_(made_setup()),
        model_(model_of(options_, setup_.lengths)),
        task_(task_of(options_, setup_.lengths)) {}

  void run() {
    std::vector<nlohmann::json> strategies;
    for (const strategy how : strategies_of(options_)) {
      const training_plan planned = plan(how);
      const bool runs = planned.refusal.empty();
      if (!runs && options_.baseline != "all") throw program_error(infeasible, planned.refusal);
      strategies.push_back(runs ? run(how, planned) : left_out(how, planned.refusal));
    }
    if (const auto& last = strategies.back(); last.contains("refusal"))
      throw program_error(infeasible, last.at("refusal"));
    nlohmann::json result = strategies.back();
    result["model"] = options_.size;
    result["seed"] = options_.shape.seed;
    result["blind"] = options_.blind;
    result["frozen"] = options_.freeze;
    result["precision"] = options_.precision;
    if (strategies.size() > 1) {
      compare(strategies);
      result["strategies"] = strategies;
    }
    if (!options_.out.empty() && ranks_.is_first())
      cli::write_file(options_.out, result.dump(1) + "\n");
    if (!options_.report.empty() && ranks_.is_first())
      cli::write_file(options_.report, run_page(result, last_steps_));
  }

 private:
  [[nodiscard]] run_setup made_setup() {
    validate(options_);
    options_.shape.schedule = *schedule_named(options_.schedule);
    ranks_.require_size(std::size_t{options_.shape.devices} * options_.shape.replicas);
    return make_setup(options_, ranks_);
  }

  [[nodiscard]] training_plan plan(strategy how) const {
    training_shape shape = options_.shape;
    shape.how = how;
    return plan_training(setup_.costs, task_, shape);
  }

  /// A strategy among several that has no plan: the others are compared.
  [[nodiscard]] nlohmann::json left_out(strategy how, const std::string& refusal) const {
    const std::string name = strategy_name(how);
    if (ranks_.is_first()) std::fprintf(said_, "%s: %s\n", name.c_str(), refusal.c_str());
    return {{"strategy", name}, {"refusal", refusal}};
  }

  [[nodiscard]] nlohmann::json run(strategy how, const training_plan& planned) {
    training_run run{.model = model_,
                     .planned = planned,
                     .task = task_,
                     .seed = options_.shape.seed,
                     .optimizer = optimizer(),
                     .batch = options_.shape.batch,
                     .held_out = options_.held_out,
                     .checkpoints = options_.checkpoint,
                     .checkpoint_every = options_.checkpoint_every,
                     .costs = costs_to_json(setup_.costs, model_.numbers),
                     .resume = setup_.resume,
                     .kept_logs = options_.trace.empty() ? 1U : traced_steps};
    progress_line progress(run, options_.shape.memory, options_.progress && ranks_.is_first());
    run.after_step = [&](std::size_t rank, const step_report& step) {
      if (rank == 0) progress.show(step);
    };
    const strategy_report report = ranks_.run(run, how, deadline_of(options_));
    if (ranks_.is_first()) show(run, report);
    return to_json(report, planned);
  }

  void show(const training_run& run, const strategy_report& report) {
    const execution_plan& plan = run.planned.plan;
    const held_out_result& held_out = report.ranks[0].held_out;
    std::fprintf(
        said_, "%s: loss %.4f, held-out answers exact %u of %u (%.1f %%), %.1f s, %.0f tokens/s\n",
        strategy_name(report.how).c_str(),
        report.ranks[0].losses.empty() ? 0.0 : report.ranks[0].losses.back(), held_out.exact,
        held_out.samples, 100 * held_out.share(), report.seconds, report.tokens_per_second);
    if (!options_.trace.empty())
      cli::write_file(options_.trace, chrome_trace_of(plan, report.logs, report.first_logged));
    if (report.logs[0].empty()) return;  // resumed at its end
    const std::size_t last = report.logs[0].size() - 1;
    for (timeline& each : timelines_of(plan, report.logs, report.first_logged, last)) {
      each.title = strategy_name(report.how) + ", " + each.title;
      last_steps_.push_back(std::move(each));
    }
    if (!options_.picture.empty())
      cli::write_file(options_.picture, picture_of(plan, report.logs, report.first_logged, last));
  }

  [[nodiscard]] adamw_options optimizer() const {
    const std::uint64_t steps = options_.shape.steps;
    return {.schedule = {.peak = options_.learning_rate,
                         .warm_up = std::min<std::uint64_t>(30, steps / 4 + 1),
                         .updates = steps}};
  }

  /// When each strategy had the loss that all of them reach.
  static void compare(std::vector<nlohmann::json>& strategies) {
    double reached = 0;
    for (const nlohmann::json& each : strategies)
      if (each.contains("loss"))
        reached = std::max(reached, final_loss(each.at("loss").get<std::vector<double>>()));
    for (nlohmann::json& each : strategies) {
      if (!each.contains("loss")) continue;
      const auto losses = each.at("loss").get<std::vector<double>>();
      const auto seconds = each.at("step_seconds").get<std::vector<double>>();
      const std::size_t steps = steps_to_loss(losses, reached);
      double sum = 0;
      for (std::size_t i = 0; i < steps; ++i) sum += seconds[i];
      each["to_loss"] = {{"loss", reached}, {"steps", steps}, {"seconds", sum}};
    }
  }

  program_options options_;
  training_ranks& ranks_;
  std::FILE* said_ = nullptr;
  run_setup setup_;
  model_config model_;
  picture_task task_;
  std::vector<timeline> last_steps_;
};

[[nodiscard]] std::unique_ptr<training_ranks> start_ranks(const program_options& options) {
  if (options.ranks == "threads") return std::make_unique<thread_ranks>();
  if (options.ranks == "nccl") return start_nccl_ranks(deadline_of(options));
  auto ranks = start_mpi_ranks();
  if (!ranks) throw program_error(bad_input, "--ranks mpi: this program was built without MPI");
  return ranks;
}

/// Processes that do not know of each other would all train the same and write the same files.
void expect_no_mpiexec(const program_options& options) {
  if (const std::size_t processes = processes_of_mpiexec();
      options.ranks == "threads" && processes > 1)
    throw program_error(bad_input, "--ranks threads: mpiexec has started " +
                                       std::to_string(processes) +
                                       " processes: add --ranks mpi, or start one without it");
}

void print_failure(const std::string& reason) {
  std::fprintf(stderr, "omnibal-trainer: %s\n", reason.c_str());
}

/// Every process meets a wrong input, and the first says so; other failures are those of a rank.
exit_status run_on(training_ranks& ranks, const program_options& options) {
  try {
    program_run(options, ranks).run();
    return done;
  } catch (const std::exception& error) {
    const exit_status status = status_of(error);
    if (ranks.is_first() || status == failed) print_failure(reason_of(error));
    ranks.leave(status);
    return status;
  }
}

/// Help that was asked for, or an error in the options: of all processes that mpiexec has started
/// the first says it.
exit_status end_at_options(const CLI::App& program, const std::exception& error) {
  const auto ranks = ranks_of_mpiexec();
  const bool is_first = !ranks || ranks->is_first();
  if (const auto* asked = dynamic_cast<const CLI::Success*>(&error)) {
    if (is_first) program.exit(*asked);
    return done;
  }
  if (is_first) print_failure(reason_of(error));
  if (ranks) ranks->leave(bad_input);
  return bad_input;
}

exit_status run_program(int argc, char** argv) {
  CLI::App program("Trains a small vision-language model by a plan of the library.",
                   "omnibal-trainer");
  program.set_version_flag("--version", "omnibal-trainer " + std::string(version));
  program_options options;
  add_options(program, options);
  try {
    program.parse(argc, argv);
    expect_no_mpiexec(options);
  } catch (const std::exception& error) {
    return end_at_options(program, error);
  }
  try {
    const auto ranks = start_ranks(options);
    return run_on(*ranks, options);
  } catch (const std::exception& error) {
    print_failure(reason_of(error));
    return status_of(error);
  }
}

}  // namespace
}  // namespace omnibal::trainer

int main(int argc, char** argv) { return omnibal::trainer::run_program(argc, argv); }
