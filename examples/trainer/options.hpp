// SPDX-License-Identifier: Apache-2.0
/// @file
/// What omnibal-trainer is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lengths_file.hpp"
#include "training_plan.hpp"

namespace CLI {
class App;
}

namespace omnibal::trainer {

/// A trace has at most so many steps, the last: longer ones no viewer opens.
inline constexpr std::size_t traced_steps = 1000;

struct program_options {
  std::string size = "tiny";
  std::string schedule = "1f1b";
  std::string baseline = "planned";
  std::string freeze = "none";
  std::string precision = "f32";
  std::string attention = "rows";
  std::string ranks = "threads";
  lengths_files lengths = {};
  std::string costs = {};
  std::string checkpoint = {};
  std::string resume = {};
  std::string trace = {};
  std::string picture = {};
  std::string report = {};
  std::string out = {};
  std::uint64_t checkpoint_every = 50;
  double deadline = 300;
  std::uint32_t held_out = 512;
  double learning_rate = 2e-3;
  bool blind = false;
  bool progress = false;
  training_shape shape = {};  ///< `schedule` and `how` are set from the names above.
};

void add_options(CLI::App& program, program_options& options);

/// Whether there is a file of costs, which is then read; one that cannot be looked at counts.
[[nodiscard]] bool reads_costs(const program_options& options);

/// Whether a file is standard output; what the program says then goes to standard error.
[[nodiscard]] bool takes_standard_output(const program_options& options);

/// Throws where a file cannot be written or two options name the same file, and for options that
/// do not go together: before a long run rather than after it.
void validate(const program_options& options);

/// In the order in which they run.
[[nodiscard]] std::vector<strategy> strategies_of(const program_options& options);

}  // namespace omnibal::trainer
