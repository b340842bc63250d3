// SPDX-License-Identifier: Apache-2.0
// omnibal-trainer: plans the training of a small vision-language model with the library, and trains
// it by the plan.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/version.hpp>

#include "checkpoint.hpp"
#include "costs_file.hpp"
#include "data.hpp"
#include "model.hpp"
#include "profile.hpp"
#include "progress.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "strategy_run.hpp"
#include "trace.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer {
namespace {

/// How the program ends.
enum exit_status { done = 0, failed = 1, bad_input = 2, infeasible = 3 };

struct program_options {
  std::string size = "tiny";
  std::string schedule = "1f1b";
  std::string baseline = "planned";
  std::string ranks = "threads";
  std::string costs = {};
  std::string checkpoint = {};
  std::string resume = {};
  std::string trace = {};
  std::string picture = {};
  std::string out = {};
  std::uint64_t checkpoint_every = 50;
  double deadline = 300;
  std::uint32_t held_out = 512;
  double learning_rate = 2e-3;
  bool blind = false;
  bool progress = false;
  training_shape shape = {};
};

[[nodiscard]] std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const any_schedule& each : all_schedules) names.emplace_back(each.name());
  return names;
}

void add_options(CLI::App& program, program_options& options) {
  const auto among = [](std::vector<std::string> names) { return CLI::IsMember(std::move(names)); };
  training_shape& shape = options.shape;
  program.add_option("--size", options.size, "Model: tiny, small or 1b [tiny]")
      ->check(among({model_names.begin(), model_names.end()}));
  program.add_option("--steps", shape.steps, "Steps in all [300]")->check(CLI::PositiveNumber);
  program.add_option("--batch", shape.batch, "Samples per step [24]")->check(CLI::PositiveNumber);
  program.add_option("--seed", shape.seed, "Of the weights and the data [1]");
  program.add_flag("--blind", options.blind, "The model sees no pictures");
  program.add_option("--learning-rate", options.learning_rate, "The highest [0.002]")
      ->check(CLI::PositiveNumber);
  program
      .add_option("--ranks", options.ranks,
                  "What ranks are: threads, or mpi for the processes that mpiexec starts [threads]")
      ->check(among({"threads", "mpi"}));
  program
      .add_option("--deadline", options.deadline,
                  "Seconds that a rank waits for another before it fails [300]")
      ->check(CLI::PositiveNumber);
  program.add_option("--pp", shape.devices, "Pipeline ranks of a replica [2]")
      ->check(CLI::PositiveNumber);
  program.add_option("--dp", shape.replicas, "Replicas [1]")->check(CLI::PositiveNumber);
  program.add_option("--schedule", options.schedule, "Pipeline schedule [1f1b]")
      ->check(among(schedule_names()));
  program.add_option("--virtual-stages", shape.virtual_stages, "Per rank [by the schedule]");
  program.add_option("--microbatches", shape.microbatches, "Per rank and step, about [4 · pp]");
  program.add_option("--memory", shape.memory, "Bytes per rank, as in 64MiB [no limit]")
      ->transform(CLI::AsSizeValue(false));
  program
      .add_option("--baseline", options.baseline,
                  "How to plan: naive, unbalanced, paper, planned, or all one after the other "
                  "[planned]")
      ->check(among({"naive", "unbalanced", "paper", "planned", "all"}));
  program.add_option("--costs", options.costs,
                     "Costs of the layers: read if the file is there, else measured and written");
  program.add_option("--checkpoint", options.checkpoint, "Folder for checkpoints");
  program.add_option("--checkpoint-every", options.checkpoint_every, "Steps [50]")
      ->check(CLI::PositiveNumber);
  program.add_option("--resume", options.resume, "Folder whose newest checkpoint to go on from");
  program.add_option("--held-out", options.held_out, "Questions at the end [512]");
  program.add_option("--trace", options.trace, "File for a trace of all steps");
  program.add_option("--picture", options.picture, "File for a picture of the last step, SVG");
  program.add_option("--out", options.out, "File for the result as JSON");
  program.add_flag("--progress", options.progress, "Show progress though this is no terminal");
}

