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
  program.add_option("--ranks", options.ranks, "What ranks are [threads]")
      ->check(among({"threads"}));
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
                  "How to plan: naive, paper, planned, or all one after the other [planned]")
      ->check(among({"naive", "paper", "planned", "all"}));
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
  if (baseline == "all") return {strategy::naive, strategy::paper, strategy::planned};
  const auto* const found = std::ranges::find(strategy_names, baseline);
  return {static_cast<strategy>(found - strategy_names.begin())};
}

/// A run of the program, with what all of its strategies share.
class program_run {
 public:
  explicit program_run(const program_options& options)
      : options_(options),
        model_(model_of(options.size, vocabulary)),
        task_({.seed = options.shape.seed,
               .tile_side = model_.tiles.side,
               .image_rows_per_tile = model_.tiles.image_rows(),
               .blind = options.blind}) {
    options_.shape.schedule = *schedule_named(options.schedule);
    for (const std::string& file : {options.trace, options.picture, options.out, options.costs})
      expect_writable(file);
    if (!options.resume.empty()) {
      resume_ = newest_checkpoint(options.resume);
      position_ = read_position(resume_);
    }
    if (options.baseline == "all" && !(options.checkpoint + options.resume).empty())
      throw program_error(bad_input, "--baseline all: has no checkpoints, leave them out");
    chain_ = costs();
  }

  void run() {
    std::vector<nlohmann::json> strategies;
    for (const strategy how : strategies_of(options_.baseline)) {
      const training_plan planned = plan(how);
      strategies.push_back(run(how, planned));
    }
    nlohmann::json result = strategies.back();
    result["model"] = options_.size;
    result["seed"] = options_.shape.seed;
    result["blind"] = options_.blind;
    if (strategies.size() > 1) {
      compare(strategies);
      result["strategies"] = strategies;
    }
    if (!options_.out.empty()) write_file(options_.out, result.dump(1) + "\n");
  }

 private:
  [[nodiscard]] std::vector<layer_cost> costs() const {
    if (!position_.costs.empty()) return adapted(position_.costs, resume_.string());
    if (!options_.costs.empty() && std::filesystem::exists(options_.costs)) {
      std::ifstream file(options_.costs);
      return adapted(nlohmann::json::parse(file, nullptr, false), options_.costs);
    }
    auto chain = measured_chain(model_, task_, {.replicas = options_.shape.replicas});
    if (!options_.costs.empty()) write_file(options_.costs, costs_to_json(chain).dump(1) + "\n");
    return chain;
  }

  /// Read costs: the optimizer may be sharded over another number of replicas now.
  [[nodiscard]] std::vector<layer_cost> adapted(const nlohmann::json& json,
                                                const std::string& source) const {
    std::vector<layer_cost> chain = costs_from_json(json, source);
    const std::vector<std::string> names = layer_names(model_);
    if (chain.size() != names.size())
      throw invalid_input(
          source, chain.size(),
          "layers: the model " + options_.size + " has " + std::to_string(names.size()));
    for (layer_cost& layer : chain)
      layer.static_bytes = layer.parameters * bytes_per_parameter(options_.shape.replicas);
    return chain;
  }

  [[nodiscard]] training_plan plan(strategy how) const {
    training_shape shape = options_.shape;
    shape.how = how;
    training_plan planned = plan_training(chain_, task_, shape);
    if (!planned.refusal.empty()) throw program_error(infeasible, planned.refusal);
    return planned;
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
    progress_line progress(run, options_.shape.memory, options_.progress);
    run.after_step = [&](std::size_t rank, const step_report& step) {
      if (rank == 0) progress.show(step);
    };
    const strategy_report report = run_on_threads(run, how);
    const held_out_result& held_out = report.ranks[0].held_out;
    std::printf("%s: loss %.4f, held-out answers exact %u of %u (%.1f %%), %.1f s, %.0f tokens/s\n",
                std::string(strategy_names[static_cast<std::size_t>(how)]).c_str(),
                report.ranks[0].losses.empty() ? 0.0 : report.ranks[0].losses.back(),
                held_out.exact, held_out.samples, 100 * held_out.share(), report.seconds,
                report.tokens_per_second);
    if (!options_.trace.empty())
      write_file(options_.trace, chrome_trace_of(planned.plan, report.logs, report.first_step));
    if (!options_.picture.empty() && !report.logs[0].empty())
      write_file(options_.picture, picture_of(planned.plan, report.logs, report.first_step,
                                              report.logs[0].size() - 1));
    return to_json(report, planned);
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
      reached = std::max(reached, final_loss(each.at("loss").get<std::vector<double>>()));
    for (nlohmann::json& each : strategies) {
      const auto losses = each.at("loss").get<std::vector<double>>();
      const auto seconds = each.at("step_seconds").get<std::vector<double>>();
      const std::size_t steps = steps_to_loss(losses, reached);
      double sum = 0;
      for (std::size_t i = 0; i < steps; ++i) sum += seconds[i];
      each["to_loss"] = {{"loss", reached}, {"steps", steps}, {"seconds", sum}};
    }
  }

  program_options options_;
  model_config model_;
  picture_task task_;
  std::filesystem::path resume_;
  run_position position_;
  std::vector<layer_cost> chain_;
};

exit_status fail(exit_status status, const char* reason) {
  std::fprintf(stderr, "omnibal-trainer: %s\n", reason);
  return status;
}

exit_status run_program(int argc, char** argv) {
  CLI::App program("Trains a small vision-language model by a plan of the library.",
                   "omnibal-trainer");
  program.set_version_flag("--version", "omnibal-trainer " + std::string(version));
  program_options options;
  add_options(program, options);
  try {
    program.parse(argc, argv);
    program_run(options).run();
  } catch (const CLI::Success& asked) {
    return static_cast<exit_status>(program.exit(asked));
  } catch (const CLI::ParseError& error) {
    return fail(bad_input, error.what());
  } catch (const invalid_input& error) {
    return fail(bad_input, error.what());
  } catch (const checkpoint_error& error) {
    return fail(bad_input, error.what());
  } catch (const program_error& error) {
    return fail(error.status(), error.what());
  } catch (const std::exception& error) {
    return fail(failed, error.what());
  }
  return done;
}

}  // namespace
}  // namespace omnibal::trainer

int main(int argc, char** argv) { return omnibal::trainer::run_program(argc, argv); }
