// SPDX-License-Identifier: Apache-2.0
/// @file
/// Local search for the frontier of cost against bytes, for any number of ranks and samples, by
/// exchanges between two ranks at a time.
///
/// For a target cost, the slowest rank gives up to two samples to another rank and takes up to two
/// from it, such that both reach the target with the fewest bytes sent; when no exchange does that,
/// the exchange that minimizes the larger cost of the two. This is repeated until no rank is above
/// the target or no exchange helps; then samples return to their owner where that is possible.
/// Bytes are always counted relative to the initial placement, so a sample that moves twice is sent
/// once and one that returns is not sent at all. Every target starts from the initial placement,
/// since the result of a higher target contains exchanges that only that target needed.
///
/// When the differencing method finds a lower cost than all targets, its parts are assigned to the
/// ranks that own most of them, and the search continues from there. So the least cost on the
/// frontier is never above that of differencing.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/rebalance/detail/placement_frontier.hpp>
#include <omnibal/rebalance/differencing.hpp>
#include <omnibal/rebalance/problem.hpp>

namespace omnibal::inline v0::detail {

/// The search: a current placement and the exchanges that change it.
class exchange_search {
 public:
  /// Precondition: the problem is valid. Keeps references: both must outlive the search.
  exchange_search(const rebalance_problem& problem, placement_frontier& frontier)
      : problem_(problem), frontier_(frontier), offers_(problem.ranks), samples_of_(problem.ranks) {
    std::vector<std::uint32_t> owners;
    owners.reserve(problem.samples.size());
    for (const owned_sample& sample : problem.samples) owners.push_back(sample.rank);
    start_from(owners);
    initial_ = state_;
    initial_samples_of_ = samples_of_;
    initial_offers_ = offers_;
    record();
  }

  /// Fills the frontier. `bound` is a lower bound on the cost of any plan. Returns false after a
  /// stop request. Seven targets of O(ranks) exchanges, each searched for among up to 256 ranks.
  [[nodiscard]] bool run(std::int64_t bound, const search_control& control) {
    const std::int64_t excess = largest_rank_cost() - bound;
    finest_step_ = excess / most_points;
    for (int halvings = 1; halvings <= most_halvings; ++halvings) {
      if (out_of_work(control)) break;
      const std::int64_t target = bound + (excess >> halvings);
      if (least_cost_found() <= target) continue;
      state_ = initial_;
      samples_of_ = initial_samples_of_;
      offers_ = initial_offers_;
      if (descend(target, control) > target) break;
    }
    if (!control.stop_requested()) start_from_differencing(bound, control);
    return !control.stop_requested();
  }

 private:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr int most_halvings = 6;
  static constexpr std::size_t most_samples_for_pairs = 12;
  static constexpr std::uint32_t most_partners = 256;
  static constexpr std::int64_t most_points = 256;     // of the frontier, per target
  static constexpr std::uint64_t sorting_work = 16;    // per offer sorted
  static constexpr std::uint64_t most_work = 1 << 28;  // offers considered: about a second

  struct state {
    std::vector<std::uint32_t> ranks = {};  // by sample
    std::vector<std::int64_t> costs = {};   // by rank
    std::int64_t bytes = 0;                 // of all samples not at their owner
  };

  // Samples that a rank could give away together: none, one or two.
  struct offer {
    std::int64_t cost = 0;
    std::int64_t bytes = 0;  // of those that are at their owner
    std::uint32_t first = none;
    std::uint32_t second = none;
    bool at_owner = true;  // all of them
  };

  struct exchange {
    std::uint32_t partner = 0;
    const offer* give = nullptr;
    const offer* take = nullptr;
    std::int64_t bytes = 0;  // sent in addition; negative when samples return to their owner
    std::int64_t cost = 0;   // the larger cost of the two ranks after it
  };

  void start_from(std::span<const std::uint32_t> ranks) {
    state_.ranks.assign(ranks.begin(), ranks.end());
    state_.costs.assign(problem_.ranks, 0);
    state_.bytes = 0;
    for (auto& samples : samples_of_) samples.clear();
    for (std::uint32_t s = 0; s < ranks.size(); ++s) {
      const owned_sample& sample = problem_.samples[s];
      state_.costs[ranks[s]] += sample.cost;
      if (ranks[s] != sample.rank) state_.bytes += sample.bytes;
      samples_of_[ranks[s]].push_back(s);
    }
    for (std::uint32_t rank = 0; rank < problem_.ranks; ++rank) list_offers(rank);
  }

  [[nodiscard]] bool out_of_work(const search_control& control) const noexcept {
    return work_ >= most_work || control.stop_requested();
  }

  [[nodiscard]] std::uint32_t slowest_rank() const noexcept {
    return static_cast<std::uint32_t>(std::ranges::max_element(state_.costs) -
                                      state_.costs.begin());
  }
  [[nodiscard]] std::int64_t largest_rank_cost() const noexcept {
    return state_.costs[slowest_rank()];
  }
  [[nodiscard]] std::int64_t least_cost_found() const noexcept {
    return frontier_.points().back().cost;
  }

