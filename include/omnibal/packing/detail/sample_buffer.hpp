// SPDX-License-Identifier: Apache-2.0
/// @file
/// The buffer of a streaming packer: samples in a queue by age, and in one queue per cell of
/// similar loads.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/emptied_when_moved.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>

namespace omnibal::inline v0::detail {

/// Loads of one resource rounded to coarse units, a few dozen per capacity.
class coarse_axis {
 public:
  coarse_axis() = default;
  /// Precondition: capacity ≥ 1, units ≥ 1.
  coarse_axis(std::size_t resource, std::int64_t capacity, std::uint32_t units) noexcept
      : resource_(resource), capacity_(static_cast<std::uint64_t>(capacity)), units_(units) {}

  [[nodiscard]] std::size_t resource() const noexcept { return resource_; }
  /// The capacity in units.
  [[nodiscard]] std::uint32_t units() const noexcept { return units_; }
  /// The nearest number of units. Precondition: the load is at most the capacity.
  [[nodiscard]] std::uint32_t nearest(std::uint64_t load) const noexcept {
    if (capacity_ < narrow)
      return static_cast<std::uint32_t>((2 * load * units_ + capacity_) / (2 * capacity_));
    return static_cast<std::uint32_t>((2 * wide_integer{load} * units_ + capacity_) /
                                      (2 * wide_integer{capacity_}));
  }

 private:
  static constexpr std::uint64_t narrow = std::uint64_t{1} << 48;

  std::size_t resource_ = 0;
  std::uint64_t capacity_ = 1;
  std::uint32_t units_ = 1;
};

/// The plane of two resources divided into cells, at most 64 per row, so that one word has a bit
/// for each cell of a row.
template <std::size_t Resources>
class cell_grid {
 public:
  static constexpr std::uint32_t columns = 33;

  cell_grid() = default;
  /// Rows are by the resource with the smaller capacity, since it has fewer different loads: one
  /// row for each load when the capacity is small. With one resource there is one row, and `second`
  /// is ignored.
  cell_grid(const loads<Resources>& capacity, std::size_t first, std::size_t second) {
    if constexpr (Resources > 1) {
      if (capacity[second] < capacity[first]) std::swap(first, second);
      const std::int64_t most = capacity[first];
      rows_ = {first, most, most <= exact_rows ? static_cast<std::uint32_t>(most) : coarse_rows};
    } else {
      second = first;
    }
    columns_ = {second, capacity[second],
                static_cast<std::uint32_t>(std::min<std::int64_t>(columns - 1, capacity[second]))};
  }

  /// Whether two grids of the same capacity are equal.
  [[nodiscard]] bool same_as(const cell_grid& other) const noexcept {
    return rows_.resource() == other.rows_.resource() &&
           columns_.resource() == other.columns_.resource();
  }

  [[nodiscard]] const coarse_axis& row_axis() const noexcept { return rows_; }
  [[nodiscard]] const coarse_axis& column_axis() const noexcept { return columns_; }

  /// The cell of a full pack.
  [[nodiscard]] plane_point corner() const noexcept {
    return {.row = Resources > 1 ? rows_.units() : 0, .column = columns_.units()};
  }
  [[nodiscard]] std::size_t cells() const noexcept {
    return (corner().row + std::size_t{1}) * columns;
  }
  [[nodiscard]] plane_point point(const fitting_loads<Resources>& load) const noexcept {
    plane_point point{.column = columns_.nearest(load[columns_.resource()])};
    if constexpr (Resources > 1) point.row = rows_.nearest(load[rows_.resource()]);
    return point;
  }
  /// The index of a cell, in row-major order.
  [[nodiscard]] static constexpr std::uint32_t index(plane_point point) noexcept {
    return point.row * columns + point.column;
  }
  [[nodiscard]] static constexpr plane_point point(std::uint32_t index) noexcept {
    return {.row = index / columns, .column = index % columns};
  }

 private:
  static constexpr std::int64_t exact_rows = 64;
  static constexpr std::uint32_t coarse_rows = 32;

  coarse_axis rows_;
  coarse_axis columns_;
};

/// A sample in the buffer.
template <std::size_t Resources>
struct buffered_sample {
  std::uint64_t id = 0;
  std::uint64_t arrival = 0;  ///< number of samples pushed before it
  fitting_loads<Resources> load = {};
};

/// Buffered samples in slots. Inserting and taking a sample takes constant time. A buffer that was
/// moved from is like one made by the default constructor.
template <std::size_t Resources>
class sample_buffer {
 public:
  static constexpr std::uint32_t none = ~0U;

  /// A buffer without cells: arrange() comes before insert().
  sample_buffer() = default;
  explicit sample_buffer(const cell_grid<Resources>& grid) { arrange(grid); }

  [[nodiscard]] bool has_cells() const noexcept { return !cells_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] const cell_grid<Resources>& grid() const noexcept { return grid_; }
  [[nodiscard]] const buffered_sample<Resources>& operator[](std::uint32_t slot) const noexcept {
    return slots_[slot].sample;
  }

