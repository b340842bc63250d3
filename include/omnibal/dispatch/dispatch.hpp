// SPDX-License-Identifier: Apache-2.0
/// @file
/// Deals packs to steps, ranks and micro-batches so that within a step nobody waits.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/packing/random_streams.hpp>
#include <queue>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace omnibal::inline v0 {

/// What is done with the packs left over when ranks · microbatches does not divide their number.
enum class last_step_policy {
  spread,  ///< A short last step: the rest is spread over the ranks; some may get nothing.
  drop,    ///< No last step; the rest (random packs) is listed as dropped.
  pad,     ///< The last step is filled with repeated packs, marked in the mask.
};

/// Options of dispatch_packs.
struct dispatch_options {
  std::uint32_t ranks = 1;         ///< data-parallel ranks, at least 1
  std::uint32_t microbatches = 1;  ///< packs per rank in a full step, at least 1
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;  ///< each epoch deals afresh
  last_step_policy last_step = last_step_policy::spread;
};

/// Which rank runs which packs in which step.
struct dispatch_plan {
  std::uint32_t ranks = 1;
  /// Group step · ranks + rank holds the packs of that rank's micro-batches, in order.
  grouping<std::uint32_t> groups = {};
  /// Packs in no step (last_step_policy::drop), ascending.
  std::vector<std::uint32_t> dropped = {};
  /// One entry an element of groups.indices(): 1 for a real pack, 0 for a repeated one. Empty
  /// where no pack is repeated.
  std::vector<std::uint8_t> mask = {};

  [[nodiscard]] std::uint64_t steps() const noexcept { return groups.size() / ranks; }
  /// The packs of a rank's micro-batches in a step. Precondition: step < steps(), rank < ranks.
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint64_t step,
                                                     std::uint32_t rank) const noexcept {
    return groups[step * ranks + rank];
  }

  friend bool operator==(const dispatch_plan&, const dispatch_plan&) = default;
};

/// Deals packs 0 … costs.size() − 1 to steps at random, then evens the ranks of each step by the
/// packs' costs (non-negative, in any unit). In a full step every rank has exactly `microbatches`
/// packs; in a short one the numbers of packs differ by at most one. A rank keeps its packs in the
/// random order in which they were dealt.
///
/// Longest processing time first with a fixed number of packs a rank (Graham, "Bounds on
/// multiprocessing timing anomalies", 1969), then exchanges between the dearest rank and others.
/// Throws invalid_input for zero ranks or micro-batches, more than 2³² − 1 packs, and costs that
/// are negative or too large to be added up for a rank. O(packs · log(packs in a step)), and
/// O(ranks · microbatches²) exchanges looked at in a step, for some ranks times.
template <std::integral Cost>
[[nodiscard]] dispatch_plan dispatch_packs(std::span<const Cost> costs,
                                           const dispatch_options& options);

/// The same for packs 0 … packs − 1 with the cost of pack k given by cost(k).
template <std::invocable<std::uint32_t> CostFunction>
requires std::integral<std::invoke_result_t<const CostFunction&, std::uint32_t>>
[[nodiscard]] dispatch_plan dispatch_packs(std::uint32_t packs, const CostFunction& cost,
                                           const dispatch_options& options);

namespace detail {

/// Evens the ranks of one step after the other.
class step_balancer {
 public:
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
      const std::uint32_t dearest = by_cost_.back();
      const bool exchanged = std::ranges::any_of(by_cost_, [&](std::uint32_t other) {
        return spent_[other] < spent_[dearest] && exchange(dearest, other);
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

inline void validate(const dispatch_options& options) {
  if (options.ranks == 0) throw invalid_input("ranks", 0, "must be at least 1");
  if (options.microbatches == 0) throw invalid_input("microbatches", 0, "must be at least 1");
}

/// Costs as unsigned integers of which a rank's share can be added up.
template <typename CostFunction>
[[nodiscard]] std::vector<std::uint64_t> checked_costs(std::uint32_t packs,
                                                       const CostFunction& cost,
                                                       std::uint32_t microbatches) {
  const std::uint64_t most = (std::uint64_t{1} << 63) / microbatches;
  std::vector<std::uint64_t> costs(packs);
  for (std::uint32_t pack = 0; pack < packs; ++pack) {
    const auto given = cost(pack);
    if (std::cmp_less(given, 0)) throw invalid_input("costs", pack, given, "must not be negative");
    if (std::cmp_greater(given, most))
      throw invalid_input(
          "costs", pack, given,
          "must be at most 2^63 / microbatches, " + std::to_string(most) + "; use coarser units");
    costs[pack] = static_cast<std::uint64_t>(given);
  }
  return costs;
}

/// The packs in random order, as many as are dealt: without the last ones or with the first ones
/// again where the last step is to be dropped or filled up.
[[nodiscard]] inline std::vector<std::uint32_t> deal_order(std::uint32_t packs,
                                                           const dispatch_options& options,
                                                           dispatch_plan& plan) {
  std::vector<std::uint32_t> order(packs);
  std::iota(order.begin(), order.end(), 0U);
  random_stream random = stream_for(options.seed, random_purpose::dispatch_epoch, options.epoch);
  shuffle(order, random);
  const std::uint64_t per_step = std::uint64_t{options.ranks} * options.microbatches;
  const std::uint64_t rest = packs % per_step;
  if (rest == 0) return order;
  if (options.last_step == last_step_policy::drop) {
    plan.dropped.assign(order.end() - static_cast<std::ptrdiff_t>(rest), order.end());
    std::ranges::sort(plan.dropped);
    order.resize(packs - rest);
  } else if (options.last_step == last_step_policy::pad) {
    for (std::uint64_t k = 0; k < per_step - rest; ++k) order.push_back(order[k]);
  }
  return order;
}

}  // namespace detail

template <std::invocable<std::uint32_t> CostFunction>
requires std::integral<std::invoke_result_t<const CostFunction&, std::uint32_t>> dispatch_plan
dispatch_packs(std::uint32_t packs, const CostFunction& cost, const dispatch_options& options) {
  detail::validate(options);
  const auto costs = detail::checked_costs(packs, cost, options.microbatches);
  dispatch_plan plan{.ranks = options.ranks};
  const std::vector<std::uint32_t> order = detail::deal_order(packs, options, plan);
  const bool padded = order.size() > packs;
  const std::uint64_t per_step = std::uint64_t{options.ranks} * options.microbatches;
  detail::step_balancer balancer(costs, options.ranks);
  for (std::uint64_t first = 0; first < order.size(); first += per_step) {
    const auto step = std::span(order).subspan(first, std::min(per_step, order.size() - first));
    balancer.deal(step);
    for (std::uint32_t rank = 0; rank < options.ranks; ++rank) {
      for (const auto& held : balancer.held(rank)) {
        plan.groups.push_back(step[held.place]);
        if (padded) plan.mask.push_back(first + held.place < packs ? 1 : 0);
      }
      plan.groups.close_group();
    }
  }
  return plan;
}

template <std::integral Cost>
dispatch_plan dispatch_packs(std::span<const Cost> costs, const dispatch_options& options) {
  if (costs.size() > std::numeric_limits<std::uint32_t>::max())
    throw invalid_input("number of packs", costs.size(), "must be at most 2^32 - 1");
  return dispatch_packs(
      static_cast<std::uint32_t>(costs.size()), [&](std::uint32_t pack) { return costs[pack]; },
      options);
}

}  // namespace omnibal::inline v0
