// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs samples that come one after the other and whose loads nobody knows beforehand.
///
/// Every pack begins with the oldest sample that is held. What goes with it is the choice of the
/// highest worth that fits, where a sample is worth its size, the more the more samples like it are
/// held against their share of the stream. So what silts up becomes dear and leaves.
///
/// Sources: Tassiulas and Ephremides, "Stability properties of constrained queueing systems and
/// scheduling policies for maximum throughput in multihop radio networks", IEEE Transactions on
/// Automatic Control 1992: weighing each queue by its length keeps all of them bounded wherever any
/// policy does; Csirik et al., "On the sum-of-squares algorithm for bin packing", JACM 2006.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <numeric>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/capacity.hpp>
#include <omnibal/packing/held_knapsack.hpp>
#include <omnibal/packing/held_samples.hpp>
#include <omnibal/packing/load_sums.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace omnibal::inline v0 {

/// Options of streaming_packer.
template <std::size_t Resources>
struct streaming_options {
  /// The most a pack may hold of each resource; at least 1.
  loads<Resources> capacity;
  /// The most samples held between two calls, 1 … 2²⁰. The more there are to choose from, the fewer
  /// packs.
  std::uint32_t buffer = 1000;
  /// How many more samples may be pushed before a sample must be in a pack. By default 8 · buffer.
  std::optional<std::uint64_t> age_limit = {};
  oversize_policy oversize = oversize_policy::reject;
  resource_names<Resources> names = {};
};

/// A sample in the buffer of a streaming packer.
template <std::size_t Resources>
struct streamed_sample {
  std::uint64_t id = 0;
  std::uint64_t arrival = 0;  ///< how many samples were pushed before it
  loads<Resources> load = {};

  friend bool operator==(const streamed_sample&, const streamed_sample&) = default;
};

/// All that a streaming packer knows: integers only, to be written into a checkpoint.
template <std::size_t Resources>
struct streaming_state {
  std::uint32_t version = 1;
  loads<Resources> capacity = {};  ///< the options that it was made under
  std::uint32_t buffer = 0;
  std::vector<streamed_sample<Resources>> held = {};     ///< oldest first
  std::vector<std::vector<std::uint64_t>> ready = {};    ///< packs not popped yet
  std::vector<std::uint64_t> oversize = {};              ///< as oversize()
  std::uint64_t pushed = 0;
  std::uint64_t packed = 0;
  std::uint64_t packs = 0;
  std::uint64_t skipped = 0;
  std::array<std::uint32_t, 2> plane = {};               ///< the resources that cells tell apart
  std::vector<std::uint32_t> seen = {};                  ///< by cell: samples, old ones forgotten
  std::array<std::uint64_t, Resources> volume = {};      ///< Σ load / capacity of these, 2⁻²⁰ each

  friend bool operator==(const streaming_state&, const streaming_state&) = default;
};

/// Groups samples into packs while they arrive.
///
///     streaming_packer<2> packer({.capacity = {9, 4096}});
///     for (...) {
///       packer.push(id, loads);
///       while (auto pack = packer.pop()) train(*pack);
///     }
///     packer.flush();
///     while (auto pack = packer.pop()) train(*pack);
///
/// What holds after every call: every sample pushed is held, in exactly one pack, or listed as
/// oversize; at most `buffer` samples are held; none is held for more than `age_limit` pushes; no
/// pack exceeds a capacity but those of single oversize samples, and none is empty. The same pushes
/// give the same packs on every platform: nothing is random.
///
/// A push takes constant time but when a sample has to leave. Then it makes one pack, or one for
/// each 128 samples held: a dynamic program over the occupied cells, at most 65 · 64, and the size
/// of a pack in as many units. Memory: about 80 bytes a sample held, and the program's table.
template <std::size_t Resources>
class streaming_packer {
 public:
  /// Throws invalid_input for a capacity below 1 or a buffer out of range.
  explicit streaming_packer(const streaming_options<Resources>& options);
  /// Goes on where another packer with the same options was when it gave its state(). Throws
  /// invalid_input for a state that no such packer can give.
  streaming_packer(const streaming_options<Resources>& options,
                   const streaming_state<Resources>& state);

