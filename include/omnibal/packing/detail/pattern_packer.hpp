// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs samples by patterns: finds patterns of classes with nearly equal cost, then fills packs by
/// them, for large tables in several shares in parallel.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/parallel.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_cost.hpp>
#include <omnibal/packing/detail/pack_list.hpp>
#include <omnibal/packing/detail/pattern_filler.hpp>
#include <omnibal/packing/detail/pattern_planner.hpp>
#include <omnibal/packing/detail/sample_class.hpp>

namespace omnibal::inline v0::detail {

/// The result of packing by patterns, besides the packs.
template <typename Sums>
struct packed_by_patterns {
  std::size_t mixed = 0;  ///< Number of leading packs of which all blocks are alike.
  std::vector<packable<typename Sums::word>> left = {};  ///< samples that are in no pack
};

/// Packs classes of samples; an object packs once.
template <typename Sums>
class pattern_packer {
 public:
  using sample = packable<typename Sums::word>;
  static constexpr std::size_t resources = Sums::resources;

  /// Shuffles the samples of each class.
  pattern_packer(const Sums& sums, const load_plane<resources>& plane,
                 const pack_cost<resources>& cost, std::span<const std::span<sample>> classes,
                 random_stream& random, unsigned threads)
      : sums_(sums), plane_(plane), cost_(cost), random_(random), threads_(threads) {
    prepare_classes(classes);
    std::ranges::stable_sort(plan_.classes, std::ranges::greater{}, &sample_class<Sums>::mean_cost);
  }

  /// Packs as many samples as patterns take.
  [[nodiscard]] packed_by_patterns<Sums> pack(pack_list<Sums>& packs) {
    if (plan_.classes.empty()) return {};
    make_patterns();
    return fill(packs);
  }

 private:
  static constexpr std::size_t chosen_places = 2;
  // Independent of the number of threads, so that the packs are too.
  static constexpr std::size_t samples_in_share = std::size_t{1} << 20;
  // The last packs of a share are not random: they consist of what remained in the windows.
  static constexpr std::size_t last_packs = 4096;

  void prepare_classes(std::span<const std::span<sample>> classes) {
    std::vector<random_stream> streams;
    for (const std::span<sample> samples : classes) {
      if (samples.empty()) continue;
      plan_.classes.push_back({.samples = samples});
      streams.push_back(fork_stream(random_));
    }
    parallel_for(plan_.classes.size(), threads_, [&](std::size_t first, std::size_t last) {
      for (std::size_t k = first; k < last; ++k) {
        const std::span<sample> samples = plan_.classes[k].samples;
        shuffle_fast(samples, streams[k]);
        plan_.classes[k] = describe_class(samples, sums_, cost_);
      }
    });
  }

  void make_patterns() {
    std::vector<sample_bundle> bundles;
    for (const sample_class<Sums>& one : plan_.classes)
      bundles.push_back(bundle_class(one, plane_));
    plane_cost unit_cost{.column = cost_(plane_.columns().resource(), plane_.columns().unit())};
    if constexpr (resources > 1)
      unit_cost.row = cost_(plane_.rows().resource(), plane_.rows().unit());
    for (const planned_pattern& planned :
         pattern_planner(bundles, plane_.corner(), unit_cost).plan())
      plan_.patterns.push_back(list_places(planned, bundles));
    wide_integer cost = 0;
    wide_integer packs = 0;
    for (const sample_class<Sums>& one : plan_.classes)
      cost += wide_integer{one.mean_cost} * one.samples.size();
    for (const place_list& pattern : plan_.patterns) packs += pattern.packs;
    plan_.target = static_cast<std::int64_t>(cost / std::max<wide_integer>(packs, 1));
    plan_.tight = any_resource_is_tight(packs);
  }

  [[nodiscard]] place_list list_places(const planned_pattern& planned,
                                       std::span<const sample_bundle> bundles) const {
    place_list pattern{.places = {}, .packs = planned.packs};
    for (std::size_t k = 0; k < plan_.classes.size(); ++k)
      pattern.places.insert(pattern.places.end(),
                            static_cast<std::size_t>(planned.copies[k]) * bundles[k].samples,
                            {.in_class = k});
    const std::size_t count = pattern.places.size();
    pattern.in_turn = count > chosen_places ? count - chosen_places : 1;
    std::int64_t rest = 0;
    for (std::size_t k = count; k-- > 0;)
      pattern.places[k].rest = rest += plan_.classes[pattern.places[k].in_class].mean_cost;
    return pattern;
  }

  // Whether the samples need almost all of the capacity of this many packs.
  [[nodiscard]] bool any_resource_is_tight(wide_integer packs) const noexcept {
    for (std::size_t r = 0; r < resources; ++r) {
      wide_integer volume = 0;
      for (const sample_class<Sums>& one : plan_.classes) volume += one.volume[r];
      if (volume >= packs * sums_.slack(sums_.empty(), r) / 64 * 63) return true;
    }
    return false;
  }

  [[nodiscard]] packed_by_patterns<Sums> fill(pack_list<Sums>& packs) {
    std::size_t samples = 0;
    for (const sample_class<Sums>& one : plan_.classes) samples += one.samples.size();
    const std::size_t count = std::max<std::size_t>(samples / samples_in_share, 1);
    std::vector<std::optional<pattern_filler<Sums>>> shares(count);
    std::vector<random_stream> streams;
    for (std::size_t k = 0; k < count; ++k) streams.push_back(fork_stream(random_));
    parallel_for(count, threads_, [&](std::size_t first, std::size_t last) {
      for (std::size_t k = first; k < last; ++k)
        shares[k].emplace(sums_, cost_, plan_, k, count, streams[k]).fill();
    });
    return collect(shares, packs);
  }

  // First the mixed packs of every share, then the last packs of every share. The memory of a share
  // is freed as soon as it was copied.
  [[nodiscard]] packed_by_patterns<Sums> collect(
      std::vector<std::optional<pattern_filler<Sums>>>& shares, pack_list<Sums>& packs) const {
    packed_by_patterns<Sums> packed;
    pack_list<Sums> last(sums_);
    reserve_for(shares, packs);
    for (std::optional<pattern_filler<Sums>>& share : shares) {
      pack_list<Sums>& own = share->packs();
      const std::size_t mixed = own.size() - std::min(own.size(), last_packs);
      last.append(own, mixed, own.size());
      if (shares.size() == 1)
        packs = std::move(own.shorten(mixed));
      else
        packs.append(own, 0, mixed);
      packed.left.insert(packed.left.end(), share->left().begin(), share->left().end());
      share.reset();
    }
    packed.mixed = packs.size();
    packs.append(last, 0, last.size());
    return packed;
  }

  static void reserve_for(const std::vector<std::optional<pattern_filler<Sums>>>& shares,
                          pack_list<Sums>& packs) {
    if (shares.size() == 1) return;
    std::size_t packs_in_all = 0;
    std::size_t samples = 0;
    for (const auto& share : shares) {
      packs_in_all += share->packs().size();
      samples += share->packs().samples();
    }
    packs.reserve(packs_in_all + packs_in_all / 64, samples);
  }

  const Sums& sums_;
  const load_plane<resources>& plane_;
  const pack_cost<resources>& cost_;
  random_stream& random_;
  unsigned threads_;
  filling_plan<Sums> plan_;
};

}  // namespace omnibal::inline v0::detail