  /// Iterates over the slots from the oldest sample to the newest; `none` at the end.
  [[nodiscard]] std::uint32_t oldest() const noexcept { return by_age_.value().first; }
  [[nodiscard]] std::uint32_t newer(std::uint32_t slot) const noexcept {
    return slots_[slot].by_age.next;
  }
  /// The same within a cell.
  [[nodiscard]] std::uint32_t oldest_in(std::uint32_t cell) const noexcept {
    return cells_[cell].queue.first;
  }
  [[nodiscard]] std::uint32_t newer_in_cell(std::uint32_t slot) const noexcept {
    return slots_[slot].in_cell.next;
  }

  [[nodiscard]] std::uint32_t cell_of(std::uint32_t slot) const noexcept {
    return slots_[slot].cell;
  }
  [[nodiscard]] std::uint32_t count(std::uint32_t cell) const noexcept {
    return cells_[cell].count;
  }
  /// The columns of a row that contain samples, one bit per column.
  [[nodiscard]] std::uint64_t filled(std::uint32_t row) const noexcept { return filled_[row]; }

  /// Inserts a sample and returns its slot. Strong guarantee.
  std::uint32_t insert(const buffered_sample<Resources>& sample) {
    std::uint32_t& free = free_.value().first;
    if (free == none) {
      slots_.emplace_back();
      free = static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free;
    free = slots_[slot].next_free;
    slots_[slot].sample = sample;
    append(by_age_.value(), &slot_data::by_age, slot);
    enter_cell(slot);
    ++size_.value();
    return slot;
  }

  buffered_sample<Resources> take(std::uint32_t slot) noexcept {
    slot_data& taken = slots_[slot];
    unlink(by_age_.value(), &slot_data::by_age, slot);
    cell_data& cell = cells_[taken.cell];
    unlink(cell.queue, &slot_data::in_cell, slot);
    if (--cell.count == 0) {
      const plane_point point = grid_.point(taken.cell);
      filled_[point.row] &= ~(std::uint64_t{1} << point.column);
    }
    taken.next_free = std::exchange(free_.value().first, slot);
    --size_.value();
    return taken.sample;
  }

  /// Undoes take(slot): restores the sample to its places in the queues. Precondition: all later
  /// changes were undone, so several samples are put back in reverse order of taking.
  void put_back(std::uint32_t slot) noexcept {
    slot_data& taken = slots_[slot];
    free_.value().first = taken.next_free;
    relink(by_age_.value(), &slot_data::by_age, slot);
    cell_data& cell = cells_[taken.cell];
    relink(cell.queue, &slot_data::in_cell, slot);
    ++cell.count;
    const plane_point point = grid_.point(taken.cell);
    filled_[point.row] |= std::uint64_t{1} << point.column;
    ++size_.value();
  }

  /// Redistributes all samples to the cells of another grid. Strong guarantee.
  void arrange(const cell_grid<Resources>& grid) {
    std::vector<cell_data> cells(grid.cells());
    std::vector<std::uint64_t> filled(grid.corner().row + std::size_t{1});
    grid_ = grid;
    cells_ = std::move(cells);
    filled_ = std::move(filled);
    for (std::uint32_t slot = oldest(); slot != none; slot = newer(slot)) enter_cell(slot);
  }

 private:
  struct links {
    std::uint32_t previous = none;
    std::uint32_t next = none;
  };
  struct slot_data {
    buffered_sample<Resources> sample;
    std::uint32_t cell = 0;
    std::uint32_t next_free = none;
    links by_age;
    links in_cell;
  };
  struct queue_ends {
    std::uint32_t first = none;
    std::uint32_t last = none;
  };
  struct cell_data {
    queue_ends queue;
    std::uint32_t count = 0;
  };

  void enter_cell(std::uint32_t slot) noexcept {
    const plane_point point = grid_.point(slots_[slot].sample.load);
    const std::uint32_t cell = grid_.index(point);
    slots_[slot].cell = cell;
    append(cells_[cell].queue, &slot_data::in_cell, slot);
    ++cells_[cell].count;
    filled_[point.row] |= std::uint64_t{1} << point.column;
  }

  void append(queue_ends& to, links slot_data::*which, std::uint32_t slot) noexcept {
    slots_[slot].*which = {.previous = to.last, .next = none};
    (to.last == none ? to.first : (slots_[to.last].*which).next) = slot;
    to.last = slot;
  }
  void unlink(queue_ends& from, links slot_data::*which, std::uint32_t slot) noexcept {
    const auto [previous, next] = slots_[slot].*which;
    (previous == none ? from.first : (slots_[previous].*which).next) = next;
    (next == none ? from.last : (slots_[next].*which).previous) = previous;
  }
  // A taken slot still has its links to its neighbours.
  void relink(queue_ends& into, links slot_data::*which, std::uint32_t slot) noexcept {
    const auto [previous, next] = slots_[slot].*which;
    (previous == none ? into.first : (slots_[previous].*which).next) = slot;
    (next == none ? into.last : (slots_[next].*which).previous) = slot;
  }

  cell_grid<Resources> grid_;
  std::vector<slot_data> slots_;
  emptied_when_moved<queue_ends> free_;  // the first of a chain of free slots
  emptied_when_moved<queue_ends> by_age_;
  std::vector<cell_data> cells_;
  std::vector<std::uint64_t> filled_;  // by row
  emptied_when_moved<std::size_t> size_;
};

}  // namespace omnibal::inline v0::detail