  void record() {
    const std::int64_t cost = largest_rank_cost();
    last_recorded_ = cost;
    if (frontier_.improves(cost, state_.bytes)) frontier_.insert(cost, state_.bytes, state_.ranks);
  }

  // Returns the cost reached, which is above the target when no exchange helps any more.
  std::int64_t descend(std::int64_t target, const search_control& control) {
    last_recorded_ = largest_rank_cost();
    while (!out_of_work(control)) {
      const std::uint32_t slowest = slowest_rank();
      if (state_.costs[slowest] <= target) break;
      if (last_recorded_ - state_.costs[slowest] > finest_step_) record();
      std::optional<exchange> found = relief_of_fewest_bytes(slowest, target);
      if (!found) found = largest_relief(slowest);
      if (!found) break;
      apply(slowest, *found);
    }
    const std::int64_t reached = largest_rank_cost();
    return_to_owners(std::max(reached, target), control);
    record();
    return reached;
  }

  // The exchange with the fewest bytes after which neither rank is above the target.
  [[nodiscard]] std::optional<exchange> relief_of_fewest_bytes(std::uint32_t slowest,
                                                               std::int64_t target) {
    std::optional<exchange> best;
    const std::int64_t excess = state_.costs[slowest] - target;
    for_each_partner(slowest, [&](std::uint32_t partner) {
      const std::int64_t slack = target - state_.costs[partner];
      if (slack < excess) return false;
      for_each_exchange(slowest, partner, excess, slack, [&](const exchange& found) {
        if (!best || std::tie(found.bytes, found.cost) < std::tie(best->bytes, best->cost))
          best = found;
      });
      return best.has_value();
    });
    return best;
  }

  // The exchange that minimizes the larger cost of the two ranks, below the present cost of
  // `slowest`.
  [[nodiscard]] std::optional<exchange> largest_relief(std::uint32_t slowest) {
    std::optional<exchange> best;
    const std::int64_t now = state_.costs[slowest];
    for_each_partner(slowest, [&](std::uint32_t partner) {
      const std::int64_t wanted = best ? best->cost : now - 1;
      if (wanted < state_.costs[partner]) return false;
      for_each_exchange(
          slowest, partner, now - wanted, wanted - state_.costs[partner],
          [&](const exchange& found) {
            if (!best || std::tie(found.cost, found.bytes) < std::tie(best->cost, best->bytes))
              best = found;
          });
      return best.has_value();
    });
    return best;
  }

  // Visits the other ranks in cyclic order until all, or enough, were visited. look(partner)
  // returns whether an exchange was found so far.
  template <typename Look>
  void for_each_partner(std::uint32_t slowest, const Look& look) {
    std::uint32_t partner = slowest;
    for (std::uint32_t k = 1; k < problem_.ranks; ++k) {
      if (++partner == problem_.ranks) partner = 0;
      if (look(partner) && k >= most_partners) return;
    }
    work_ += problem_.ranks;
  }

  // Visits the exchanges that reduce the cost of `slowest` by least … most. Precondition: least ≤
  // most.
  template <typename Visit>
  void for_each_exchange(std::uint32_t slowest, std::uint32_t partner, std::int64_t least,
                         std::int64_t most, const Visit& visit) {
    const std::vector<offer>& gives = offers_[slowest];
    const std::vector<offer>& takes = offers_[partner];
    work_ += gives.size() + takes.size();
    // Both lists ascend by cost, so the range of matching takes only moves forward.
    std::size_t begin = 0;
    for (const offer& give : gives) {
      while (begin < takes.size() && takes[begin].cost < give.cost - most) ++begin;
      for (std::size_t k = begin; k < takes.size() && takes[k].cost <= give.cost - least; ++k) {
        const std::int64_t moved = give.cost - takes[k].cost;
        ++work_;
        visit(exchange{
            .partner = partner,
            .give = &give,
            .take = &takes[k],
            .bytes = sent(give, partner) + sent(takes[k], slowest),
            .cost = std::max(state_.costs[slowest] - moved, state_.costs[partner] + moved)});
      }
    }
  }

  [[nodiscard]] std::int64_t sent(const offer& offered, std::uint32_t to) const noexcept {
    std::int64_t bytes = offered.bytes;
    if (offered.at_owner) return bytes;
    for (const std::uint32_t s : {offered.first, offered.second})
      if (s != none && problem_.samples[s].rank == to) bytes -= problem_.samples[s].bytes;
    return bytes;
  }

  void apply(std::uint32_t slowest, const exchange& made) {
    for (const std::uint32_t s : {made.give->first, made.give->second})
      move(s, slowest, made.partner);
    for (const std::uint32_t s : {made.take->first, made.take->second})
      move(s, made.partner, slowest);
    state_.bytes += made.bytes;
    list_offers(slowest);
    list_offers(made.partner);
  }

  void move(std::uint32_t s, std::uint32_t from, std::uint32_t to) {
    if (s == none) return;
    *std::ranges::find(samples_of_[from], s) = samples_of_[from].back();
    samples_of_[from].pop_back();
    samples_of_[to].push_back(s);
    state_.ranks[s] = to;
    state_.costs[from] -= problem_.samples[s].cost;
    state_.costs[to] += problem_.samples[s].cost;
  }