  /// Takes a sample. `id` is the caller's, and need not be unique. Throws invalid_input for negative
  /// loads and, under oversize_policy::reject, for an oversize sample, naming resource, id and value;
  /// the packer is then as before.
  template <load_array Loads>
  requires(resource_count<Loads> == Resources) void push(std::uint64_t id, const Loads& load);

  /// The ids of a pack, in the order in which packs were made; nothing where none is ready.
  [[nodiscard]] std::optional<std::vector<std::uint64_t>> pop();

  /// Makes packs of all samples held, without waiting for more.
  void flush();

  /// How many samples are held, and how many packs wait for pop().
  [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }
  [[nodiscard]] std::size_t ready() const noexcept { return ready_.size(); }
  /// How many samples were pushed without error, are in packs, and were skipped as oversize:
  /// pushed() = packed() + skipped() + held().
  [[nodiscard]] std::uint64_t pushed() const noexcept { return pushed_; }
  [[nodiscard]] std::uint64_t packed() const noexcept { return packed_; }
  [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }
  /// How many packs were made, popped or not.
  [[nodiscard]] std::uint64_t packs() const noexcept { return packs_; }
  /// How many samples were pushed after the oldest one held; 0 where none is held.
  [[nodiscard]] std::uint64_t oldest_age() const noexcept {
    return held_.empty() ? 0 : pushed_ - 1 - held_[held_.oldest()].arrival;
  }
  /// The ids of oversize samples, skipped or in packs of their own, in the order in which they came.
  [[nodiscard]] const std::vector<std::uint64_t>& oversize() const noexcept { return oversize_; }

  [[nodiscard]] streaming_state<Resources> state() const;

 private:
  using sums = detail::wide_sums<Resources>;
  using word = typename sums::word;

  /// The pack being filled.
  struct open_pack {
    std::vector<std::uint64_t> ids;
    word sum;
  };

  void remember(const word& load);
  void forget();
  [[nodiscard]] detail::cell_grid<Resources> tightest_grid() const;
  void make_packs();
  [[nodiscard]] std::vector<detail::cell_bundle> price_samples() const;
  void fill(const detail::held_knapsack& knapsack);
  void put(std::uint32_t slot, open_pack& pack);
  [[nodiscard]] bool fits(std::uint32_t slot, const open_pack& pack) const noexcept;
  [[nodiscard]] std::uint32_t first_fit(std::uint32_t cell, const open_pack& pack) const noexcept;
  [[nodiscard]] std::uint32_t largest_fit(std::uint32_t cell, const open_pack& pack) const noexcept;
  [[nodiscard]] std::uint32_t largest_fit_in_row(std::uint32_t row,
                                                 const open_pack& pack) const noexcept;
  void top_up(open_pack& pack);
  void deliver(std::vector<std::uint64_t> ids);

  detail::pack_limits<Resources> limits_;
  std::uint32_t buffer_;
  std::uint64_t age_limit_;
  sums sums_;
  detail::held_samples<Resources> held_;
  std::vector<std::uint32_t> seen_;
  std::uint64_t seen_in_all_ = 0;
  std::array<std::uint64_t, Resources> volume_{};
  std::deque<std::vector<std::uint64_t>> ready_;
  std::vector<std::uint64_t> oversize_;
  std::uint64_t pushed_ = 0;
  std::uint64_t packed_ = 0;
  std::uint64_t packs_ = 0;
  std::uint64_t skipped_ = 0;
};

template <std::size_t Resources>
streaming_packer<Resources>::streaming_packer(const streaming_options<Resources>& options)
    : limits_(detail::limits_of<Resources>(options)),
      buffer_(options.buffer),
      age_limit_(options.age_limit.value_or(8 * std::uint64_t{options.buffer})),
      sums_({.capacity = options.capacity, .threshold = options.capacity}),
      held_(detail::cell_grid<Resources>(options.capacity, 0, Resources > 1 ? 1 : 0)),
      seen_(held_.grid().cells()) {
  constexpr std::uint32_t most = 1U << 20;
  if (buffer_ < 1 || buffer_ > most)
    throw invalid_input("buffer", buffer_, "must be between 1 and " + std::to_string(most));
}

