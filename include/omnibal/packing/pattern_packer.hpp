// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs samples by patterns: classes of samples that are alike, patterns of classes that fill
/// packs with even cost, and within a pattern samples taken in random order but for the last two,
/// which even out what the others happen to be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/packing/load_sums.hpp>
#include <omnibal/packing/pack_cost.hpp>
#include <omnibal/packing/pack_list.hpp>
#include <omnibal/packing/patterns.hpp>
#include <omnibal/packing/random_streams.hpp>
#include <omnibal/packing/sample_class.hpp>
#include <omnibal/packing/sample_window.hpp>
#include <omnibal/packing/survey.hpp>
#include <span>
#include <utility>
#include <vector>

namespace omnibal::inline v0::detail {

/// Fills packs by patterns, once.
template <typename Sums>
class pattern_packer {
 public:
  using word = typename Sums::word;
  using sample = packable<word>;
  static constexpr std::size_t resources = Sums::resources;

  /// Shuffles the samples of each class.
  pattern_packer(const Sums& sums, const load_plane<resources>& plane,
                 const pack_cost<resources>& cost, std::span<const std::span<sample>> classes,
                 random_stream& random)
      : sums_(sums), plane_(plane), cost_(cost), random_(random) {
    for (const std::span<sample> samples : classes) {
      if (samples.empty()) continue;
      shuffle_fast(samples, random_);
      classes_.push_back(describe_class(samples, sums_, cost_));
    }
    std::ranges::stable_sort(classes_, std::ranges::greater{}, &sample_class<Sums>::mean_cost);
  }

  /// Packs samples as far as patterns go; returns those that are left over.
  [[nodiscard]] std::vector<sample> pack(pack_list<Sums>& packs) {
    if (classes_.empty()) return {};
    make_patterns();
    for (const sample_class<Sums>& one : classes_)
      windows_.emplace_back(one.samples, one.least_cost, one.most_cost, key());
    fill_all(packs);
    while (!windows_.empty()) {
      for (auto& window = windows_.back(); !window.empty();) park(window);
      windows_.pop_back();
    }
    return std::move(parked_);
  }

 private:
  static constexpr std::size_t chosen_places = 2;

  struct place {
    std::size_t in_class = 0;
    std::int64_t rest = 0;  ///< the mean cost of this place and those after it
  };

  /// A pattern as a list of places, dearest class first.
  struct place_list {
    std::vector<place> places;
    std::size_t in_turn = 0;  ///< how many places take samples in turn
    std::uint64_t packs = 0;
    std::uint64_t owed = 0;  ///< to the blocks so far, in fractions of a pack
  };

  /// The pack being filled.
  struct open_pack {
    word sum;
    std::int64_t cost = 0;
    bool any = false;
  };

  [[nodiscard]] auto key() const noexcept {
    return [this](const sample& one) { return cost_(sums_, one.load); };
  }

  void make_patterns() {
    std::vector<sample_bundle> bundles;
    for (const sample_class<Sums>& one : classes_) bundles.push_back(bundle_class(one, plane_));
    plane_cost unit_cost{.column = cost_(plane_.columns().resource(), plane_.columns().unit())};
    if constexpr (resources > 1)
      unit_cost.row = cost_(plane_.rows().resource(), plane_.rows().unit());
    for (const planned_pattern& planned :
         pattern_planner(bundles, plane_.corner(), unit_cost).plan())
      patterns_.push_back(list_places(planned, bundles));
    wide_integer cost = 0;
    wide_integer packs = 0;
    for (const sample_class<Sums>& one : classes_)
      cost += wide_integer{one.mean_cost} * one.samples.size();
    for (const place_list& pattern : patterns_) packs += pattern.packs;
    target_ = static_cast<std::int64_t>(cost / std::max<wide_integer>(packs, 1));
    tight_ = any_resource_is_tight(packs);
  }

  [[nodiscard]] place_list list_places(const planned_pattern& planned,
                                       std::span<const sample_bundle> bundles) const {
    place_list pattern{.places = {}, .packs = planned.packs};
    for (std::size_t k = 0; k < classes_.size(); ++k)
      pattern.places.insert(pattern.places.end(),
                            static_cast<std::size_t>(planned.copies[k]) * bundles[k].samples,
                            {.in_class = k});
    const std::size_t count = pattern.places.size();
    pattern.in_turn = count > chosen_places ? count - chosen_places : 1;
    std::int64_t rest = 0;
    for (std::size_t k = count; k-- > 0;)
      pattern.places[k].rest = rest += classes_[pattern.places[k].in_class].mean_cost;
    return pattern;
  }