  void list_offers(std::uint32_t rank) {
    std::vector<offer>& offers = offers_[rank];
    const std::vector<std::uint32_t>& owned = samples_of_[rank];
    offers.assign(1, offer{});
    for (const std::uint32_t s : owned) {
      const owned_sample& sample = problem_.samples[s];
      const bool at_owner = sample.rank == rank;
      offers.push_back({.cost = sample.cost,
                        .bytes = at_owner ? sample.bytes : 0,
                        .first = s,
                        .at_owner = at_owner});
    }
    if (owned.size() <= most_samples_for_pairs)
      for (std::size_t a = 1; a <= owned.size(); ++a)
        for (std::size_t b = a + 1; b <= owned.size(); ++b)
          offers.push_back({.cost = offers[a].cost + offers[b].cost,
                            .bytes = offers[a].bytes + offers[b].bytes,
                            .first = offers[a].first,
                            .second = offers[b].first,
                            .at_owner = offers[a].at_owner && offers[b].at_owner});
    work_ += sorting_work * offers.size();
    std::ranges::sort(offers, [](const offer& a, const offer& b) {
      return std::tie(a.cost, a.first, a.second) < std::tie(b.cost, b.first, b.second);
    });
  }

  // Exchanges samples with their owners as long as that saves bytes and neither rank costs more
  // than `most` afterwards.
  void return_to_owners(std::int64_t most, const search_control& control) {
    for (bool again = true; again;) {
      again = false;
      for (std::uint32_t s = 0; s < state_.ranks.size(); ++s) {
        const std::uint32_t at = state_.ranks[s];
        const std::uint32_t owner = problem_.samples[s].rank;
        if (at == owner) continue;
        if (out_of_work(control)) return;
        std::optional<exchange> best;
        for_each_exchange(
            at, owner, state_.costs[at] - most, most - state_.costs[owner],
            [&](const exchange& found) {
              if (!best || std::tie(found.bytes, found.cost) < std::tie(best->bytes, best->cost))
                best = found;
            });
        if (!best || best->bytes >= 0) continue;
        apply(at, *best);
        again = true;
      }
    }
  }

  void start_from_differencing(std::int64_t bound, const search_control& control) {
    std::vector<std::int64_t> costs;
    costs.reserve(problem_.samples.size());
    for (const owned_sample& sample : problem_.samples) costs.push_back(sample.cost);
    std::vector<std::uint32_t> ranks = differencing_parts(costs, problem_.ranks);
    if (largest_cost(problem_, ranks) >= least_cost_found()) return;
    assign_parts_to_owners(ranks);
    start_from(ranks);
    return_to_owners(largest_rank_cost(), control);
    record();
    (void)descend(bound, control);
  }

  // Replaces parts by ranks, each once: first the part and rank with the most bytes in common.
  void assign_parts_to_owners(std::vector<std::uint32_t>& parts) const {
    struct share {
      std::int64_t bytes = 0;
      std::uint32_t part = 0;
      std::uint32_t rank = 0;
    };
    std::vector<share> shares;
    for (std::size_t s = 0; s < parts.size(); ++s)
      shares.push_back({problem_.samples[s].bytes, parts[s], problem_.samples[s].rank});
    const auto place = [](const share& one) { return std::pair(one.part, one.rank); };
    std::ranges::sort(shares, {}, place);
    std::size_t count = 0;
    for (std::size_t k = 0; k < shares.size(); ++k) {
      if (count > 0 && place(shares[count - 1]) == place(shares[k]))
        shares[count - 1].bytes += shares[k].bytes;
      else
        shares[count++] = shares[k];
    }
    shares.resize(count);
    std::ranges::stable_sort(shares, std::ranges::greater{}, &share::bytes);
    std::vector<std::uint32_t> rank_of(problem_.ranks, none);
    std::vector<std::uint8_t> taken(problem_.ranks);
    for (const share& one : shares)
      if (rank_of[one.part] == none && taken[one.rank] == 0)
        rank_of[one.part] = one.rank, taken[one.rank] = 1;
    std::uint32_t next = 0;
    for (std::uint32_t& rank : rank_of) {
      if (rank != none) continue;
      while (taken[next] != 0) ++next;
      rank = next++;
    }
    for (std::uint32_t& part : parts) part = rank_of[part];
  }

  const rebalance_problem& problem_;
  placement_frontier& frontier_;
  state state_;
  std::vector<std::vector<offer>> offers_;              // by rank, ascending by cost
  std::vector<std::vector<std::uint32_t>> samples_of_;  // samples by rank
  state initial_;
  std::vector<std::vector<offer>> initial_offers_;
  std::vector<std::vector<std::uint32_t>> initial_samples_of_;
  std::int64_t finest_step_ = 0;
  std::int64_t last_recorded_ = 0;
  std::uint64_t work_ = 0;
};

}  // namespace omnibal::inline v0::detail
