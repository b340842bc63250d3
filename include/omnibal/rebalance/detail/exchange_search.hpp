// SPDX-License-Identifier: Apache-2.0
/// @file
/// A frontier of cost against bytes for any number of ranks and samples, by exchanges between two
/// ranks at a time.
///
/// For a target cost, the dearest rank gives up to two samples to another rank and takes up to two
/// back, so that both end at the target or below with the fewest bytes sent; where no exchange does
/// that, with the one after which the dearer of the two costs least. That is repeated until no rank
/// is beyond the target or no exchange helps; then samples that can return to the rank that held
/// them do. Bytes are always counted from where samples were at first, so a sample that moves on is
/// paid for once and one that returns not at all. Every target starts from the given placement:
/// coming from a higher target would keep exchanges that only the higher one needed.
///
/// Where the differencing method finds a lower cost than all targets did, its parts go to the ranks
/// that hold most of them already, and the search goes on from there. So no frontier ends dearer
/// than differencing.
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

/// The ranks of a plan and the exchanges that change it.
class exchange_search {
 public:
  /// Precondition: the problem is valid. Keeps references: both must outlive the search.
  exchange_search(const rebalance_problem& problem, placement_frontier& frontier)
      : problem_(problem), frontier_(frontier), offers_(problem.ranks), held_(problem.ranks) {
    std::vector<std::uint32_t> homes;
    homes.reserve(problem.samples.size());
    for (const owned_sample& sample : problem.samples) homes.push_back(sample.rank);
    start_from(homes);
    initial_ = state_;
    initial_held_ = held_;
    initial_offers_ = offers_;
    record();
  }

