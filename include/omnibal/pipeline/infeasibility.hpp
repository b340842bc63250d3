// SPDX-License-Identifier: Apache-2.0
/// @file
/// The reason a planner reports when no plan exists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Why no plan exists. planner/advice.hpp finds changes that would help.
struct infeasibility {
  enum class cause { none, fewer_layers_than_stages, rules, memory, global_batch };

  cause reason = cause::none;
  /// For memory: the stage of largest overrun in the partition whose largest overrun is least.
  std::size_t binding_stage = 0;
  std::int64_t bytes_short = 0;    ///< For memory: a lower bound on what every device needs more.
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
