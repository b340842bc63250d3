// SPDX-License-Identifier: Apache-2.0
/// @file
/// What people read of a planned run, from its JSON report.
#pragma once

#include <cstdint>
#include <string>

#include "files/json.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {

[[nodiscard]] std::string duration_text(double seconds);
[[nodiscard]] std::string gibibytes_text(std::int64_t bytes);

/// The model and the devices.
[[nodiscard]] std::string title(const json& report);

/// Unbalanced, published, planned and bound side by side.
[[nodiscard]] text_table comparison_table(const json& report);

/// What each balance adds.
[[nodiscard]] text_table ablation_table(const json& report);

/// The gain in a sentence, or what to do where no plan fits.
[[nodiscard]] std::string verdict(const json& report);

/// What a reader must not overlook: who does not fit, and where the expected order does not hold.
[[nodiscard]] std::string remarks(const json& report);

/// Megatron-LM's arguments in lines that a shell takes.
[[nodiscard]] std::string megatron_arguments(const json& report);

/// The whole of run_report() (plan_report.hpp).
[[nodiscard]] std::string run_text(const json& report);

/// The whole of repriced_report().
[[nodiscard]] std::string repriced_text(const json& report);

}  // namespace omnibal::cli
