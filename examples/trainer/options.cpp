// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <omnibal/pipeline/schedules.hpp>

#include "files/files.hpp"
#include "files/given_files.hpp"
#include "model.hpp"
#include "options/units.hpp"
#include "program_error.hpp"
#include "tables/tables.hpp"

namespace omnibal::trainer {
namespace {

[[nodiscard]] std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const any_schedule& each : all_schedules) names.emplace_back(each.name());
  return names;
}

[[nodiscard]] auto among(std::vector<std::string> names) { return CLI::IsMember(std::move(names)); }

/// CLI11's own check names the largest number that there is.
[[nodiscard]] CLI::Validator positive() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0;
    const bool is_number = CLI::detail::lexical_cast(text, value);
    if (is_number && value > 0 && std::isfinite(value)) return {};
    return "must be a positive number, not " + text;
  };
  return {check, "POSITIVE"};
}

/// As many steps and samples as a plan can number.
[[nodiscard]] CLI::Validator count() { return CLI::Range(1, 1'000'000'000); }

void add_run(CLI::App& program, program_options& options) {
  training_shape& shape = options.shape;
  program.add_option("--size", options.size, "Model: tiny, small or 1b [tiny]")
      ->check(among({model_names.begin(), model_names.end()}));
  program.add_option("--steps", shape.steps, "Steps in all [300]")->check(count());
  program.add_option("--batch", shape.batch, "Samples per step [24]")->check(count());
  program.add_option("--seed", shape.seed, "Of the weights and the data [1]")
      ->check(CLI::Range(0, 1'000'000'000));
  program
      .add_option("--freeze", options.freeze,
                  "Layers that are not trained: none, vision or language [none]")
      ->check(among({frozen_names.begin(), frozen_names.end()}));
  program
      .add_option("--precision", options.precision,
                  "What layers compute with: f32, or bf16 with sums and parameters in f32 [f32]")
      ->check(among({"f32", "bf16"}));
  program
      .add_option("--attention", options.attention,
                  "Kernels of attention: rows, or cudnn on GPUs with --precision bf16 [rows]")
      ->check(among({"rows", "cudnn"}));
  program.add_flag("--blind", options.blind, "The model sees no pictures");
  program.add_option("--learning-rate", options.learning_rate, "The highest [0.002]")
      ->check(positive());
  program.add_option("--held-out", options.held_out, "Questions at the end [512]")
      ->check(CLI::Range(0, 1'000'000));
}

void add_lengths(CLI::App& program, lengths_files& lengths) {
  program
      .add_option("--lengths", lengths.tables.files,
                  "Tables of lengths that samples follow: .json, .jsonl, .csv or .npy")
      ->type_name("FILE");
  cli::add_resource_option(program, lengths.tables);
  program
      .add_option("--tile-tokens", lengths.tile_tokens,
                  "Tokens of a tile in these tables; the others are text [256]")
      ->check(CLI::Range(0, 1'000'000'000))
      ->needs("--lengths");
  program.get_option("--resource")->needs("--lengths");
}

void add_ranks(CLI::App& program, program_options& options) {
  training_shape& shape = options.shape;
  program
      .add_option(
          "--ranks", options.ranks,
          "What ranks are: threads, mpi for the processes that mpiexec starts, or nccl for GPUs "
          "[threads]")
      ->check(among({"threads", "mpi", "nccl"}));
  program
      .add_option("--deadline", options.deadline,
                  "Seconds that a rank waits for another before it fails [300]")
      ->check(positive())
      ->check(CLI::Range(0.001, 1e7));
  program.add_option("--pp", shape.devices, "Pipeline ranks of a replica [2]")
      ->check(CLI::Range(1, 4096));
  program.add_option("--dp", shape.replicas, "Replicas [1]")->check(CLI::Range(1, 4096));
  program.add_option("--schedule", options.schedule, "Pipeline schedule [1f1b]")
      ->check(among(schedule_names()));
  program.add_option("--virtual-stages", shape.virtual_stages, "Per rank [by the schedule]")
      ->check(CLI::Range(1, 4096));
  program.add_option("--microbatches", shape.microbatches, "Per rank and step, about [4 · pp]")
      ->check(CLI::Range(1, 1'000'000));
  program
      .add_option_function<std::string>(
          "--memory",
          [&shape](const std::string& text) {
            shape.memory = cli::parse_bytes("--memory", text, 1);
          },
          "Bytes per rank, as in 64MiB [no limit]")
      ->type_name("BYTES");
  program
      .add_option("--baseline", options.baseline,
                  "How to plan: naive, unbalanced, paper, planned, or all one after the other "
                  "[planned]")
      ->check(among({"naive", "unbalanced", "paper", "planned", "all"}));
}

/// An unset variable of a script must not look like an option that was left out.
[[nodiscard]] CLI::Validator named() {
  const auto check = [](const std::string& text) -> std::string {
    return text.empty() ? "is empty: give a name or leave the option out" : "";
  };
  return {check, ""};
}

void add_files(CLI::App& program, program_options& options) {
  const auto add = [&](const char* option, std::string& file, const std::string& use) {
    program.add_option(option, file, use)->check(named());
  };
  add("--costs", options.costs,
      "Costs of the layers: read if the file is there, else measured and written");
  add("--checkpoint", options.checkpoint, "Folder for checkpoints");
  program.add_option("--checkpoint-every", options.checkpoint_every, "Steps [50]")
      ->check(count())
      ->needs("--checkpoint");
  add("--resume", options.resume, "Folder whose newest checkpoint to go on from, or a checkpoint");
  add("--trace", options.trace,
      "File for a trace of the last " + std::to_string(traced_steps) + " steps");
  add("--picture", options.picture, "File for a picture of the last step, SVG");
  add("--report", options.report, "File for a page about the run, HTML");
  add("--out", options.out, "File for the result as JSON");
  program.add_flag("--progress", options.progress, "Show progress though this is no terminal");
}

[[nodiscard]] cli::given_files files_of(const program_options& options) {
  cli::given_files files;
  for (const std::string& file : options.lengths.tables.files)
    files.inputs.push_back({"--lengths", file});
  for (const auto& [option, file] : {std::pair{"--trace", &options.trace},
                                     {"--picture", &options.picture},
                                     {"--report", &options.report},
                                     {"--out", &options.out}})
    if (!file->empty()) files.outputs.push_back({option, *file});
  if (!options.costs.empty())
    (reads_costs(options) ? files.inputs : files.outputs).push_back({"--costs", options.costs});
  return files;
}

void expect_attention(const program_options& options) {
  if (options.attention == "rows") return;
#if !defined(OMNIBAL_TRAINER_CUDA)
  const char* const refusal = "this program computes on the CPU; omnibal-trainer-cuda has GPUs";
#elif !defined(OMNIBAL_TRAINER_CUDNN)
  const char* const refusal = "this program was built without cuDNN or the headers of its frontend";
#else
  const char* const refusal =
      options.precision == "bf16" ? nullptr : "takes bf16 alone, add --precision bf16";
#endif
  if (refusal != nullptr)
    throw program_error(bad_input, std::string("--attention cudnn: ") + refusal);
}

/// A folder that can be made is made.
void expect_folder(const std::string& path) {
  if (path.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw program_error(bad_input, "--checkpoint " + path + ": " + error.message());
  if (::access(path.c_str(), W_OK | X_OK) != 0)
    throw program_error(bad_input, "--checkpoint " + path + ": " + std::strerror(errno));
}

}  // namespace

void add_options(CLI::App& program, program_options& options) {
  add_run(program, options);
  add_lengths(program, options.lengths);
  add_ranks(program, options);
  add_files(program, options);
}

bool reads_costs(const program_options& options) {
  std::error_code error;
  return !options.costs.empty() && (std::filesystem::exists(options.costs, error) || error);
}

bool takes_standard_output(const program_options& options) {
  return files_of(options).take_standard_output();
}

void validate(const program_options& options) {
  expect_attention(options);
  const cli::given_files files = files_of(options);
  cli::given_files with_folder = files;
  if (!options.checkpoint.empty())
    with_folder.outputs.push_back({"--checkpoint", options.checkpoint});
  cli::refuse_shared_files(with_folder);
  for (const cli::given_file& each : files.outputs) cli::expect_writable(each.path);
  if (options.baseline == "all" && !(options.checkpoint + options.resume).empty())
    throw program_error(bad_input, "--baseline all: has no checkpoints, leave them out");
  expect_folder(options.checkpoint);
}

std::vector<strategy> strategies_of(const program_options& options) {
  if (options.baseline == "all")
    return {strategy::naive, strategy::unbalanced, strategy::paper, strategy::planned};
  const auto* const found = std::ranges::find(strategy_names, options.baseline);
  return {static_cast<strategy>(found - strategy_names.begin())};
}

}  // namespace omnibal::trainer
