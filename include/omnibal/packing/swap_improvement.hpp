// SPDX-License-Identifier: Apache-2.0
/// @file
/// Improvement by swaps: makes the costs of packs more equal by exchanging samples between them,
/// without changing the number of packs. Useful when each rank trains on one pack per step, since
/// then dispatch cannot balance the ranks.
///
///     auto packs = pack_balanced(samples, {.capacity = {9, 4096}}).packs;
///     packs = improve_by_swaps(packs, samples, {.capacity = {9, 4096}});
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/detail/pack_cost.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0 {

/// Options of improve_by_swaps.
template <std::size_t Resources>
struct swap_improvement_options {
  /// The most a pack may hold of each resource; at least 1. Packs beyond it (own packs of oversize
  /// samples) stay as they are.
  loads<Resources> capacity;
  /// The cost of one unit of each resource, in any unit of cost. By default a full capacity of any
  /// resource costs the same.
  std::optional<loads<Resources>> cost = {};
  /// The number of rounds of exchanges; the first few improve most.
  std::uint32_t rounds = 16;
  resource_names<Resources> names = {};
};

/// Exchanges single samples between expensive packs and inexpensive ones so that their costs become
/// more equal. Every pack keeps its place and its number of samples, and no pack that fits the
/// capacity exceeds it afterwards. In each round every pack of the most expensive two fifths is
/// paired with one of the rest; the least expensive tenth is left out, since such packs contain
/// samples that fit with few others. Partners differ from round to round. Deterministic.
///
/// Throws invalid_input for capacities below 1, negative costs, and as pack_loads does. O(rounds ·
/// packs · (log(packs) + s²)) for s samples per pack.
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] grouping<std::uint32_t> improve_by_swaps(
    const grouping<std::uint32_t>& packs, const Samples& samples,
    const swap_improvement_options<resource_count<projected_loads<const Samples, Projection>>>&
        options,
    const Projection& projection = {});

namespace detail {

/// The packs and their costs during the exchanges.
template <std::size_t Resources>
class swap_improver {
 public:
  /// `sample_loads` are the loads of the samples packs.indices(), in this order, `sums` the loads
  /// of the packs.
  swap_improver(const grouping<std::uint32_t>& packs, std::vector<loads<Resources>> sample_loads,
                std::vector<loads<Resources>> sums, const pack_limits<Resources>& limits,
                const pack_cost<Resources>& cost)
      : capacity_(limits.capacity),
        cost_(cost),
        offsets_(packs.offsets()),
        samples_(packs.indices().begin(), packs.indices().end()),
        loads_(std::move(sample_loads)),
        sums_(std::move(sums)),
        costs_(packs.size()) {
    for (std::uint32_t pack = 0; pack < packs.size(); ++pack)
      if (fits_pack<Resources>(unsigned_loads<Resources>(sums_[pack]), capacity_)) {
        costs_[pack] = cost_of(sums_[pack]);
        order_.push_back(pack);
      }
  }

  void run(std::uint32_t rounds);

  [[nodiscard]] grouping<std::uint32_t> packs() && {
    return {{offsets_.begin(), offsets_.end()}, std::move(samples_)};
  }

 private:
  [[nodiscard]] std::int64_t cost_of(const loads<Resources>& load) const noexcept {
    std::int64_t cost = 0;
    for (std::size_t r = 0; r < Resources; ++r)
      cost += cost_(r, static_cast<std::uint64_t>(load[r]));
    return cost;
  }

  // Makes the exchange after which the costs of the two packs differ least.
  void exchange(std::uint32_t giver, std::uint32_t taker) {
    std::int64_t least = difference(costs_[giver], costs_[taker]);
    std::uint64_t best_from = 0;
    std::uint64_t best_to = offsets_.back();
    for (std::uint64_t from = offsets_[giver]; from < offsets_[giver + 1]; ++from)
      for (std::uint64_t to = offsets_[taker]; to < offsets_[taker + 1]; ++to) {
        const std::int64_t moved = cost_of(loads_[from]) - cost_of(loads_[to]);
        const std::int64_t after = difference(costs_[giver] - moved, costs_[taker] + moved);
        if (after >= least || !fits(giver, from, to) || !fits(taker, to, from)) continue;
        least = after;
        best_from = from;
        best_to = to;
      }
    if (best_to != offsets_.back()) swap_samples(giver, best_from, taker, best_to);
  }