  // Whether so many packs have hardly more room than the samples need.
  [[nodiscard]] bool any_resource_is_tight(wide_integer packs) const noexcept {
    for (std::size_t r = 0; r < resources; ++r) {
      wide_integer volume = 0;
      for (const sample_class<Sums>& one : classes_) volume += one.volume[r];
      if (volume >= packs * sums_.room(sums_.empty(), r) / 64 * 63) return true;
    }
    return false;
  }

  // Every block of packs has its share of each pattern; chance says which blocks round it up.
  void fill_all(pack_list<Sums>& packs) {
    std::uint64_t count = 0;
    for (const place_list& pattern : patterns_) count += pattern.packs;
    packs.reserve(count + count / 64);
    const std::uint64_t blocks = count / packs.block + 1;
    for (place_list& pattern : patterns_)
      pattern.owed = uniform_below(random_, static_cast<std::uint32_t>(blocks));
    for (std::uint64_t block = 0; block < blocks; ++block)
      for (place_list& pattern : patterns_)
        for (pattern.owed += pattern.packs; pattern.owed >= blocks; pattern.owed -= blocks)
          fill(pattern, packs);
  }

  // Takes samples in turn, and in the last places, never the first, those that bring the pack's
  // cost nearest to the mean of all packs.
  void fill(const place_list& pattern, pack_list<Sums>& packs) {
    open_pack pack{.sum = sums_.empty()};
    for (std::size_t k = 0; k < pattern.in_turn; ++k) {
      sample_window<sample>& window = windows_[pattern.places[k].in_class];
      if (!put(window, window.next(), pack, packs)) park(window);
    }
    for (std::size_t k = pattern.in_turn; k < pattern.places.size(); ++k) {
      const auto [in_class, rest] = pattern.places[k];
      std::int64_t missing = target_ - pack.cost - rest;
      if (k + 1 < pattern.places.size()) missing /= 2;
      sample_window<sample>& window = windows_[in_class];
      const unsigned slot = window.nearest(classes_[in_class].mean_cost + missing);
      if (!put(window, slot, pack, packs)) park(window);
    }
    if (tight_) top_up(pack, packs);
    if (pack.any) packs.close(pack.sum);
  }

  // Puts the sample of a slot into a pack, or the next smaller one that fits.
  [[nodiscard]] bool put(sample_window<sample>& window, unsigned slot, open_pack& pack,
                         pack_list<Sums>& packs) {
    while (slot != window.none && sums_.exceeds(sums_.add(pack.sum, window[slot].load)))
      slot = window.lower(slot);
    if (slot == window.none) return false;
    pack.cost += window.key(slot);
    const sample taken = window.take(slot, key());
    packs.push_back(taken.id);
    pack.sum = sums_.add(pack.sum, taken.load);
    pack.any = true;
    return true;
  }

  // Makes way for another sample where none of a window fits, lest large ones block it.
  void park(sample_window<sample>& window) {
    if (!window.empty()) parked_.push_back(window.take(window.next(), key()));
  }

  // Gives the room that a pack has left to one more sample of each class that fits.
  void top_up(open_pack& pack, pack_list<Sums>& packs) {
    for (std::size_t k = 0; k < classes_.size(); ++k) {
      const std::int64_t missing = target_ - pack.cost;
      if (missing < classes_[k].least_cost) continue;
      if (sums_.exceeds(sums_.add(pack.sum, classes_[k].least))) continue;
      (void)put(windows_[k], windows_[k].nearest(missing), pack, packs);
    }
  }

  const Sums& sums_;
  const load_plane<resources>& plane_;
  const pack_cost<resources>& cost_;
  random_stream& random_;
  std::vector<sample_class<Sums>> classes_;  // dearest first
  std::vector<place_list> patterns_;
  std::vector<sample_window<sample>> windows_;  // by class
  std::vector<sample> parked_;
  std::int64_t target_ = 0;  // the mean cost of a pack
  bool tight_ = false;
};

}  // namespace omnibal::inline v0::detail
