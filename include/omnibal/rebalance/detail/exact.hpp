// SPDX-License-Identifier: Apache-2.0
/// @file
/// The exact frontier of cost against bytes, for up to four ranks and sixteen samples.
///
/// Enumerates all ways to split the samples between ranks {0, 1} and ranks {2, 3}. A split
/// determines which samples change sides, and leaves two problems of two ranks each, which interact
/// only through the maximum of their costs and the sum of their bytes. So only the Pareto-optimal
/// plans of the two pairs are combined. Splits and plans that could not improve the frontier even
/// if the rest were perfect are pruned, which is nearly all of them when the frontier comes from a
/// good search.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/rebalance/detail/placement_frontier.hpp>
#include <omnibal/rebalance/problem.hpp>

namespace omnibal::inline v0::detail {

/// Completes a frontier. Precondition: the problem is valid and within these sizes; the frontier
/// contains the plan without moves. O(3^samples) at worst, O(2^samples) memory.
class exact_frontier {
 public:
  static constexpr std::uint32_t most_ranks = 4;
  static constexpr std::size_t most_samples = 16;

  [[nodiscard]] static bool fits(const rebalance_problem& problem) noexcept {
    return problem.ranks <= most_ranks && problem.samples.size() <= most_samples;
  }

  exact_frontier(const rebalance_problem& problem, placement_frontier& frontier)
      : problem_(problem), frontier_(frontier), all_((1U << problem.samples.size()) - 1) {
    cost_.push_back(0);
    bytes_.push_back(0);
    for (std::size_t s = 0; s < problem.samples.size(); ++s) {
      const owned_sample& sample = problem.samples[s];
      owned_[sample.rank] |= 1U << s;
      const std::size_t count = cost_.size();
      for (std::size_t k = 0; k < count; ++k) {
        cost_.push_back(cost_[k] + sample.cost);
        bytes_.push_back(bytes_[k] + sample.bytes);
      }
    }
  }

  /// Returns whether the frontier is complete: false after a stop request.
  [[nodiscard]] bool complete(const search_control& control) {
    constexpr sample_set between_looks = 1024;
    if (problem_.ranks <= 2) {
      try_split(all_);
      return true;
    }
    for (sample_set left = 0; left <= all_; ++left) {
      if (left % between_looks == 0 && control.stop_requested()) return false;
      try_split(left);
    }
    return true;
  }

 private:
  using sample_set = std::uint32_t;

  // A plan for two ranks, given by the samples of the second one.
  struct pair_plan {
    std::int64_t cost = 0;
    std::int64_t bytes = 0;
    sample_set second = 0;
  };

  // Counts the bytes of samples that change sides; plans of a pair count those within a side.
  void try_split(sample_set left) {
    const sample_set right = all_ & ~left;
    const sample_set left_owned = owned_[0] | owned_[1];
    const std::int64_t crossing = bytes_[left & ~left_owned] + bytes_[right & left_owned];
    const std::int64_t floor = std::max(least_cost(left, 0), least_cost(right, 2));
    if (!frontier_.improves(floor, crossing)) return;
    list_plans(left, 0, floor, crossing, left_plans_);
    if (left_plans_.empty()) return;
    list_plans(right, 2, floor, crossing, right_plans_);
    for (const pair_plan& a : left_plans_)
      for (const pair_plan& b : right_plans_) {
        const std::int64_t cost = std::max(a.cost, b.cost);
        const std::int64_t bytes = crossing + a.bytes + b.bytes;
        if (frontier_.improves(cost, bytes))
          frontier_.insert(cost, bytes, ranks_of(left, a.second, b.second));
      }
  }

  [[nodiscard]] bool is_pair(std::uint32_t first) const noexcept {
    return first + 1 < problem_.ranks;
  }

  [[nodiscard]] std::int64_t least_cost(sample_set samples, std::uint32_t first) const noexcept {
    return is_pair(first) ? cost_[samples] / 2 + cost_[samples] % 2 : cost_[samples];
  }

  // The Pareto-optimal plans of ranks first and first + 1 that may improve the frontier, given that
  // the whole plan costs at least `floor` and sends at least `crossing` bytes.
  void list_plans(sample_set samples, std::uint32_t first, std::int64_t floor,
                  std::int64_t crossing, std::vector<pair_plan>& plans) const {
    plans.clear();
    const std::int64_t cost_limit = frontier_.cost_limit(crossing);
    const std::int64_t bytes_limit = frontier_.bytes_limit(floor);
    const sample_set second_owned = is_pair(first) ? owned_[first + 1] : 0;
    for (sample_set second = is_pair(first) ? samples : 0;; second = (second - 1) & samples) {
      const pair_plan plan{
          .cost = std::max(cost_[second], cost_[samples] - cost_[second]),
          .bytes = bytes_[second & owned_[first]] + bytes_[samples & ~second & second_owned],
          .second = second};
      if (plan.cost < cost_limit && crossing + plan.bytes < bytes_limit &&
          frontier_.improves(std::max(plan.cost, floor), crossing + plan.bytes))
        keep(plan, plans);
      if (second == 0) return;
    }
  }

  static void keep(const pair_plan& plan, std::vector<pair_plan>& plans) {
    const auto dominates = [](const pair_plan& a, const pair_plan& b) {
      return a.cost <= b.cost && a.bytes <= b.bytes;
    };
    if (std::ranges::any_of(plans, [&](const pair_plan& other) { return dominates(other, plan); }))
      return;
    std::erase_if(plans, [&](const pair_plan& other) { return dominates(plan, other); });
    plans.push_back(plan);
  }

  [[nodiscard]] std::vector<std::uint32_t> ranks_of(sample_set left, sample_set left_second,
                                                    sample_set right_second) const {
    std::vector<std::uint32_t> ranks(problem_.samples.size());
    for (std::size_t s = 0; s < ranks.size(); ++s) {
      const bool on_left = (left >> s & 1U) != 0;
      const sample_set second = on_left ? left_second : right_second;
      ranks[s] = (on_left ? 0 : 2) + (second >> s & 1U);
    }
    return ranks;
  }

  const rebalance_problem& problem_;
  placement_frontier& frontier_;
  sample_set all_;
  std::array<sample_set, most_ranks> owned_ = {};  // the samples that each rank owns
  std::vector<std::int64_t> cost_;                 // of each set of samples
  std::vector<std::int64_t> bytes_;                // likewise
  std::vector<pair_plan> left_plans_;
  std::vector<pair_plan> right_plans_;
};

}  // namespace omnibal::inline v0::detail
