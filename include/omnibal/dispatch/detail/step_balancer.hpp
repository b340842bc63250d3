// SPDX-License-Identifier: Apache-2.0
/// @file
/// Assigns the packs of one step to ranks so that the slowest rank costs little more than the mean.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Balances the ranks of one step after the other: longest processing time first with a fixed
/// number of packs per rank, then exchanges of packs between the slowest rank and others.
class step_balancer {
 public:
  /// Costs by pack; the costs of the packs of one rank must add up to at most 2⁶³.
  step_balancer(std::span<const std::uint64_t> costs, std::uint32_t ranks)
      : costs_(costs), costs_of_ranks_(ranks), assigned_(ranks), by_cost_(ranks) {}

  /// Assigns the packs of a step to the ranks; their numbers of packs differ by at most one.
  void assign(std::span<const std::uint32_t> packs) {
    packs_ = packs;
    assign_most_expensive_first();
    exchange_packs();
    for (std::vector<place_cost>& places : assigned_)
      std::sort(places.begin(), places.end(),
                [](const place_cost& a, const place_cost& b) { return a.place < b.place; });
  }

  /// The packs assigned to a rank, by place among the packs of the step, ascending.
  struct place_cost {
    std::uint64_t cost = 0;
    std::uint32_t place = 0;
  };
  [[nodiscard]] std::span<const place_cost> assigned(std::size_t rank) const noexcept {
    return assigned_[rank];
  }

 private:
  static constexpr std::size_t turns_per_rank = 4;

  [[nodiscard]] std::size_t ranks() const noexcept { return assigned_.size(); }

  // Assigns every pack to the rank of least cost among those that may take one more.
  void assign_most_expensive_first() {
    std::fill(costs_of_ranks_.begin(), costs_of_ranks_.end(), 0);
    for (auto& places : assigned_) places.clear();
    order_.clear();
    for (std::uint32_t place = 0; place < packs_.size(); ++place)
      order_.push_back({.cost = costs_[packs_[place]], .place = place});
    std::sort(order_.begin(), order_.end(), [](const place_cost& a, const place_cost& b) {
      return a.cost != b.cost ? a.cost > b.cost : a.place < b.place;
    });
    const std::size_t share = packs_.size() / ranks();
    std::size_t larger_shares = packs_.size() % ranks();
    using rank_cost = std::pair<std::uint64_t, std::size_t>;
    std::priority_queue<rank_cost, std::vector<rank_cost>, std::greater<>> open;
    for (std::size_t rank = 0; rank < ranks(); ++rank) open.emplace(0, rank);
    for (const place_cost& pack : order_) {
      while (larger_shares == 0 && assigned_[open.top().second].size() == share) open.pop();
      const std::size_t rank = open.top().second;
      open.pop();
      assigned_[rank].push_back(pack);
      costs_of_ranks_[rank] += pack.cost;
      if (assigned_[rank].size() > share)
        --larger_shares;
      else
        open.emplace(costs_of_ranks_[rank], rank);
    }
  }

  // Repeatedly reduces the cost of the slowest rank by an exchange with the fastest rank that
  // allows one.
  void exchange_packs() {
    std::iota(by_cost_.begin(), by_cost_.end(), 0U);
    for (std::size_t turn = 0; turn < turns_per_rank * ranks(); ++turn) {
      sort_by_cost();
      const std::uint32_t slowest = by_cost_.back();
      const bool exchanged =
          std::any_of(by_cost_.begin(), by_cost_.end(), [&](std::uint32_t other) {
            return costs_of_ranks_[other] < costs_of_ranks_[slowest] && exchange(slowest, other);
          });
      if (!exchanged) return;
    }
  }

  // Insertion sort, because all but two ranks are in order.
  void sort_by_cost() noexcept {
    const auto before = [&](std::uint32_t a, std::uint32_t b) {
      return costs_of_ranks_[a] != costs_of_ranks_[b] ? costs_of_ranks_[a] < costs_of_ranks_[b]
                                                      : a < b;
    };
    for (std::size_t k = 1; k < by_cost_.size(); ++k) {
      const std::uint32_t rank = by_cost_[k];
      std::size_t to = k;
      for (; to > 0 && before(rank, by_cost_[to - 1]); --to) by_cost_[to] = by_cost_[to - 1];
      by_cost_[to] = rank;
    }
  }

  // Exchanges the two packs after which the costs of the two ranks differ least. Returns false when
  // no exchange reduces the difference.
  [[nodiscard]] bool exchange(std::uint32_t slow, std::uint32_t fast) noexcept {
    const std::uint64_t gap = costs_of_ranks_[slow] - costs_of_ranks_[fast];
    std::uint64_t least_gap = gap;
    place_cost* give = nullptr;
    place_cost* take = nullptr;
    for (place_cost& from : assigned_[slow])
      for (place_cost& to : assigned_[fast]) {
        // A negative difference wraps around to more than the gap.
        const std::uint64_t moved = from.cost - to.cost;
        if (moved >= gap) continue;
        const std::uint64_t new_gap = moved > gap - moved ? 2 * moved - gap : gap - 2 * moved;
        if (new_gap < least_gap) least_gap = new_gap, give = &from, take = &to;
      }
    if (give == nullptr) return false;
    const std::uint64_t moved = give->cost - take->cost;
    costs_of_ranks_[slow] -= moved;
    costs_of_ranks_[fast] += moved;
    std::swap(*give, *take);
    return true;
  }

  std::span<const std::uint64_t> costs_;
  std::span<const std::uint32_t> packs_;
  std::vector<std::uint64_t> costs_of_ranks_;      // total cost by rank
  std::vector<std::vector<place_cost>> assigned_;  // by rank
  std::vector<std::uint32_t> by_cost_;             // ranks, fastest first
  std::vector<place_cost> order_;                  // packs, most expensive first
};

}  // namespace omnibal::inline v0::detail
