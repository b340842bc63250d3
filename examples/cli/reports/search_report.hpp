// SPDX-License-Identifier: Apache-2.0
/// @file
/// The result of a search: how it ended and what it proved, or why there is no answer; and the
/// reports of the sub-commands that consist of one search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/problem.hpp>

#include "files/json.hpp"

namespace omnibal::cli {

/// The stage that lacks most memory, and the bytes that every device needs beyond its limit.
struct memory_shortage {
  std::optional<std::size_t> binding_stage = {};
  std::int64_t bytes = 0;
};

/// Why a search has no answer, and a remedy.
struct no_answer {
  search_status status = search_status::infeasible;
  search_limit limit = search_limit::none;  ///< Where the status is stopped.
  std::string reason = {};
  std::string suggestion = {};                     ///< Empty where there is nothing to suggest.
  std::optional<std::int64_t> nearest_batch = {};  ///< Where the global batch cannot be had.
  std::optional<memory_shortage> shortage = {};
};

[[nodiscard]] json to_json(const no_answer& why);

/// How a search over integers ended and what it proved.
struct search_outcome {
  search_status status = search_status::infeasible;
  search_limit limit = search_limit::none;  ///< Where the status is stopped.
  std::int64_t objective = 0;
  std::int64_t bound = 0;
};

[[nodiscard]] json to_json(const search_outcome& outcome);

/// `omnibal partition`: where the chain is cut.
struct chain_cuts {
  search_outcome outcome = {};
  std::vector<std::size_t> cuts = {};
  bool tie_settled = false;
};

using partition_report = std::variant<chain_cuts, no_answer>;

/// `omnibal recompute`: the mode of each layer.
struct layer_modes {
  search_outcome outcome = {};
  std::vector<std::size_t> modes = {};
};

using recompute_report = std::variant<layer_modes, no_answer>;

/// A plan for a problem of plain numbers, with its times and memory.
struct evaluated_plan {
  search_status status = search_status::feasible;
  search_limit limit = search_limit::none;  ///< Where the status is stopped.
  rational objective = {};
  std::optional<rational> bound = {};  ///< Where the plan was searched for.
  pipeline_plan plan = {};
  std::optional<bool> tie_settled = {};  ///< Where the objective has a rule for ties.
  std::vector<std::int64_t> stage_forward = {};
  std::vector<std::int64_t> stage_backward = {};
  std::vector<std::int64_t> peak_memory = {};
  std::int64_t makespan = 0;
  std::vector<std::int64_t> makespans = {};  ///< One per scenario, where there are any.
  /// Layers that share weights but no stage, where any share weights.
  std::optional<std::vector<layer_pair>> gradient_reductions = {};
};

/// `omnibal plan --problem`.
struct problem_report {
  std::variant<evaluated_plan, no_answer> answer = {};
  double seconds = 0;
};

[[nodiscard]] json to_json(const chain_cuts& found);
[[nodiscard]] json to_json(const layer_modes& found);
[[nodiscard]] json to_json(const evaluated_plan& plan);
[[nodiscard]] json to_json(const partition_report& report);
[[nodiscard]] json to_json(const recompute_report& report);
[[nodiscard]] json to_json(const problem_report& report);

[[nodiscard]] std::string to_text(const partition_report& report);
[[nodiscard]] std::string to_text(const recompute_report& report);
[[nodiscard]] std::string to_text(const problem_report& report);

}  // namespace omnibal::cli
