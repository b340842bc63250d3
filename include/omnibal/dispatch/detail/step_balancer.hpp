// SPDX-License-Identifier: Apache-2.0
/// @file
/// Deals the packs of one step to ranks so that the dearest rank costs little more than the mean.
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

/// Evens the ranks of one step after the other: longest processing time first with a fixed number
/// of packs a rank, then exchanges of packs between the dearest rank and others.
class step_balancer {
 public:
  /// Costs by pack; what a rank is dealt must add up to at most 2⁶³.
  step_balancer(std::span<const std::uint64_t> costs, std::uint32_t ranks)
      : costs_(costs), spent_(ranks), held_(ranks), by_cost_(ranks) {}

  /// Deals the packs of a step to the ranks; among ranks their numbers differ by at most one.
  void deal(std::span<const std::uint32_t> packs) {
    packs_ = packs;
    assign_dearest_first();
    exchange_packs();
    for (std::vector<place_cost>& places : held_) std::ranges::sort(places, {}, &place_cost::place);
  }

  /// What the rank was dealt, by place among the packs of the step, ascending.
  struct place_cost {
    std::uint64_t cost = 0;
    std::uint32_t place = 0;
  };
  [[nodiscard]] std::span<const place_cost> held(std::size_t rank) const noexcept {
    return held_[rank];
  }

 private:
  static constexpr std::size_t turns_per_rank = 4;

  [[nodiscard]] std::size_t ranks() const noexcept { return held_.size(); }

  // Every pack goes to the rank that has spent least among those that may take one more.
  void assign_dearest_first() {
    std::ranges::fill(spent_, 0);
    for (auto& places : held_) places.clear();
    order_.clear();
    for (std::uint32_t place = 0; place < packs_.size(); ++place)
      order_.push_back({.cost = costs_[packs_[place]], .place = place});
    std::ranges::sort(order_, [](const place_cost& a, const place_cost& b) {
      return a.cost != b.cost ? a.cost > b.cost : a.place < b.place;
    });
    const std::size_t share = packs_.size() / ranks();
    std::size_t larger_shares = packs_.size() % ranks();
    using spender = std::pair<std::uint64_t, std::size_t>;
    std::priority_queue<spender, std::vector<spender>, std::greater<>> open;
    for (std::size_t rank = 0; rank < ranks(); ++rank) open.emplace(0, rank);
    for (const place_cost& pack : order_) {
      while (larger_shares == 0 && held_[open.top().second].size() == share) open.pop();
      const std::size_t rank = open.top().second;
      open.pop();
      held_[rank].push_back(pack);
      spent_[rank] += pack.cost;
      if (held_[rank].size() > share)
        --larger_shares;
      else
        open.emplace(spent_[rank], rank);
    }
  }

  // Makes the dearest rank cheaper again and again, by an exchange with the cheapest rank that
  // allows one.
  void exchange_packs() {
    std::iota(by_cost_.begin(), by_cost_.end(), 0U);
    for (std::size_t turn = 0; turn < turns_per_rank * ranks(); ++turn) {
      sort_by_cost();
      const std::uint32_t most_expensive = by_cost_.back();
      const bool exchanged = std::ranges::any_of(by_cost_, [&](std::uint32_t other) {
        return spent_[other] < spent_[most_expensive] && exchange(most_expensive, other);
      });
      if (!exchanged) return;
    }
  }

  // By insertion, because all but two ranks are in order.
  void sort_by_cost() noexcept {
    const auto before = [&](std::uint32_t a, std::uint32_t b) {
      return spent_[a] != spent_[b] ? spent_[a] < spent_[b] : a < b;
    };
    for (std::size_t k = 1; k < by_cost_.size(); ++k) {
      const std::uint32_t rank = by_cost_[k];
      std::size_t to = k;
      for (; to > 0 && before(rank, by_cost_[to - 1]); --to) by_cost_[to] = by_cost_[to - 1];
      by_cost_[to] = rank;
    }
  }

  // Exchanges the two packs that bring the two ranks nearest to each other. Returns whether any do.
  [[nodiscard]] bool exchange(std::uint32_t dear, std::uint32_t cheap) noexcept {
    const std::uint64_t gap = spent_[dear] - spent_[cheap];
    std::uint64_t least_gap = gap;
    place_cost* give = nullptr;
    place_cost* take = nullptr;
    for (place_cost& from : held_[dear])
      for (place_cost& to : held_[cheap]) {
        // Moving less than nothing wraps around to more than the gap.
        const std::uint64_t moved = from.cost - to.cost;
        if (moved >= gap) continue;
        const std::uint64_t new_gap = moved > gap - moved ? 2 * moved - gap : gap - 2 * moved;
        if (new_gap < least_gap) least_gap = new_gap, give = &from, take = &to;
      }
    if (give == nullptr) return false;
    const std::uint64_t moved = give->cost - take->cost;
    spent_[dear] -= moved;
    spent_[cheap] += moved;
    std::swap(*give, *take);
    return true;
  }

  std::span<const std::uint64_t> costs_;
  std::span<const std::uint32_t> packs_;
  std::vector<std::uint64_t> spent_;           // by rank
  std::vector<std::vector<place_cost>> held_;  // by rank
  std::vector<std::uint32_t> by_cost_;         // ranks, cheapest first
  std::vector<place_cost> order_;              // packs, dearest first
};

}  // namespace omnibal::inline v0::detail
