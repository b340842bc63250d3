// SPDX-License-Identifier: Apache-2.0
#include "commands/pack_options.hpp"

#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>

#include "errors.hpp"
#include "options/options.hpp"

namespace omnibal::cli {
namespace {

void add_capacity_options(CLI::App& command, pack_options& options) {
  command
      .add_option("--capacity", options.capacity,
                  "The most a pack may hold of each resource, or auto: the capacities at which "
                  "packs waste least")
      ->type_name("images=9,tokens=4096|auto");
  command
      .add_option("--max", options.most,
                  "With auto: upper limits on the capacities, such as tokens=16384")
      ->type_name("AMOUNTS");
  add_number(command, "--target-samples-per-pack", options.samples_per_pack,
             "With auto: the wanted mean number of samples per pack [4, without --max]");
  add_choice(command, "--oversize", options.oversize,
             "What to do with samples beyond a capacity [reject]",
             {{"reject", oversize_policy::reject},
              {"own_pack", oversize_policy::own_pack},
              {"skip", oversize_policy::skip}});
}

std::vector<std::pair<std::string, std::string>> method_choices() {
  std::vector<std::pair<std::string, std::string>> choices;
  for (const std::string_view name : packer_names) choices.emplace_back(name, name);
  return choices;
}

void add_method_options(CLI::App& command, pack_options& options) {
  constexpr std::int64_t most_passes = std::numeric_limits<std::uint32_t>::max();
  add_choice(
      command, "--method", options.method,
      "Packing method: balanced; isf, the iterative sampling and filtering of the OmniBal paper; "
      "or streaming, samples one by one in the order of the tables [balanced]",
      method_choices());
  command
      .add_option("--threshold", options.threshold,
                  "With isf: loads from which on a pack counts as full [the capacity]")
      ->type_name("AMOUNTS");
  add_integer(command, "--iterations", options.iterations, "With isf: number of iterations [50]",
              {1, most_passes});
  add_choice(command, "--stream", options.stream,
             "With isf: random numbers of this library, or those of the paper's code [native]",
             {{"native", isf_stream::native}, {"published", isf_stream::published}});
  add_integer(command, "--buffer", options.buffer,
              "With streaming: the most samples buffered at a time [1000]", {1, 1 << 20});
  add_integer(command, "--age-limit", options.age_limit,
              "With streaming: a sample is packed at the latest when so many more have arrived "
              "[8 times the buffer]",
              {.least = 0});
  add_integer(command, "--good-enough", options.good_enough,
              "With streaming: emit a pack as soon as it fills so many thousandths of a capacity "
              "[only when the buffer is full]",
              {1, 1000});
  add_integer(command, "--level", options.level_rounds,
              "Rounds of improvement by swaps of samples, which even the costs of packs [0]",
              {0, 1000});
  add_integer(command, "--seed", options.seed,
              "Random seed; the same seed gives the same bytes [1024]", {});
}

void add_dispatch_options(CLI::App& command, pack_options& options) {
  constexpr integer_range count{1, 1 << 20};
  add_integer(command, "--dp", options.ranks, "Data-parallel ranks [8]", count);
  add_integer(command, "--micro-batches", options.microbatches,
              "Micro-batches per rank in a full step, each of one pack [1]", count);
  add_integer(
      command, "--sequence-parallel-size", options.sequence_parallel_size,
      "Packs per micro-batch, for ranks that share the work on them; the loads of such groups "
      "are balanced in every resource [1]",
      count);
  add_choice(command, "--last-step", options.last_step,
             "What to do with packs that do not fill a step: run a short step, drop them, or pad "
             "the step with repeated packs [short]",
             {{"short", last_step_policy::spread},
              {"drop", last_step_policy::drop},
              {"pad", last_step_policy::pad}});
  add_integer(
      command, "--window", options.window,
      "Sort the packs of so many steps by cost before dividing them into steps; 1 leaves every "
      "step a random draw [1]",
      {1, std::numeric_limits<std::uint32_t>::max()});
  command.add_flag(
      "--largest-first", options.largest_first,
      "Run the most expensive packs in the first step, to see at once whether memory suffices");
  add_integer(command, "--epoch", options.epoch,
              "Number of the epoch; each has packs and steps of its own [0]", {});
}

}  // namespace

void add_pack_options(CLI::App& command, given_files& files, pack_options& options) {
  add_table_options(command, files, options.tables);
  const auto take_key = [&options](const std::string& name) {
    if (name.empty()) throw invalid_input("--key", "nothing", "must be the name of a field");
    options.tables.key = name;
  };
  command
      .add_option_function<std::string>(
          "--key", take_key,
          "The field of the tables, texts or integers, that names each sample, so that packs stay "
          "valid when the samples come in another order")
      ->type_name("FIELD");
  command
      .add_option("--repeat", options.repeat,
                  "How often an epoch contains the samples of each file of --lengths, in order: "
                  "5/2 or 2.5 is two or three times, 1/4 every fourth sample [each sample once]")
      ->type_name("RATE,...");
  add_capacity_options(command, options);
  add_method_options(command, options);
  add_dispatch_options(command, options);
  add_input_file(command, files, "--evaluate", options.evaluate,
                 "Report the figures of the packs of this file instead of making packs");
  add_output_file(command, files, "--out", options.out, "Where to write the packs, as JSON");
}

void refuse_unused_options(const pack_options& options) {
  const auto refuse = [](bool given, const char* option, const char* home) {
    if (given) throw usage_error(std::string(option) + " has no meaning without " + home);
  };
  if (options.capacity.empty() == options.evaluate.empty())
    throw usage_error("pack needs either --capacity or --evaluate");
  if (options.capacity != "auto") {
    refuse(!options.most.empty(), "--max", "--capacity auto");
    refuse(options.samples_per_pack.has_value(), "--target-samples-per-pack", "--capacity auto");
  }
  if (options.samples_per_pack &&
      !(*options.samples_per_pack > 0 && *options.samples_per_pack < 1e9))
    throw invalid_input("--target-samples-per-pack",
                        CLI::detail::to_string(*options.samples_per_pack),
                        "must be more than 0 and less than a billion");
  if (options.method != packers::isf::name) {
    refuse(!options.threshold.empty(), "--threshold", "--method isf");
    refuse(options.iterations.has_value(), "--iterations", "--method isf");
    refuse(options.stream.has_value(), "--stream", "--method isf");
  } else if (options.stream == isf_stream::published && options.repeat.empty()) {
    refuse(options.epoch != 0, "--epoch", "--stream native");
  }
  if (options.method != packers::streaming::name) {
    refuse(options.buffer.has_value(), "--buffer", "--method streaming");
    refuse(options.age_limit.has_value(), "--age-limit", "--method streaming");
    refuse(options.good_enough.has_value(), "--good-enough", "--method streaming");
  }
}

void refuse_options_beside_evaluate(const CLI::App& command) {
  static const std::set<std::string> allowed = {
      "--lengths", "--resource", "--key", "--evaluate", "--out", "--format", "--progress"};
  for (const CLI::Option* option : command.get_options())
    if (option->count() > 0 && !allowed.contains(option->get_name()))
      throw usage_error(option->get_name() + " has no meaning beside --evaluate");
}

}  // namespace omnibal::cli
