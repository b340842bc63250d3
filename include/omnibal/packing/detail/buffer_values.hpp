// SPDX-License-Identifier: Apache-2.0
/// @file
/// The item values of buffered samples in a streaming packer's knapsack: the size of a sample times
/// the ratio of similar samples in the buffer to their share of the stream. So samples that
/// accumulate in the buffer become more valuable and are packed.
/// Sources: Tassiulas and Ephremides, "Stability properties of constrained queueing systems and
/// scheduling policies for maximum throughput in multihop radio networks", IEEE Transactions on
/// Automatic Control 1992: weighting each queue by its length keeps all queues bounded
/// whenever any policy can; Csirik et al., "On the sum-of-squares algorithm for bin packing",
/// Journal of the ACM 2006.
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
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>
#include <omnibal/packing/detail/sample_buffer.hpp>

namespace omnibal::inline v0::detail {

/// Statistics of recent samples of the stream: older samples count half, a quarter, ….
template <std::size_t Resources>
struct stream_memory {
  std::vector<std::uint32_t> seen = {};              ///< samples by cell
  std::array<std::uint64_t, Resources> volume = {};  ///< Σ load / capacity, in units of 2⁻²⁰

  friend bool operator==(const stream_memory&, const stream_memory&) = default;
};

/// Computes the item values of buffered samples.
template <std::size_t Resources>
class buffer_values {
 public:
  /// Statistics are over at least the last `samples` samples.
  buffer_values(const loads<Resources>& capacity, std::uint64_t samples)
      : capacity_(capacity), samples_(samples) {}

  [[nodiscard]] const stream_memory<Resources>& memory() const noexcept { return memory_; }
  void restore(stream_memory<Resources> memory) {
    memory_ = std::move(memory);
    count();
  }

  /// Restarts the statistics from the buffered samples, after the buffer changed its grid.
  void start(const sample_buffer<Resources>& buffer) {
    memory_.seen.resize(buffer.grid().cells());
    for (std::uint32_t cell = 0; cell < memory_.seen.size(); ++cell)
      memory_.seen[cell] = buffer.count(cell);
    count();
  }

  /// Whether the next add() halves the statistics, which remove() cannot undo.
  [[nodiscard]] bool halves_next() const noexcept { return seen_in_all_ + 1 >= 2 * samples_; }

  /// Adds a sample to the statistics. Returns whether the caller should check which resources are
  /// tightest: whenever their number of samples has doubled or was halved.
  bool add(const fitting_loads<Resources>& load, std::uint32_t cell) noexcept {
    for (std::size_t r = 0; r < Resources; ++r) memory_.volume[r] += share_of_pack(load, r);
    ++memory_.seen[cell];
    if (++seen_in_all_ < 2 * samples_) return std::has_single_bit(seen_in_all_);
    for (std::uint32_t& seen : memory_.seen) seen /= 2;
    for (std::uint64_t& volume : memory_.volume) volume /= 2;
    count();
    return true;
  }

  /// Undoes the latest add(), unless it halved the statistics.
  void remove(const fitting_loads<Resources>& load, std::uint32_t cell) noexcept {
    for (std::size_t r = 0; r < Resources; ++r) memory_.volume[r] -= share_of_pack(load, r);
    --memory_.seen[cell];
    --seen_in_all_;
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
    std::sort(tightest.begin(), tightest.end());
    return {capacity_, tightest[0], tightest[1]};
  }

  /// All buffered samples except those smaller than half a unit, bundled by cell in ascending order
  /// of cells. The first samples of a cell have a higher value than later ones. O(cells).
  [[nodiscard]] std::vector<cell_bundle> bundles(const sample_buffer<Resources>& buffer) const {
    std::vector<cell_bundle> all;
    for (std::uint32_t row = 0; row <= buffer.grid().corner().row; ++row)
      for (std::uint64_t left = buffer.filled(row); left != 0; left &= left - 1) {
        const plane_point size{.row = row,
                               .column = static_cast<std::uint32_t>(std::countr_zero(left))};
        if (size != plane_point{}) add_bundles(buffer, size, all);
      }
    return all;
  }

 private:
  static constexpr unsigned volume_bits = 20;
  static constexpr unsigned share_bits = 16;
  // The value of a sample per share of a pack: when as many similar ones are buffered as their
  // share of the stream, and the maximum. It keeps the value of whatever fits a pack below 2³¹.
  static constexpr std::int64_t usual = 1 << 8;
  static constexpr std::int64_t most_valuable = usual << 4;

  // In units of 2⁻²⁰.
  [[nodiscard]] std::uint64_t share_of_pack(const fitting_loads<Resources>& load,
                                            std::size_t r) const noexcept {
    return static_cast<std::uint64_t>((wide_integer{load[r]} << volume_bits) / capacity_[r]);
  }

  void count() noexcept {
    seen_in_all_ = 0;
    for (const std::uint32_t seen : memory_.seen) seen_in_all_ += seen;
  }

  void add_bundles(const sample_buffer<Resources>& buffer, plane_point size,
                   std::vector<cell_bundle>& all) const {
    const std::uint32_t cell = buffer.grid().index(size);
    const std::int64_t count = buffer.count(cell);
    const auto expected =
        static_cast<std::int64_t>(wide_integer{memory_.seen[cell]} * usual * buffer.size() /
                                  std::max<std::uint64_t>(seen_in_all_, 1));
    const std::int64_t most = std::min(count, copies_in(buffer.grid().corner(), size));
    // Bundles of 1, 1, 2, 4, … and the rest.
    for (std::int64_t before = 0, copies = 1; before < most;
         before += copies, copies = std::min(before, most - before)) {
      const std::int64_t surplus = count - before - copies / 2;
      const std::int64_t value =
          std::min(surplus * usual * usual / (expected + usual), most_valuable) *
          share(buffer, size);
      all.push_back(
          {.cell = cell,
           .samples = static_cast<std::uint32_t>(copies),
           .size = {.row = static_cast<std::uint32_t>(copies) * size.row,
                    .column = static_cast<std::uint32_t>(copies) * size.column},
           .value = static_cast<std::int32_t>(std::max<std::int64_t>(copies * value, 1))});
    }
  }

  // How many copies fit the corner.
  [[nodiscard]] static std::int64_t copies_in(plane_point corner, plane_point size) noexcept {
    const std::int64_t rows = size.row > 0 ? corner.row / size.row : corner.row + corner.column;
    return size.column > 0 ? std::min<std::int64_t>(rows, corner.column / size.column) : rows;
  }

  // The size as a share of a pack: the sum of its shares of the capacities.
  [[nodiscard]] static std::int64_t share(const sample_buffer<Resources>& buffer,
                                          plane_point size) noexcept {
    const plane_point corner = buffer.grid().corner();
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
