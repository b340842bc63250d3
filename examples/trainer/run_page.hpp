// SPDX-License-Identifier: Apache-2.0
/// @file
/// A run as one self-contained page of HTML, in the manner of `omnibal plan --report`: losses, the
/// last step as planned and as it was, times, memory and stages of every strategy.
#pragma once

#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include <omnibal/pipeline/timeline.hpp>

namespace omnibal::trainer {

/// `result` is what --out writes (docs/trainer.md); the timelines share one scale.
[[nodiscard]] std::string run_page(const nlohmann::json& result, std::span<const timeline> steps);

}  // namespace omnibal::trainer
