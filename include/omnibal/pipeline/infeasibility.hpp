// SPDX-License-Identifier: Apache-2.0
/// @file
/// The reason a planner reports when it has no plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Why there is no plan. planner/advice.hpp finds changes that would help.
struct infeasibility {
  enum class cause { none, fewer_layers_than_stages, rules, memory, global_batch };

  cause reason = cause::none;
  /// Whether no plan exists; false where a search was stopped before it had a plan, and the rest
  /// describes the nearest that it tried.
  bool proven = true;
  /// For memory: the stage of largest overrun in the partition whose largest overrun is least.
  std::size_t binding_stage = 0;
  /// For memory: what its device lacks there. With that much more on every device a plan fits.
  std::int64_t bytes_short = 0;
  std::int64_t nearest_batch = 0;  ///< For the global batch: the nearest that the run can have.
  std::size_t most_stages = 0;     ///< For rules: the most virtual stages that they allow; 0: none.
};

[[nodiscard]] constexpr std::string_view to_string(infeasibility::cause reason) noexcept {
  switch (reason) {
    case infeasibility::cause::none: return "none";
    case infeasibility::cause::fewer_layers_than_stages: return "fewer_layers_than_stages";
    case infeasibility::cause::rules: return "together_and_apart";
    case infeasibility::cause::memory: return "memory";
    case infeasibility::cause::global_batch: return "global_batch";
  }
  return "unknown";
}

}  // namespace omnibal::inline v0
