// SPDX-License-Identifier: Apache-2.0
/// @file
/// Sentences and tables about a planned run, from which the text and the page are made.
#pragma once

#include <cstdint>
#include <string>

#include "reports/plan_report.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {

[[nodiscard]] std::string duration_text(double seconds);
[[nodiscard]] std::string gibibytes_text(std::int64_t bytes);

/// The model and the devices.
[[nodiscard]] std::string title(const run_setting& setting);

/// What a row of the ablation lacks; empty if nothing.
[[nodiscard]] std::string remark(const ablation_figures& row);

/// The strategies and the lower bound side by side.
[[nodiscard]] text_table comparison_table(const strategy_report& planned, const run_gain& gain);

/// The speedup in a sentence, or what to do where no plan fits.
[[nodiscard]] std::string verdict(const run_report& report);

/// Warnings: strategies that do not fit the memory, do not keep the constraints, or are slower than
/// one they should surpass. Precondition: a plan was found.
[[nodiscard]] std::string remarks(const run_report& report);

/// Megatron-LM's arguments in lines that a shell takes.
[[nodiscard]] std::string megatron_arguments(const megatron_report& megatron);

[[nodiscard]] std::string to_text(const run_report& report);
[[nodiscard]] std::string to_text(const evaluation_report& report);

}  // namespace omnibal::cli
