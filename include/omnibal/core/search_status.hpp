// SPDX-License-Identifier: Apache-2.0
/// @file
/// How a search ended and how good its answer is: every search result has a `status`, the `limit`
/// that ended it, an `objective` and a proven `bound`.
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

/// What ended a search whose status is `stopped`.
enum class search_limit {
  none,        ///< Nothing: it ended by itself.
  operations,  ///< A count in its options, or one of its own: the same on every machine.
  stop,        ///< Its caller, such as a clock or a signal: the answer depends on the machine.
};

[[nodiscard]] constexpr std::string_view to_string(search_limit limit) noexcept {
  switch (limit) {
    case search_limit::none: return "none";
    case search_limit::operations: return "operations";
    case search_limit::stop: return "stop";
  }
  return "unknown";
}

/// (objective − bound) / bound: an upper limit on the relative distance between the answer and the
/// optimum. 0 when objective and bound are equal, also when both are 0.
[[nodiscard]] constexpr double relative_gap(double objective, double bound) noexcept {
  return objective == bound ? 0.0 : (objective - bound) / bound;
}

}  // namespace omnibal::inline v0
