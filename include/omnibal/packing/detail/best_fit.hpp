// SPDX-License-Identifier: Apache-2.0
/// @file
/// Best fit: puts each sample into the pack in which it leaves the least slack, or into a new one.
/// Packs the samples that patterns leave over, and all samples, largest first, when patterns do
/// worse. Source: best-fit decreasing is Johnson's, "Near-optimal bin packing algorithms", 1973.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pack_list.hpp>

namespace omnibal::inline v0::detail {

/// The least load of any sample, per resource.
template <typename Sums>
[[nodiscard]] typename Sums::word least_loads(
    std::span<const packable<typename Sums::word>> samples, const Sums& sums) {
  fitting_loads<Sums::resources> least;
  for (std::size_t r = 0; r < Sums::resources; ++r) {
    least[r] = sums.load(samples.front().load, r);
    for (const auto& sample : samples) least[r] = std::min(least[r], sums.load(sample.load, r));
  }
  return sums.pack(least);
}

/// A set of numbers below 4096 that finds the next larger one in constant time: one bit per number,
/// and one bit per 64 numbers.
class bit_row {
 public:
  static constexpr std::uint32_t size = 4096;
  /// Returned by next() when there is none.
  static constexpr std::uint32_t none = size;

  void insert(std::uint32_t number) noexcept {
    words_[number / 64] |= bit(number % 64);
    filled_ |= bit(number / 64);
  }
  void erase(std::uint32_t number) noexcept {
    words_[number / 64] &= ~bit(number % 64);
    if (words_[number / 64] == 0) filled_ &= ~bit(number / 64);
  }
  /// The least number in the set that is at least this one.
  [[nodiscard]] std::uint32_t next(std::uint32_t number) const noexcept {
    if (number >= size) return none;
    const std::uint64_t here = words_[number / 64] >> (number % 64);
    if (here != 0) return number + static_cast<std::uint32_t>(std::countr_zero(here));
    const std::uint64_t later = number / 64 == 63 ? 0 : filled_ >> (number / 64 + 1);
    if (later == 0) return none;
    const auto word = number / 64 + 1 + static_cast<std::uint32_t>(std::countr_zero(later));
    return word * 64 + static_cast<std::uint32_t>(std::countr_zero(words_[word]));
  }

 private:
  [[nodiscard]] static constexpr std::uint64_t bit(std::uint32_t k) noexcept {
    return std::uint64_t{1} << k;
  }

  std::array<std::uint64_t, 64> words_{};
  std::uint64_t filled_ = 0;
};

/// Packs with slack, by the point of the load plane of their slack, rounded down to whole units.
template <typename Sums>
class open_packs {
 public:
  static constexpr std::uint32_t none = ~0U;

  open_packs(const Sums& sums, const pack_list<Sums>& packs,
             const load_plane<Sums::resources>& plane)
      : sums_(sums),
        packs_(packs),
        plane_(plane),
        columns_(plane.corner().row + std::size_t{1}),
        newest_(columns_.size() * bit_row::size, none) {}

  /// Adds a pack with its current slack.
  void insert(std::uint32_t pack) {
    fitting_loads<Sums::resources> slack;
    for (std::size_t r = 0; r < Sums::resources; ++r) slack[r] = sums_.slack(packs_[pack], r);
    const plane_point point = reached(slack);
    if (older_.size() <= pack) older_.resize(pack + std::size_t{1}, none);
    older_[pack] = newest(point);
    newest(point) = pack;
    columns_[point.row].insert(point.column);
  }

  /// Removes and returns a pack that the sample fits with little slack left, or `none`.
  [[nodiscard]] std::uint32_t take(const typename Sums::word& load) {
    fitting_loads<Sums::resources> loads;
    for (std::size_t r = 0; r < Sums::resources; ++r) loads[r] = sums_.load(load, r);
    const plane_point least = reached(loads);
    place best;
    for (std::uint32_t row = least.row;
         row < columns_.size() && row_waste(row - least.row) < best.waste; ++row)
      consider(row, least, load, best);
    return best.pack == none ? none : remove(best);
  }

 private:
  static constexpr std::size_t tries_at_a_point = 4;

  struct place {
    plane_point point;
    std::uint32_t pack = none;
    std::uint32_t newer = none;  // the pack before it in its linked list
    std::size_t waste = ~std::size_t{0};
  };

  // Slack that would be left, as a share of the capacity in units of 2⁻¹⁶.
  [[nodiscard]] std::size_t row_waste(std::size_t rows) const noexcept {
    return (rows << 16) / columns_.size();
  }
  [[nodiscard]] std::size_t column_waste(std::size_t columns) const noexcept {
    return (columns << 16) / (plane_.corner().column + std::size_t{1});
  }

  [[nodiscard]] plane_point reached(const fitting_loads<Sums::resources>& loads) const noexcept {
    plane_point point = plane_.point(plane_.index(loads));
    point.column = std::min(point.column, bit_row::size - 1);
    return point;
  }
  [[nodiscard]] std::uint32_t& newest(plane_point point) noexcept {
    return newest_[point.row * bit_row::size + point.column];
  }
  [[nodiscard]] std::uint32_t newest(plane_point point) const noexcept {
    return newest_[point.row * bit_row::size + point.column];
  }

  // Searches a row for a pack that would have less slack left than the best so far.
  void consider(std::uint32_t row, plane_point least, const typename Sums::word& load,
                place& best) const {
    const bit_row& columns = columns_[row];
    for (std::uint32_t column = columns.next(least.column); column != columns.none;
         column = columns.next(column + 1)) {
      const std::size_t waste = row_waste(row - least.row) + column_waste(column - least.column);
      if (waste >= best.waste) return;
      const plane_point point{.row = row, .column = column};
      std::uint32_t newer = none;
      std::uint32_t pack = newest(point);
      for (std::size_t k = 0; k < tries_at_a_point && pack != none; ++k) {
        if (packs_.fits(pack, load)) {
          best = {point, pack, newer, waste};
          return;
        }
        newer = pack;
        pack = older_[pack];
      }
    }
  }

  std::uint32_t remove(const place& found) {
    std::uint32_t& link = found.newer == none ? newest(found.point) : older_[found.newer];
    link = older_[found.pack];
    if (newest(found.point) == none) columns_[found.point.row].erase(found.point.column);
    return found.pack;
  }

  const Sums& sums_;
  const pack_list<Sums>& packs_;
  const load_plane<Sums::resources>& plane_;
  std::vector<bit_row> columns_;       // by row: columns with packs
  std::vector<std::uint32_t> newest_;  // by point: the first pack of its linked list
  std::vector<std::uint32_t> older_;   // by pack: the next in its linked list
};

/// Puts samples, in their order, into the packs that they fit best.
template <typename Sums>
void pack_best_fit(std::span<const packable<typename Sums::word>> samples, const Sums& sums,
                   const load_plane<Sums::resources>& plane, pack_list<Sums>& packs) {
  if (samples.empty()) return;
  const typename Sums::word least = least_loads(samples, sums);
  open_packs<Sums> open(sums, packs, plane);
  for (std::uint32_t pack = 0; pack < packs.size(); ++pack)
    if (packs.fits(pack, least)) open.insert(pack);
  for (const auto& sample : samples) {
    std::uint32_t pack = open.take(sample.load);
    if (pack == open.none) pack = static_cast<std::uint32_t>(packs.size());
    packs.add(pack, sample);
    if (packs.fits(pack, least)) open.insert(pack);
  }
}

}  // namespace omnibal::inline v0::detail
