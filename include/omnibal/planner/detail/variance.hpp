// SPDX-License-Identifier: Apache-2.0
/// @file
/// The partition of least variance of the stages' forward times among those that fit memory: the
/// rank of the OmniBal paper as an objective, solved exactly.
///
/// The rank is p · Σ F² − (Σ F)². On equal devices Σ F is the same for all partitions, and a
/// dynamic program over (stage, layers) minimises Σ F². On devices of different speed a cell has
/// every label (Σ F, Σ F²) that is not dominated for some completion of the chain.
/// Source of the rank: OmniBal, arXiv 2407.20761.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>
#include <omnibal/planner/detail/stage_recurrences.hpp>

namespace omnibal::inline v0::detail {

/// A way to cut the first layers into stages.
struct variance_label {
  wide_integer sum = 0;
  wide_integer squares = 0;
  std::size_t begin = 0;   ///< First layer of its last stage.
  std::size_t parent = 0;  ///< Label of the stages before.
};

/// The labels that can be optimal for some completion of the chain and that satisfy `fits`, which
/// evaluates memory and is called only for labels that are not dominated. The final value is
/// p · (squares + q) − (sum + x)², with x at most `longest`: a label with less squares dominates
/// another unless its smaller sum can cost more than the difference.
template <typename Fits>
[[nodiscard]] std::vector<variance_label> undominated_labels(std::vector<variance_label> labels,
                                                             wide_integer stages,
                                                             wide_integer longest,
                                                             const Fits& fits) {
  std::ranges::sort(labels, [](const variance_label& left, const variance_label& right) {
    if (left.squares != right.squares) return left.squares < right.squares;
    if (left.sum != right.sum) return left.sum > right.sum;
    return left.begin != right.begin ? left.begin < right.begin : left.parent < right.parent;
  });
  std::vector<variance_label> undominated;
  for (const variance_label& one : labels) {
    const bool dominated = std::ranges::any_of(undominated, [&](const variance_label& other) {
      if (other.sum >= one.sum) return true;
      const wide_integer most_gained =
          (one.sum + longest) * (one.sum + longest) - (other.sum + longest) * (other.sum + longest);
      return stages * (one.squares - other.squares) >= most_gained;
    });
    if (!dominated && fits(one)) undominated.push_back(one);
  }
  return undominated;
}

/// The partition of least variance that fits memory with minimum-memory modes.
/// Without cuts where nothing fits or the search was stopped. O(p·n² · labels²), with one label per
/// cell on equal devices.
[[nodiscard]] inline objective_and_cuts plan_for_variance(stage_table& table) {
  const std::size_t layers = table.layers();
  const auto stages = static_cast<wide_integer>(table.stages());
  std::int64_t longest = 0;
  for (std::size_t s = 0; s < table.stages(); ++s)
    longest = std::max(longest, table.cost_with(s, 0, layers, 0).forward_time);
  // Rounding up every stage by itself may add 1 per stage.
  longest += static_cast<std::int64_t>(table.stages());

  using cells = std::vector<std::vector<variance_label>>;
  std::vector<cells> labels(table.stages() + 1, cells(layers + 1));
  labels[0][0].push_back({});
  for (std::size_t s = 0; s < table.stages(); ++s)
    for (std::size_t end = s + 1; end <= layers; ++end) {
      std::vector<variance_label> reached;
      for (std::size_t begin = end; begin-- > s;) {
        if (table.stopped()) return {};
        if (labels[s][begin].empty() || !table.rules().allows(s, begin, end)) continue;
        const wide_integer forward = table.cost_with(s, begin, end, 0).forward_time;
        for (std::size_t parent = 0; parent < labels[s][begin].size(); ++parent) {
          const variance_label& from = labels[s][begin][parent];
          reached.push_back({from.sum + forward, from.squares + forward * forward, begin, parent});
        }
      }
      labels[s + 1][end] = undominated_labels(
          std::move(reached), stages, longest,
          [&](const variance_label& one) { return table.overrun(s, one.begin, end) <= 0; });
    }

  const std::vector<variance_label>& last = labels[table.stages()][layers];
  if (last.empty()) return {};
  const auto rank = [&](const variance_label& one) {
    return stages * one.squares - one.sum * one.sum;
  };
  std::size_t at = 0;
  for (std::size_t k = 1; k < last.size(); ++k)
    if (rank(last[k]) < rank(last[at])) at = k;
  objective_and_cuts plan{.objective = reduced(rank(last[at]), 1, "variance")};
  plan.cuts.assign(table.stages() + 1, layers);
  for (std::size_t s = table.stages(); s > 0; --s) {
    const variance_label& one = labels[s][plan.cuts[s]][at];
    plan.cuts[s - 1] = one.begin;
    at = one.parent;
  }
  return plan;
}

}  // namespace omnibal::inline v0::detail
