// SPDX-License-Identifier: Apache-2.0
/// @file
/// Fills packs by patterns: with samples in random order, except the last two of a pack, which are
/// chosen to bring its cost near the mean.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_cost.hpp>
#include <omnibal/packing/detail/pack_list.hpp>
#include <omnibal/packing/detail/sample_class.hpp>
#include <omnibal/packing/detail/sample_window.hpp>

namespace omnibal::inline v0::detail {

/// A pattern as a list of places, most expensive class first.
struct place_list {
  struct place {
    std::size_t in_class = 0;
    std::int64_t rest = 0;  ///< the mean cost of this place and those after it
  };

  std::vector<place> places;
  std::size_t in_turn = 0;  ///< number of leading places that take the next sample in order
  std::uint64_t packs = 0;
};

/// Everything that fillers need: classes, patterns, and the target cost.
template <typename Sums>
struct filling_plan {
  std::vector<sample_class<Sums>> classes = {};  ///< most expensive first, each in random order
  std::vector<place_list> patterns = {};
  std::int64_t target = 0;  ///< the mean cost of a pack
  bool tight = false;       ///< The packs have almost no slack in total.
};

/// Fills packs with one of several equal shares of a plan's samples. Shares are independent and can
/// be filled in parallel.
template <typename Sums>
class pattern_filler {
 public:
  using word = typename Sums::word;
  using sample = packable<word>;

  pattern_filler(const Sums& sums, const pack_cost<Sums::resources>& cost,
                 const filling_plan<Sums>& plan, std::size_t share, std::size_t shares,
                 random_stream random)
      : sums_(sums), cost_(cost), plan_(plan), random_(random), packs_(sums) {
    const auto cut = [&](std::uint64_t whole, std::size_t k) {
      return static_cast<std::uint64_t>(wide_integer{whole} * k / shares);
    };
    for (const sample_class<Sums>& one : plan.classes) {
      const std::size_t begin = cut(one.samples.size(), share);
      windows_.emplace_back(one.samples.subspan(begin, cut(one.samples.size(), share + 1) - begin),
                            one.least_cost, one.most_cost, key());
    }
    for (const place_list& pattern : plan.patterns)
      counts_.push_back(cut(pattern.packs, share + 1) - cut(pattern.packs, share));
  }

  /// Fills all packs of the share. Call once.
  void fill() {
    fill_all();
    while (!windows_.empty()) {
      for (auto& window = windows_.back(); !window.empty();) park(window);
      windows_.pop_back();
    }
  }

  /// The packs, in an order in which all blocks (pack_list::block) are alike.
  [[nodiscard]] pack_list<Sums>& packs() noexcept { return packs_; }
  [[nodiscard]] const pack_list<Sums>& packs() const noexcept { return packs_; }
  /// The samples that are in no pack.
  [[nodiscard]] std::span<const sample> left() const noexcept { return parked_; }

 private:
  /// The pack being filled.
  struct open_pack {
    word sum;
    std::int64_t cost = 0;
    bool any = false;
  };

  [[nodiscard]] auto key() const noexcept {
    return [this](const sample& one) { return cost_(sums_, one.load); };
  }

  // Every block of packs gets its share of each pattern; which blocks round it up is random.
  void fill_all() {
    std::uint64_t count = 0;
    for (const std::uint64_t packs : counts_) count += packs;
    std::size_t samples = 0;
    for (const auto& window : windows_) samples += window.size();
    packs_.reserve(count + count / 64, samples);
    const std::uint64_t blocks = count / packs_.block + 1;
    std::vector<std::uint64_t> owed;  // by pattern: packs due so far, in units of 1 / blocks
    for (std::size_t k = 0; k < counts_.size(); ++k)
      owed.push_back(uniform_below(random_, static_cast<std::uint32_t>(blocks)));
    for (std::uint64_t block = 0; block < blocks; ++block)
      for (std::size_t k = 0; k < counts_.size(); ++k)
        for (owed[k] += counts_[k]; owed[k] >= blocks; owed[k] -= blocks) fill(plan_.patterns[k]);
  }

  // Takes the next samples in order, and for the last places, but never the first place, the
  // samples that bring the pack's cost nearest to the mean of all packs.
  void fill(const place_list& pattern) {
    open_pack pack{.sum = sums_.empty()};
    for (std::size_t k = 0; k < pattern.in_turn; ++k) {
      sample_window<sample>& window = windows_[pattern.places[k].in_class];
      if (!put(window, window.next(), pack)) park(window);
    }
    for (std::size_t k = pattern.in_turn; k < pattern.places.size(); ++k) {
      const auto [in_class, rest] = pattern.places[k];
      std::int64_t missing = plan_.target - pack.cost - rest;
      if (k + 1 < pattern.places.size()) missing /= 2;
      sample_window<sample>& window = windows_[in_class];
      const unsigned slot = window.nearest(plan_.classes[in_class].mean_cost + missing);
      if (!put(window, slot, pack)) park(window);
    }
    if (plan_.tight) top_up(pack);
    if (pack.any) packs_.close(pack.sum);
  }

  // Puts the sample of a slot into the pack, or else the next less expensive one that fits.
  [[nodiscard]] bool put(sample_window<sample>& window, unsigned slot, open_pack& pack) {
    while (slot != window.none && sums_.exceeds(sums_.add(pack.sum, window[slot].load)))
      slot = window.lower(slot);
    if (slot == window.none) return false;
    pack.cost += window.key(slot);
    const sample taken = window.take(slot, key());
    packs_.push_back(taken.id);
    pack.sum = sums_.add(pack.sum, taken.load);
    pack.any = true;
    return true;
  }

  // Removes a sample from a window of which none fits, so that large samples do not block it.
  void park(sample_window<sample>& window) {
    if (!window.empty()) parked_.push_back(window.take(window.next(), key()));
  }

  // Fills the slack of a pack with up to one more sample of each class.
  void top_up(open_pack& pack) {
    for (std::size_t k = 0; k < windows_.size(); ++k) {
      const sample_class<Sums>& one = plan_.classes[k];
      const std::int64_t missing = plan_.target - pack.cost;
      if (missing < one.least_cost) continue;
      if (sums_.exceeds(sums_.add(pack.sum, one.least))) continue;
      (void)put(windows_[k], windows_[k].nearest(missing), pack);
    }
  }

  const Sums& sums_;
  const pack_cost<Sums::resources>& cost_;
  const filling_plan<Sums>& plan_;
  random_stream random_;
  std::vector<std::uint64_t> counts_;           // packs by pattern
  std::vector<sample_window<sample>> windows_;  // by class
  pack_list<Sums> packs_;
  std::vector<sample> parked_;
};

}  // namespace omnibal::inline v0::detail