template <std::size_t Resources>
template <load_array Loads>
requires(resource_count<Loads> == Resources) void streaming_packer<Resources>::push(
    std::uint64_t id, const Loads& load) {
  const word given = detail::unsigned_loads<Resources>(load);
  if (!detail::fits_pack<Resources>(given, limits_.capacity)) {
    detail::check_unfit(load, id, limits_);
    oversize_.push_back(id);
    ++pushed_;
    if (limits_.oversize == oversize_policy::own_pack)
      deliver({id});
    else
      ++skipped_;
  } else {
    held_.insert({.id = id, .arrival = pushed_, .load = given});
    ++pushed_;
    remember(given);
  }
  while (held_.size() > buffer_ || (!held_.empty() && oldest_age() >= age_limit_)) make_packs();
}

template <std::size_t Resources>
std::optional<std::vector<std::uint64_t>> streaming_packer<Resources>::pop() {
  if (ready_.empty()) return std::nullopt;
  std::optional pack = std::move(ready_.front());
  ready_.pop_front();
  return pack;
}

template <std::size_t Resources>
void streaming_packer<Resources>::flush() {
  while (!held_.empty()) make_packs();
}

template <std::size_t Resources>
void streaming_packer<Resources>::remember(const word& load) {
  ++seen_[held_.grid().index(held_.grid().point(load))];
  ++seen_in_all_;
  if (seen_in_all_ >= 32 * std::uint64_t{buffer_} + 4096) forget();
}

// Old samples count half.
template <std::size_t Resources>
void streaming_packer<Resources>::forget() {
  seen_in_all_ = 0;
  for (std::uint32_t& count : seen_) seen_in_all_ += count /= 2;
}

// One pack with each of the oldest samples, while the prices of all samples are much the same.
template <std::size_t Resources>
void streaming_packer<Resources>::make_packs() {
  constexpr std::size_t samples_per_pack = 128;
  detail::held_knapsack knapsack(held_.grid().corner());
  knapsack.solve(price_samples());
  for (std::size_t left = held_.size() / samples_per_pack + 1; left > 0 && !held_.empty(); --left)
    fill(knapsack);
}

template <std::size_t Resources>
std::vector<detail::cell_bundle> streaming_packer<Resources>::price_samples() const {
  const auto& grid = held_.grid();
  const detail::plane_point corner = grid.corner();
  const std::int64_t row_share = corner.row == 0 ? 0 : (1 << 16) / corner.row;
  const std::int64_t column_share = (1 << 16) / corner.column;
  std::vector<detail::cell_bundle> bundles;
  for (std::uint32_t row = 0; row <= corner.row; ++row)
    for (std::uint64_t columns = held_.filled(row); columns != 0; columns &= columns - 1) {
      const auto column = static_cast<std::uint32_t>(std::countr_zero(columns));
      if (row == 0 && column == 0) continue;
      const std::uint32_t cell = grid.index({.row = row, .column = column});
      const std::int64_t share = row * row_share + column * column_share;
      std::int64_t most = held_.count(cell);
      const std::int64_t expected = static_cast<std::int64_t>(wide_integer{seen_[cell]} * held_.size() * 256 / seen_in_all_);
      const std::int64_t in_cell = most;
      if (row > 0) most = std::min<std::int64_t>(most, corner.row / row);
      if (column > 0) most = std::min<std::int64_t>(most, corner.column / column);
      for (std::int64_t copies = 1, before = 0; before < most; before += copies, copies = std::min<std::int64_t>(before, most - before)) {
        const std::int64_t ratio = std::min<std::int64_t>(((in_cell - before - copies / 2) << 16) / (expected + 256), 4096);
        bundles.push_back({.cell = cell, .samples = static_cast<std::uint32_t>(copies),
          .size = {.row = static_cast<std::uint32_t>(copies) * row, .column = static_cast<std::uint32_t>(copies) * column},
          .value = static_cast<std::int32_t>(std::max<std::int64_t>(1, (copies * share * ratio) >> 4))});
      }
    }
  return bundles;
}

