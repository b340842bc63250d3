// SPDX-License-Identifier: Apache-2.0
/// @file
/// The sub-commands. Each has a file of its own, <name>.cpp, which adds it to the application with
/// its options; the callback of the chosen one stores in the context what to run.
#pragma once

#include <functional>
#include <optional>

#include "errors.hpp"
#include "files/given_files.hpp"

namespace CLI {
class App;
}

namespace omnibal::cli {

class interruption;

enum class report_format { as_text, as_json };

/// What all sub-commands share.
struct command_context {
  std::optional<report_format> format = {};  ///< Absent: text on a terminal, else JSON.
  bool show_progress = false;                ///< Also where standard error is no terminal.

  given_files files = {};               ///< Those that the options name.
  interruption* interrupted = nullptr;  ///< Set by signals.

  /// The chosen sub-command, called once all options are known to be good. Returns done or
  /// infeasible after printing its report; everything else is an exception.
  std::function<exit_status()> run = {};
};

void add_pack(CLI::App& application, command_context& context);
void add_generate(CLI::App& application, command_context& context);
void add_partition(CLI::App& application, command_context& context);
void add_recompute(CLI::App& application, command_context& context);
void add_rebalance(CLI::App& application, command_context& context);
void add_simulate(CLI::App& application, command_context& context);
void add_replay(CLI::App& application, command_context& context);
void add_calibrate(CLI::App& application, command_context& context);
void add_trace(CLI::App& application, command_context& context);
void add_plan(CLI::App& application, command_context& context);

}  // namespace omnibal::cli