/// Ends the program with its reason in one line.
class program_error : public std::runtime_error {
 public:
  program_error(exit_status status, const std::string& reason)
      : std::runtime_error(reason), status_(status) {}
  [[nodiscard]] exit_status status() const noexcept { return status_; }

 private:
  exit_status status_;
};

[[nodiscard]] exit_status status_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const program_error*>(&error)) return known->status();
  const bool is_input = dynamic_cast<const invalid_input*>(&error) != nullptr ||
                        dynamic_cast<const checkpoint_error*>(&error) != nullptr;
  return is_input ? bad_input : failed;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) throw program_error(failed, path + ": cannot be written");
}

/// Before a long run rather than after it.
void expect_writable(const std::string& path) {
  if (path.empty()) return;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder))
    throw program_error(bad_input, path + ": its folder does not exist");
}

[[nodiscard]] std::vector<strategy> strategies_of(const std::string& baseline) {
  if (baseline == "all")
    return {strategy::naive, strategy::unbalanced, strategy::paper, strategy::planned};
  const auto* const found = std::ranges::find(strategy_names, baseline);
  return {static_cast<strategy>(found - strategy_names.begin())};
}

/// A run of the program, with what all of its strategies share.
class program_run {
 public:
  program_run(const program_options& options, training_ranks& ranks)
      : options_(options),
        ranks_(ranks),
        model_(model_of(options.size, vocabulary)),
        task_({.seed = options.shape.seed,
               .tile_side = model_.tiles.side,
               .image_rows_per_tile = model_.tiles.image_rows(),
               .blind = options.blind}) {
    options_.shape.schedule = *schedule_named(options.schedule);
    for (const std::string& file : {options.trace, options.picture, options.out, options.costs})
      expect_writable(file);
    if (options.baseline == "all" && !(options.checkpoint + options.resume).empty())
      throw program_error(bad_input, "--baseline all: has no checkpoints, leave them out");
    ranks_.require_size(std::size_t{options_.shape.devices} * options_.shape.replicas);
    set_up();
  }

  void run() {
    std::vector<nlohmann::json> strategies;
    for (const strategy how : strategies_of(options_.baseline)) {
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
    if (strategies.size() > 1) {
      compare(strategies);
      result["strategies"] = strategies;
    }
    if (!options_.out.empty() && ranks_.is_first()) write_file(options_.out, result.dump(1) + "\n");
  }

 private:
  /// The first process reads and measures for all.
  void set_up() {
    const std::string text = ranks_.from_first([&] { return first_set_up().dump(); });
    const nlohmann::json made = nlohmann::json::parse(text);
    if (made.contains("error")) throw program_error(made.at("status"), made.at("error"));
    resume_ = made.at("resume").get<std::string>();
    chain_ = costs_from_json(made.at("costs"), "costs of the first rank");
    describe_layers(chain_, model_, options_.shape.replicas);
  }

  [[nodiscard]] nlohmann::json first_set_up() const {
    try {
      const std::filesystem::path resume =
          options_.resume.empty() ? "" : newest_checkpoint(options_.resume);
      return {{"resume", resume.string()}, {"costs", costs_to_json(costs(resume))}};
    } catch (const std::exception& error) {
      return {{"status", status_of(error)}, {"error", error.what()}};
    }
  }

  [[nodiscard]] std::vector<layer_cost> costs(const std::filesystem::path& resume) const {
    if (!resume.empty())
      if (const run_position position = read_position(resume); !position.costs.empty())
        return of_this_model(position.costs, resume.string());
    if (!options_.costs.empty() && std::filesystem::exists(options_.costs)) {
      std::ifstream file(options_.costs);
      return of_this_model(nlohmann::json::parse(file, nullptr, false), options_.costs);
    }
    auto chain = measured_chain(model_, task_, {.replicas = options_.shape.replicas});
    if (!options_.costs.empty()) write_file(options_.costs, costs_to_json(chain).dump(1) + "\n");
    return chain;
  }

  [[nodiscard]] std::vector<layer_cost> of_this_model(const nlohmann::json& json,
                                                      const std::string& source) const {
    std::vector<layer_cost> chain = costs_from_json(json, source);
    const std::size_t layers = layer_count(model_);
    if (chain.size() != layers)
      throw invalid_input(source, chain.size(),
                          "layers: the model " + options_.size + " has " + std::to_string(layers));
    return chain;
  }

  [[nodiscard]] training_plan plan(strategy how) const {
    training_shape shape = options_.shape;
    shape.how = how;
    return plan_training(chain_, task_, shape);
  }

  /// A strategy among several that has no plan: the others are compared.
  [[nodiscard]] nlohmann::json left_out(strategy how, const std::string& refusal) const {
    const std::string name(strategy_names[static_cast<std::size_t>(how)]);
    if (ranks_.is_first()) std::printf("%s: %s\n", name.c_str(), refusal.c_str());
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
                     .costs = costs_to_json(chain_),
                     .resume = resume_};
    progress_line progress(run, options_.shape.memory, options_.progress && ranks_.is_first());
    run.after_step = [&](std::size_t rank, const step_report& step) {
      if (rank == 0) progress.show(step);
    };
    const strategy_report report = ranks_.run(
        run, how, std::chrono::milliseconds(static_cast<std::int64_t>(1000 * options_.deadline)));
    if (ranks_.is_first()) show(run, report);
    return to_json(report, planned);
  }