template <std::size_t Resources>
void streaming_packer<Resources>::fill(const detail::held_knapsack& knapsack) {
  open_pack pack{.ids = {}, .sum = sums_.empty()};
  const std::uint32_t oldest = held_.oldest();
  const auto corner = held_.grid().corner();
  const auto point = held_.grid().point(held_.cell_of(oldest));
  put(oldest, pack);
  std::vector<std::uint32_t> cells;
  knapsack.choose({corner.row - point.row, corner.column - point.column},
                  [&](const detail::cell_bundle& bundle) {
                    cells.insert(cells.end(), bundle.samples, bundle.cell);
                  });
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const std::uint32_t slot = k + 1 < cells.size() ? first_fit(cells[k], pack)
      : largest_fit_in_row(held_.grid().point(cells[k]).row, pack);
    if (slot != held_.none) put(slot, pack);
  }
  top_up(pack);
  deliver(std::move(pack.ids));
}

template <std::size_t Resources>
void streaming_packer<Resources>::put(std::uint32_t slot, open_pack& pack) {
  const auto sample = held_.take(slot);
  pack.ids.push_back(sample.id);
  pack.sum = sums_.add(pack.sum, sample.load);
}

template <std::size_t Resources>
bool streaming_packer<Resources>::fits(std::uint32_t slot, const open_pack& pack) const noexcept {
  return !sums_.exceeds(sums_.add(pack.sum, held_[slot].load));
}

template <std::size_t Resources>
std::uint32_t streaming_packer<Resources>::first_fit(std::uint32_t cell, const open_pack& pack) const noexcept {
  int tries = 8;
  for (std::uint32_t slot = held_.oldest_in(cell); slot != held_.none && tries-- > 0; slot = held_.newer_in_cell(slot))
    if (fits(slot, pack)) return slot;
  return held_.none;
}

template <std::size_t Resources>
std::uint32_t streaming_packer<Resources>::largest_fit(std::uint32_t cell, const open_pack& pack) const noexcept {
  const std::size_t column = held_.grid().column_axis().resource();
  int tries = 16;
  std::uint32_t best = held_.none;
  for (std::uint32_t slot = held_.oldest_in(cell); slot != held_.none && tries-- > 0; slot = held_.newer_in_cell(slot))
    if (fits(slot, pack) && (best == held_.none || held_[slot].load[column] > held_[best].load[column])) best = slot;
  return best;
}

template <std::size_t Resources>
std::uint32_t streaming_packer<Resources>::largest_fit_in_row(std::uint32_t row, const open_pack& pack) const noexcept {
  const auto& columns = held_.grid().column_axis();
  const std::uint32_t most = columns.nearest(sums_.room(pack.sum, columns.resource()));
  for (std::uint64_t left = held_.filled(row) & (~std::uint64_t{0} >> (63 - most)); left != 0;) {
    const auto column = 63 - static_cast<std::uint32_t>(std::countl_zero(left));
    const std::uint32_t slot = largest_fit(held_.grid().index({.row = row, .column = column}), pack);
    if (slot != held_.none) return slot;
    left &= ~(std::uint64_t{1} << column);
  }
  return held_.none;
}

template <std::size_t Resources>
void streaming_packer<Resources>::top_up(open_pack& pack) {
  std::uint32_t row = 0;
  const auto& rows = held_.grid().row_axis();
  if constexpr (Resources > 1) row = rows.nearest(sums_.room(pack.sum, rows.resource()));
  for (++row; row-- > 0;) {
    for (std::uint32_t slot = largest_fit_in_row(row, pack); slot != held_.none; slot = largest_fit_in_row(row, pack))
      put(slot, pack);
  }
}

template <std::size_t Resources>
void streaming_packer<Resources>::deliver(std::vector<std::uint64_t> ids) {
  packed_ += ids.size();
  ++packs_;
  ready_.push_back(std::move(ids));
}

}  // namespace omnibal::inline v0
