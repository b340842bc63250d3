// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a search can say of its answer.
#pragma once

#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

enum class search_status {
  optimal,     ///< The answer is proven best: objective == bound.
  feasible,    ///< The answer is valid; bound ≤ optimum ≤ objective.
  stopped,     ///< A limit was reached or a stop was asked for; there may or may not be an answer.
  infeasible,  ///< Proven: no answer exists.
};

[[nodiscard]] constexpr std::string_view to_string(search_status status) noexcept {
  switch (status) {
    case search_status::optimal: return "optimal";
    case search_status::feasible: return "feasible";
    case search_status::stopped: return "stopped";
    case search_status::infeasible: return "infeasible";
  }
  return "unknown";
}

/// (objective − bound) / bound: by how much the answer can at most be beaten, relative to the
/// bound. 0 when they are equal, also at 0.
[[nodiscard]] constexpr double relative_gap(double objective, double bound) noexcept {
  return objective == bound ? 0.0 : (objective - bound) / bound;
}

}  // namespace omnibal::inline v0
