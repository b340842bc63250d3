// SPDX-License-Identifier: Apache-2.0
/// @file
/// What people read of a planned run: sentences and tables, from which text and page are made.
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

/// Unbalanced, published, planned and bound side by side.
[[nodiscard]] text_table comparison_table(const column_report& planned, const run_gain& gain);

/// The gain in a sentence, or what to do where no plan fits.
[[nodiscard]] std::string verdict(const run_report& report);

/// What a reader must not overlook: who does not fit, and where the expected order does not hold.
[[nodiscard]] std::string remarks(const column_report& planned, const run_gain& gain);

/// Megatron-LM's arguments in lines that a shell takes.
[[nodiscard]] std::string megatron_arguments(const megatron_report& megatron);

[[nodiscard]] std::string to_text(const run_report& report);
[[nodiscard]] std::string to_text(const repriced_report& report);

}  // namespace omnibal::cli