  /// Fills the frontier. `bound` is a cost that no plan can go below. Returns false where a stop
  /// was asked for. Seven targets of O(ranks) exchanges, each looked for among up to 256 ranks.
  [[nodiscard]] bool run(std::int64_t bound, const search_control& control) {
    const std::int64_t excess = dearest_cost() - bound;
    finest_step_ = excess / most_points;
    for (int halvings = 1; halvings <= most_halvings; ++halvings) {
      if (out_of_work(control)) break;
      const std::int64_t target = bound + (excess >> halvings);
      if (dearest_cost_found() <= target) continue;
      state_ = initial_;
      held_ = initial_held_;
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
  static constexpr std::int64_t most_points = 256;     // of the frontier, for each target
  static constexpr std::uint64_t sorting_work = 16;    // for each offer sorted
  static constexpr std::uint64_t most_work = 1 << 28;  // offers looked at: about a second

  struct state {
    std::vector<std::uint32_t> ranks = {};  // by sample
    std::vector<std::int64_t> costs = {};   // by rank
    std::int64_t bytes = 0;                 // of all samples away from home
  };

  // What a rank could give away together: nothing, one sample or two.
  struct offer {
    std::int64_t cost = 0;
    std::int64_t bytes = 0;  // of those that have not left home yet
    std::uint32_t first = none;
    std::uint32_t second = none;
    bool at_home = true;  // all of them
  };

  struct exchange {
    std::uint32_t partner = 0;
    const offer* give = nullptr;
    const offer* take = nullptr;
    std::int64_t bytes = 0;  // sent more than before; negative where samples return home
    std::int64_t cost = 0;   // of the dearer of the two ranks after it
  };

  void start_from(std::span<const std::uint32_t> ranks) {
    state_.ranks.assign(ranks.begin(), ranks.end());
    state_.costs.assign(problem_.ranks, 0);
    state_.bytes = 0;
    for (auto& samples : held_) samples.clear();
    for (std::uint32_t s = 0; s < ranks.size(); ++s) {
      const owned_sample& sample = problem_.samples[s];
      state_.costs[ranks[s]] += sample.cost;
      if (ranks[s] != sample.rank) state_.bytes += sample.bytes;
      held_[ranks[s]].push_back(s);
    }
    for (std::uint32_t rank = 0; rank < problem_.ranks; ++rank) list_offers(rank);
  }

  [[nodiscard]] bool out_of_work(const search_control& control) const noexcept {
    return work_ >= most_work || control.stop_requested();
  }

  [[nodiscard]] std::uint32_t most_expensive() const noexcept {
    return static_cast<std::uint32_t>(std::ranges::max_element(state_.costs) -
                                      state_.costs.begin());
  }
  [[nodiscard]] std::int64_t dearest_cost() const noexcept {
    return state_.costs[most_expensive()];
  }
  [[nodiscard]] std::int64_t dearest_cost_found() const noexcept {
    return frontier_.points().back().cost;
  }

  void record() {
    const std::int64_t cost = dearest_cost();
    last_recorded_ = cost;
    if (frontier_.improves(cost, state_.bytes)) frontier_.insert(cost, state_.bytes, state_.ranks);
  }

  // Returns the cost reached, which is more than the target where no exchange helps any more.
  std::int64_t descend(std::int64_t target, const search_control& control) {
    last_recorded_ = dearest_cost();
    while (!out_of_work(control)) {
      const std::uint32_t dear = most_expensive();
      if (state_.costs[dear] <= target) break;
      if (last_recorded_ - state_.costs[dear] > finest_step_) record();
      std::optional<exchange> found = cheapest_relief(dear, target);
      if (!found) found = largest_relief(dear);
      if (!found) break;
      apply(dear, *found);
    }
    const std::int64_t reached = dearest_cost();
    return_home(std::max(reached, target), control);
    record();
    return reached;
  }

  // The exchange with the fewest bytes after which neither rank is beyond the target.
  [[nodiscard]] std::optional<exchange> cheapest_relief(std::uint32_t dear, std::int64_t target) {
    std::optional<exchange> best;
    const std::int64_t excess = state_.costs[dear] - target;
    for_each_partner(dear, [&](std::uint32_t partner) {
      const std::int64_t room = target - state_.costs[partner];
      if (room < excess) return false;
      for_each_exchange(dear, partner, excess, room, [&](const exchange& found) {
        if (!best || std::tie(found.bytes, found.cost) < std::tie(best->bytes, best->cost))
          best = found;
      });
      return best.has_value();
    });
    return best;
  }

  // The exchange after which the dearer of the two ranks costs least, less than `dear` does now.
  [[nodiscard]] std::optional<exchange> largest_relief(std::uint32_t dear) {
    std::optional<exchange> best;
    const std::int64_t now = state_.costs[dear];
    for_each_partner(dear, [&](std::uint32_t partner) {
      const std::int64_t wanted = best ? best->cost : now - 1;
      if (wanted < state_.costs[partner]) return false;
      for_each_exchange(
          dear, partner, now - wanted, wanted - state_.costs[partner], [&](const exchange& found) {
            if (!best || std::tie(found.cost, found.bytes) < std::tie(best->cost, best->bytes))
              best = found;
          });
      return best.has_value();
    });
    return best;
  }

  // Ranks from the next one on, round and round, until all or enough were looked at.
  // look(partner) says whether there is an exchange by now.
  template <typename Look>
  void for_each_partner(std::uint32_t dear, const Look& look) {
    std::uint32_t partner = dear;
    for (std::uint32_t k = 1; k < problem_.ranks; ++k) {
      if (++partner == problem_.ranks) partner = 0;
      if (look(partner) && k >= most_partners) return;
    }
    work_ += problem_.ranks;
  }

  // Visits the exchanges that make `dear` cheaper by `least` … `most`, which is not less.
  template <typename Visit>
  void for_each_exchange(std::uint32_t dear, std::uint32_t partner, std::int64_t least,
                         std::int64_t most, const Visit& visit) {
    const std::vector<offer>& gives = offers_[dear];
    const std::vector<offer>& takes = offers_[partner];
    work_ += gives.size() + takes.size();
    // As gives cost more and more, so do the takes that go with them.
    std::size_t begin = 0;
    for (const offer& give : gives) {
      while (begin < takes.size() && takes[begin].cost < give.cost - most) ++begin;
      for (std::size_t k = begin; k < takes.size() && takes[k].cost <= give.cost - least; ++k) {
        const std::int64_t moved = give.cost - takes[k].cost;
        ++work_;
        visit(
            exchange{.partner = partner,
                     .give = &give,
                     .take = &takes[k],
                     .bytes = sent(give, partner) + sent(takes[k], dear),
                     .cost = std::max(state_.costs[dear] - moved, state_.costs[partner] + moved)});
      }
    }
  }

  [[nodiscard]] std::int64_t sent(const offer& offered, std::uint32_t to) const noexcept {
    std::int64_t bytes = offered.bytes;
    if (offered.at_home) return bytes;
    for (const std::uint32_t s : {offered.first, offered.second})
      if (s != none && problem_.samples[s].rank == to) bytes -= problem_.samples[s].bytes;
    return bytes;
  }

  void apply(std::uint32_t dear, const exchange& made) {
    for (const std::uint32_t s : {made.give->first, made.give->second}) move(s, dear, made.partner);
    for (const std::uint32_t s : {made.take->first, made.take->second}) move(s, made.partner, dear);
    state_.bytes += made.bytes;
    list_offers(dear);
    list_offers(made.partner);
  }

  void move(std::uint32_t s, std::uint32_t from, std::uint32_t to) {
    if (s == none) return;
    *std::ranges::find(held_[from], s) = held_[from].back();
    held_[from].pop_back();
    held_[to].push_back(s);
    state_.ranks[s] = to;
    state_.costs[from] -= problem_.samples[s].cost;
    state_.costs[to] += problem_.samples[s].cost;
  }

  void list_offers(std::uint32_t rank) {
    std::vector<offer>& offers = offers_[rank];
    const std::vector<std::uint32_t>& held = held_[rank];
    offers.assign(1, offer{});
    for (const std::uint32_t s : held) {
      const owned_sample& sample = problem_.samples[s];
      const bool at_home = sample.rank == rank;
      offers.push_back({.cost = sample.cost,
                        .bytes = at_home ? sample.bytes : 0,
                        .first = s,
                        .at_home = at_home});
    }
    if (held.size() <= most_samples_for_pairs)
      for (std::size_t a = 1; a <= held.size(); ++a)
        for (std::size_t b = a + 1; b <= held.size(); ++b)
          offers.push_back({.cost = offers[a].cost + offers[b].cost,
                            .bytes = offers[a].bytes + offers[b].bytes,
                            .first = offers[a].first,
                            .second = offers[b].first,
                            .at_home = offers[a].at_home && offers[b].at_home});
    work_ += sorting_work * offers.size();
    std::ranges::sort(offers, [](const offer& a, const offer& b) {
      return std::tie(a.cost, a.first, a.second) < std::tie(b.cost, b.first, b.second);
    });
  }

  // Exchanges with the ranks that held samples at first, as long as bytes are saved and neither
  // rank comes to cost more than `most`.
  void return_home(std::int64_t most, const search_control& control) {
    for (bool again = true; again;) {
      again = false;
      for (std::uint32_t s = 0; s < state_.ranks.size(); ++s) {
        const std::uint32_t at = state_.ranks[s];
        const std::uint32_t home = problem_.samples[s].rank;
        if (at == home) continue;
        if (out_of_work(control)) return;
        std::optional<exchange> best;
        for_each_exchange(
            at, home, state_.costs[at] - most, most - state_.costs[home],
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
    if (largest_cost(problem_, ranks) >= dearest_cost_found()) return;
    give_parts_to_holders(ranks);
    start_from(ranks);
    return_home(dearest_cost(), control);
    record();
    (void)descend(bound, control);
  }

  // Turns parts into ranks: the part and rank with most bytes in common first, each once.
  void give_parts_to_holders(std::vector<std::uint32_t>& parts) const {
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
  std::vector<std::vector<offer>> offers_;        // by rank, ascending by cost
  std::vector<std::vector<std::uint32_t>> held_;  // samples by rank
  state initial_;
  std::vector<std::vector<offer>> initial_offers_;
  std::vector<std::vector<std::uint32_t>> initial_held_;
  std::int64_t finest_step_ = 0;
  std::int64_t last_recorded_ = 0;
  std::uint64_t work_ = 0;
};

}  // namespace omnibal::inline v0::detail