  void show(const training_run& run, const strategy_report& report) const {
    const execution_plan& plan = run.planned.plan;
    const held_out_result& held_out = report.ranks[0].held_out;
    std::printf("%s: loss %.4f, held-out answers exact %u of %u (%.1f %%), %.1f s, %.0f tokens/s\n",
                std::string(strategy_names[static_cast<std::size_t>(report.how)]).c_str(),
                report.ranks[0].losses.empty() ? 0.0 : report.ranks[0].losses.back(),
                held_out.exact, held_out.samples, 100 * held_out.share(), report.seconds,
                report.tokens_per_second);
    if (!options_.trace.empty())
      write_file(options_.trace, chrome_trace_of(plan, report.logs, report.first_step));
    if (!options_.picture.empty() && !report.logs[0].empty())
      write_file(options_.picture,
                 picture_of(plan, report.logs, report.first_step, report.logs[0].size() - 1));
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
  model_config model_;
  picture_task task_;
  std::filesystem::path resume_;
  std::vector<layer_cost> chain_;
};

[[nodiscard]] std::unique_ptr<training_ranks> start_ranks(const std::string& kind) {
  if (kind == "threads") return std::make_unique<thread_ranks>();
  auto ranks = start_mpi_ranks();
  if (!ranks) throw program_error(bad_input, "--ranks mpi: this program was built without MPI");
  return ranks;
}

void print_failure(const char* reason) { std::fprintf(stderr, "omnibal-trainer: %s\n", reason); }

/// Every process meets a wrong input, and the first says so; other failures are those of a rank.
exit_status run_on(training_ranks& ranks, const program_options& options) {
  try {
    program_run(options, ranks).run();
    return done;
  } catch (const std::exception& error) {
    const exit_status status = status_of(error);
    if (ranks.is_first() || status == failed) print_failure(error.what());
    ranks.leave(status);
    return status;
  }
}

exit_status run_program(int argc, char** argv) {
  CLI::App program("Trains a small vision-language model by a plan of the library.",
                   "omnibal-trainer");
  program.set_version_flag("--version", "omnibal-trainer " + std::string(version));
  program_options options;
  add_options(program, options);
  try {
    program.parse(argc, argv);
    const auto ranks = start_ranks(options.ranks);
    return run_on(*ranks, options);
  } catch (const CLI::Success& asked) {
    return static_cast<exit_status>(program.exit(asked));
  } catch (const CLI::ParseError& error) {
    print_failure(error.what());
    return bad_input;
  } catch (const std::exception& error) {
    print_failure(error.what());
    return status_of(error);
  }
}

}  // namespace
}  // namespace omnibal::trainer

int main(int argc, char** argv) { return omnibal::trainer::run_program(argc, argv); }