  [[nodiscard]] static std::int64_t difference(std::int64_t a, std::int64_t b) noexcept {
    return a < b ? b - a : a - b;
  }

  // Whether a pack stays within the capacity with the sample at `gains` instead of that at `gives`.
  [[nodiscard]] bool fits(std::uint32_t pack, std::uint64_t gives,
                          std::uint64_t gains) const noexcept {
    for (std::size_t r = 0; r < Resources; ++r)
      if (loads_[gains][r] > capacity_[r] - (sums_[pack][r] - loads_[gives][r])) return false;
    return true;
  }

  void swap_samples(std::uint32_t a, std::uint64_t in_a, std::uint32_t b, std::uint64_t in_b) {
    for (std::size_t r = 0; r < Resources; ++r) {
      const std::int64_t moved = loads_[in_a][r] - loads_[in_b][r];
      sums_[a][r] -= moved;
      sums_[b][r] += moved;
    }
    costs_[a] = cost_of(sums_[a]);
    costs_[b] = cost_of(sums_[b]);
    std::swap(loads_[in_a], loads_[in_b]);
    std::swap(samples_[in_a], samples_[in_b]);
  }

  loads<Resources> capacity_;
  pack_cost<Resources> cost_;
  std::span<const std::uint64_t> offsets_;
  std::vector<std::uint32_t> samples_;
  std::vector<loads<Resources>> loads_;
  std::vector<loads<Resources>> sums_;
  std::vector<std::int64_t> costs_;
  std::vector<std::uint32_t> order_;  // packs that take part
};

template <std::size_t Resources>
void swap_improver<Resources>::run(std::uint32_t rounds) {
  if (order_.size() < 2) return;
  const std::size_t expensive = std::max<std::size_t>(order_.size() * 2 / 5, 1);
  const std::size_t partners = order_.size() - expensive - order_.size() / 10;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    std::ranges::sort(order_, [&](std::uint32_t a, std::uint32_t b) {
      return costs_[a] != costs_[b] ? costs_[a] > costs_[b] : a < b;
    });
    // Shifts by the golden section give new partners in every round.
    const std::size_t shift = static_cast<std::size_t>(round) * partners * 382 / 1000;
    for (std::size_t k = 0; k < expensive; ++k)
      exchange(order_[k], order_[expensive + (k * partners / expensive + shift) % partners]);
  }
}

}  // namespace detail

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> grouping<std::uint32_t> improve_by_swaps(
    const grouping<std::uint32_t>& packs, const Samples& samples,
    const swap_improvement_options<resource_count<projected_loads<const Samples, Projection>>>&
        options,
    const Projection& projection) {
  constexpr std::size_t resources = resource_count<projected_loads<const Samples, Projection>>;
  const detail::pack_limits<resources> limits{options.capacity, oversize_policy::own_pack,
                                              options.names};
  limits.validate();
  std::vector<loads<resources>> sums = pack_loads(packs, samples, projection);
  std::vector<loads<resources>> sample_loads;
  sample_loads.reserve(packs.indices().size());
  for (std::size_t pack = 0; pack < packs.size(); ++pack)
    detail::visit_pack(packs[pack], samples, projection,
                       [&](const loads<resources>& load) { sample_loads.push_back(load); });
  detail::swap_improver<resources> improver(packs, std::move(sample_loads), std::move(sums), limits,
                                            detail::pack_cost<resources>(limits, options.cost));
  improver.run(options.rounds);
  return std::move(improver).packs();
}

}  // namespace omnibal::inline v0

#if defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/swap_improvement_instances.ipp>
#endif
