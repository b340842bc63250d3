// SPDX-License-Identifier: Apache-2.0
/// @file
/// What held samples are worth to a streaming packer: their size, times how many more samples like
/// them are held than their share of the stream. So what silts up becomes dear and leaves.
/// Sources: Tassiulas and Ephremides, "Stability properties of constrained queueing systems and
/// scheduling policies for maximum throughput in multihop radio networks", IEEE Transactions on
/// Automatic Control 1992: to weigh each queue by its length keeps all bounded wherever any policy
/// can; Csirik et al., "On the sum-of-squares algorithm for bin packing", Journal of the ACM 2006.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/detail/buffer_knapsack.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>
#include <omnibal/packing/detail/sample_buffer.hpp>
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0::detail {

/// What a stream was like of late: old samples count half, a quarter, ….
template <std::size_t Resources>
struct stream_memory {
  std::vector<std::uint32_t> seen = {};              ///< samples by cell
  std::array<std::uint64_t, Resources> volume = {};  ///< Σ load / capacity, in units of 2⁻²⁰

  friend bool operator==(const stream_memory&, const stream_memory&) = default;
};

/// Prices held samples.
template <std::size_t Resources>
class held_prices {
 public:
  /// Remembers so many samples at least.
  held_prices(const loads<Resources>& capacity, std::uint64_t samples)
      : capacity_(capacity), samples_(samples) {}

  [[nodiscard]] const stream_memory<Resources>& memory() const noexcept { return memory_; }
  void restore(stream_memory<Resources> memory) {
    memory_ = std::move(memory);
    count();
  }

  /// Forgets all but the samples that are held, after these were arranged anew.
  void start(const held_samples<Resources>& held) {
    memory_.seen.resize(held.grid().cells());
    for (std::uint32_t cell = 0; cell < memory_.seen.size(); ++cell)
      memory_.seen[cell] = held.count(cell);
    count();
  }

  /// Remembers a sample. Returns whether it is time to look which resources are tight: whenever
  /// twice as many samples are remembered, or half are forgotten.
  bool add(const fitting_loads<Resources>& load, std::uint32_t cell) {
    for (std::size_t r = 0; r < Resources; ++r)
      memory_.volume[r] +=
          static_cast<std::uint64_t>((wide_integer{load[r]} << volume_bits) / capacity_[r]);
    ++memory_.seen[cell];
    if (++seen_in_all_ < 2 * samples_) return std::has_single_bit(seen_in_all_);
    for (std::uint32_t& seen : memory_.seen) seen /= 2;
    for (std::uint64_t& volume : memory_.volume) volume /= 2;
    count();
    return true;
  }

  /// The grid of the two tightest resources.
  [[nodiscard]] cell_grid<Resources> tightest_grid() const {
    std::array<std::size_t, 2> tightest{0, Resources > 1 ? 1U : 0U};
    const auto looser = [&](std::size_t a, std::size_t b) {
      return memory_.volume[a] < memory_.volume[b];
    };
    for (std::size_t r = 2; r < Resources; ++r) {
      if (looser(tightest[0], tightest[1])) std::swap(tightest[0], tightest[1]);
      if (looser(tightest[1], r)) tightest[1] = r;
    }
    std::ranges::sort(tightest);
    return {capacity_, tightest[0], tightest[1]};
  }

  /// All held samples but those too small to count, in bundles of a cell, the first samples of a
  /// cell worth more than the later ones. Cells ascend. O(cells).
  [[nodiscard]] std::vector<cell_bundle> price(const held_samples<Resources>& held) const {
    std::vector<cell_bundle> bundles;
    for (std::uint32_t row = 0; row <= held.grid().corner().row; ++row)
      for (std::uint64_t left = held.filled(row); left != 0; left &= left - 1) {
        const plane_point size{.row = row,
                               .column = static_cast<std::uint32_t>(std::countr_zero(left))};
        if (size != plane_point{}) price_cell(held, size, bundles);
      }
    return bundles;
  }

 private:
  static constexpr unsigned volume_bits = 20;
  static constexpr unsigned share_bits = 16;
  // What a share of a pack is worth of which as much is held as is usual, and the most that any is;
  // so all that fits a pack is worth less than 2³¹.
  static constexpr std::int64_t usual = 1 << 8;
  static constexpr std::int64_t most_expensive = usual << 4;

  void count() noexcept {
    seen_in_all_ = 0;
    for (const std::uint32_t seen : memory_.seen) seen_in_all_ += seen;
  }

  void price_cell(const held_samples<Resources>& held, plane_point size,
                  std::vector<cell_bundle>& bundles) const {
    const std::uint32_t cell = held.grid().index(size);
    const std::int64_t count = held.count(cell);
    const auto expected =
        static_cast<std::int64_t>(wide_integer{memory_.seen[cell]} * usual * held.size() /
                                  std::max<std::uint64_t>(seen_in_all_, 1));
    const std::int64_t most = std::min(count, copies_in(held.grid().corner(), size));
    // Bundles of 1, 1, 2, 4, … and the rest.
    for (std::int64_t before = 0, copies = 1; before < most;
         before += copies, copies = std::min(before, most - before)) {
      const std::int64_t surplus = count - before - copies / 2;
      const std::int64_t worth =
          std::min(surplus * usual * usual / (expected + usual), most_expensive) *
          share(held, size);
      bundles.push_back(
          {.cell = cell,
           .samples = static_cast<std::uint32_t>(copies),
           .size = {.row = static_cast<std::uint32_t>(copies) * size.row,
                    .column = static_cast<std::uint32_t>(copies) * size.column},
           .value = static_cast<std::int32_t>(std::max<std::int64_t>(copies * worth, 1))});
    }
  }

  // How many copies fit the corner.
  [[nodiscard]] static std::int64_t copies_in(plane_point corner, plane_point size) noexcept {
    const std::int64_t rows = size.row > 0 ? corner.row / size.row : corner.row + corner.column;
    return size.column > 0 ? std::min<std::int64_t>(rows, corner.column / size.column) : rows;
  }

  // Of a pack, each resource weighing the same when full.
  [[nodiscard]] static std::int64_t share(const held_samples<Resources>& held,
                                          plane_point size) noexcept {
    const plane_point corner = held.grid().corner();
    std::int64_t share = (std::int64_t{size.column} << share_bits) / corner.column;
    if (corner.row > 0) share += (std::int64_t{size.row} << share_bits) / corner.row;
    return share;
  }

  loads<Resources> capacity_;
  std::uint64_t samples_;
  stream_memory<Resources> memory_;
  std::uint64_t seen_in_all_ = 0;
};

}  // namespace omnibal::inline v0::detail
