// SPDX-License-Identifier: Apache-2.0
/// @file
/// Streaming (online) packing: groups samples into packs while they arrive, with a bounded buffer,
/// when the loads of all samples are not known in advance. Otherwise use balanced.hpp.
///
/// Every pack contains the oldest buffered sample. The others are the choice of the highest total
/// item value that fits (detail/buffer_values.hpp). docs/packing.md explains the method.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/emptied_when_moved.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/detail/buffer_knapsack.hpp>
#include <omnibal/packing/detail/buffer_values.hpp>
#include <omnibal/packing/detail/finish_packing.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pack_queue.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>
#include <omnibal/packing/detail/sample_buffer.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0 {

namespace packers {

/// streaming_packer as a packer of whole tables, in their order, with the options that only it has.
/// It draws nothing and balances no costs: seed, epoch and cost change nothing.
struct streaming {
  static constexpr std::string_view name = "streaming";

  /// The most samples buffered between calls, 1 … 2²⁰. A larger buffer gives fewer packs; packs are
  /// full only if the buffer is larger than the number of samples in a full pack.
  std::uint32_t buffer = 1000;
  /// The number of later pushes after which a sample must be in a pack. By default 8 · buffer.
  std::optional<std::uint64_t> age_limit = {};
  /// The fill from which a pack is made at once instead of when the buffer is full, in thousandths
  /// of the capacity of the resource that is filled most: 1 … 1000. By default packs are made only
  /// when the buffer is full, which gives the fewest packs.
  std::optional<std::uint32_t> good_enough = {};

  template <std::size_t Resources>
  [[nodiscard]] packing_result pack(std::span<const loads<Resources>> samples,
                                    const packing_options<Resources>& options) const;
};

}  // namespace packers

/// A sample in the buffer of a streaming packer.
template <std::size_t Resources>
struct streamed_sample {
  std::uint64_t id = 0;
  std::uint64_t arrival = 0;  ///< number of samples pushed before it
  loads<Resources> load = {};

  friend bool operator==(const streamed_sample&, const streamed_sample&) = default;
};

/// The complete state of a streaming packer, in integers, to be written into a checkpoint.
template <std::size_t Resources>
struct streaming_state {
  static constexpr std::uint32_t current_version = 1;

  std::uint32_t version = current_version;
  loads<Resources> capacity = {};  ///< of the packer
  std::uint32_t buffer = 0;        ///< of the packer
  std::uint64_t pushed = 0;        ///< samples; likewise packed and skipped
  std::uint64_t packed = 0;
  std::uint64_t packs = 0;  ///< made so far, popped or not
  std::uint64_t skipped = 0;
  std::vector<std::uint64_t> oversize = {};               ///< ids
  std::vector<std::vector<std::uint64_t>> ready = {};     ///< packs that were not popped yet
  std::vector<streamed_sample<Resources>> buffered = {};  ///< oldest first
  /// The two resources by which samples are divided into cells, and statistics of recent samples.
  std::array<std::uint32_t, 2> plane = {};
  std::vector<std::uint32_t> seen = {};
  std::array<std::uint64_t, Resources> volume = {};

  friend bool operator==(const streaming_state&, const streaming_state&) = default;
};

/// Groups samples into packs while they arrive. Not thread-safe.
///
///     streaming_packer<2> packer({.capacity = {9, 4096}});
///     while (...) {
///       packer.push(id, loads);
///       while (auto pack = packer.pop()) train(*pack);
///     }
///     packer.flush();
///     while (auto pack = packer.pop()) train(*pack);
///
/// After every call, each sample pushed is buffered, in exactly one pack, or was skipped and is
/// listed. At most `buffer` samples are buffered, none for more than `age_limit` pushes. No pack is
/// empty, and no pack exceeds a capacity except own packs of single oversize samples.
/// Deterministic: the same pushes give the same packs on every platform.
///
/// A call that throws, be it for lack of memory, changes nothing: the same call may be repeated.
/// A packer owns all that it keeps. One that was moved from is a new packer with the same options,
/// except that its resources have no names.
///
/// A push takes constant time until the buffer is full or its oldest sample reaches the age limit;
/// then it makes one pack per 64 buffered samples, at least one. That takes one dynamic program
/// over the occupied cells (detail/sample_buffer.hpp; at most 65 · 33) and the size of a pack in as
/// many units, independent of the buffer, and constant time per sample packed. With `good_enough` a
/// pack is also tried after every push while at most 16 samples are buffered, then less often:
/// about eight times while their number doubles.
template <std::size_t Resources>
class streaming_packer {
 public:
  /// An empty packer. Throws invalid_input for capacities below 1, and for a buffer or good_enough
  /// out of range.
  explicit streaming_packer(const packing_options<Resources>& options,
                            const packers::streaming& method = {});
  streaming_packer(const streaming_packer&) = default;
  streaming_packer(streaming_packer&&) noexcept = default;
  streaming_packer& operator=(const streaming_packer& other) {
    return *this = streaming_packer(other);
  }
  streaming_packer& operator=(streaming_packer&&) noexcept = default;
  ~streaming_packer() = default;
  /// A packer that continues from a state() of a packer with the same options: from there, the same
  /// pushes give the same packs. Throws invalid_input for a state of a packer with other options
  /// and for an inconsistent one.
  streaming_packer(const packing_options<Resources>& options, const packers::streaming& method,
                   const streaming_state<Resources>& state);

  /// Adds a sample; the caller may choose any id. Throws invalid_input for negative loads and,
  /// under oversize_policy::reject, for oversize samples, naming resource, id and value; the packer
  /// is then unchanged. The own pack of an oversize sample is ready at once.
  template <load_array Loads>
  requires(resource_count<Loads> == Resources) void push(std::uint64_t id, const Loads& load);

  /// Removes and returns the ids of the next pack, in the order in which packs were made;
  /// std::nullopt when none is ready. Never blocks.
  [[nodiscard]] std::optional<std::vector<std::uint64_t>> pop() noexcept { return ready_.pop(); }

  /// Makes packs of all buffered samples, without waiting for more.
  void flush();

  /// The state for a checkpoint. O(buffered samples + ready packs).
  [[nodiscard]] streaming_state<Resources> state() const;

  /// The number of buffered samples, and of packs that pop() has not returned yet.
  [[nodiscard]] std::size_t buffered() const noexcept { return samples_.size(); }
  [[nodiscard]] std::size_t ready() const noexcept { return ready_.size(); }
  /// The number of samples pushed so far: pushed() = packed() + skipped() + buffered().
  [[nodiscard]] std::uint64_t pushed() const noexcept { return total().pushed; }
  [[nodiscard]] std::uint64_t packed() const noexcept { return total().packed; }
  [[nodiscard]] std::uint64_t skipped() const noexcept { return total().skipped; }
  /// The number of packs made so far, popped or not.
  [[nodiscard]] std::uint64_t packs() const noexcept { return total().packs; }
  /// The number of pushes after that of the oldest buffered sample; 0 when none is buffered.
  [[nodiscard]] std::uint64_t oldest_age() const noexcept {
    return samples_.empty() ? 0 : pushed() - 1 - samples_[samples_.oldest()].arrival;
  }
  /// The ids of oversize samples, skipped or in packs of their own, in order of arrival.
  [[nodiscard]] const std::vector<std::uint64_t>& oversize() const noexcept { return oversize_; }

 private:
  using sums_type = detail::wide_sums<Resources>;
  using word = typename sums_type::word;

  /// Numbers since the first push.
  struct totals {
    std::uint64_t pushed = 0;
    std::uint64_t packed = 0;
    std::uint64_t packs = 0;
    std::uint64_t skipped = 0;
  };

  /// The pack being filled: the samples that this call took from the buffer since `first`.
  struct open_pack {
    std::size_t first;
    word sum;
  };

  /// What is needed to undo a call: how much there was before it, the slot of its sample, and
  /// copies of what cannot be undone step by step.
  struct call_record {
    totals total;
    std::size_t oversize;
    std::uint32_t inserted = detail::sample_buffer<Resources>::none;
    std::optional<detail::buffer_values<Resources>> values = {};
    std::optional<detail::sample_buffer<Resources>> samples = {};
  };

  template <typename Call>
  void all_or_nothing(const Call& call);
  void undo(call_record& before) noexcept;

  void start();
  [[nodiscard]] detail::cell_grid<Resources> first_grid() const {
    return {limits_.capacity, 0, Resources > 1 ? 1 : 0};
  }
  [[nodiscard]] detail::buffer_values<Resources> first_values() const {
    return {limits_.capacity, 2048 + 16 * std::uint64_t{buffer_size_}};
  }
  void insert(const detail::buffered_sample<Resources>& sample, call_record& before);
  void take_oversize(std::uint64_t id);
  void make_packs();
  [[nodiscard]] bool make_good_pack();
  [[nodiscard]] bool worth_a_try() const noexcept;
  [[nodiscard]] bool is_good_enough(const open_pack& pack) const noexcept;
  [[nodiscard]] open_pack fill();
  void deliver(const open_pack& pack);
  void top_up(open_pack& pack);
  void put(std::uint32_t slot, open_pack& pack);
  void deliver(std::vector<std::uint64_t> ids);
  void put_back(std::size_t first) noexcept;

  [[nodiscard]] const totals& total() const noexcept { return total_.value(); }
  [[nodiscard]] bool fits(std::uint32_t slot, const open_pack& pack) const noexcept;
  [[nodiscard]] std::uint32_t oldest_fit(std::uint32_t cell, const open_pack& pack) const noexcept;
  [[nodiscard]] std::uint32_t largest_fit(std::uint32_t cell, const open_pack& pack) const noexcept;
  [[nodiscard]] std::uint32_t largest_fit_in_row(std::uint32_t row,
                                                 const open_pack& pack) const noexcept;

  void validate(const streaming_state<Resources>& state) const;
  void restore_buffered(const streaming_state<Resources>& state);

  // The number of samples of a cell to consider.
  static constexpr int most_looks = 16;

  detail::pack_limits<Resources> limits_;
  std::uint32_t buffer_size_;
  std::uint64_t age_limit_;
  std::optional<std::uint32_t> good_enough_;
  sums_type sums_;
  detail::sample_buffer<Resources> samples_;  // has cells from the first push on
  detail::buffer_values<Resources> values_;
  detail::buffer_knapsack knapsack_;
  std::vector<std::uint32_t> taken_;  // slots taken by the current call, in order
  detail::pack_queue ready_;
  std::vector<std::uint64_t> oversize_;
  emptied_when_moved<totals> total_;
};

template <std::size_t Resources>
streaming_packer<Resources>::streaming_packer(const packing_options<Resources>& options,
                                              const packers::streaming& method)
    : limits_(detail::limits_of<Resources>(options)),
      buffer_size_(method.buffer),
      age_limit_(method.age_limit.value_or(8 * std::uint64_t{method.buffer})),
      good_enough_(method.good_enough),
      sums_({.capacity = options.capacity, .threshold = options.capacity}),
      values_(first_values()) {
  constexpr std::uint32_t most = 1U << 20;
  if (buffer_size_ < 1 || buffer_size_ > most)
    throw invalid_input("buffer", buffer_size_, "must be from 1 to " + std::to_string(most));
  if (good_enough_ && (*good_enough_ < 1 || *good_enough_ > 1000))
    throw invalid_input("good_enough", *good_enough_, "must be from 1 to 1000 thousandths");
}

template <std::size_t Resources>
template <load_array Loads>
requires(resource_count<Loads> ==
         Resources) void streaming_packer<Resources>::push(std::uint64_t id, const Loads& load) {
  const word given = detail::unsigned_loads<Resources>(load);
  const bool fitting = detail::fits_pack<Resources>(given, limits_.capacity);
  if (!fitting) detail::check_unfit(load, id, limits_);
  if (!samples_.has_cells()) start();
  all_or_nothing([&](call_record& before) {
    if (fitting)
      insert({.id = id, .arrival = pushed(), .load = given}, before);
    else
      take_oversize(id);
    ++total_.value().pushed;
    while (worth_a_try() && make_good_pack()) continue;
    while (samples_.size() > buffer_size_ || (!samples_.empty() && oldest_age() >= age_limit_))
      make_packs();
  });
}

template <std::size_t Resources>
void streaming_packer<Resources>::flush() {
  all_or_nothing([&](call_record&) {
    while (!samples_.empty()) make_packs();
  });
}

// Undone step by step: a copy of the packer for every call would take O(buffer).
template <std::size_t Resources>
template <typename Call>
void streaming_packer<Resources>::all_or_nothing(const Call& call) {
  taken_.clear();
  call_record before{.total = total(), .oversize = oversize_.size()};
  try {
    call(before);
  } catch (...) {
    undo(before);
    throw;
  }
}

template <std::size_t Resources>
void streaming_packer<Resources>::undo(call_record& before) noexcept {
  ready_.remove_newest(static_cast<std::size_t>(total().packs - before.total.packs));
  oversize_.resize(before.oversize);
  total_ = before.total;
  if (before.samples)
    samples_ = std::move(*before.samples);
  else
    put_back(0);
  if (before.inserted != samples_.none) {
    const detail::buffered_sample<Resources> sample = samples_.take(before.inserted);
    if (!before.values) values_.remove(sample.load, samples_.cell_of(before.inserted));
  }
  if (before.values) values_ = std::move(*before.values);
}

// The first push allocates what the packer needs, not the constructor, so that a packer that was
// moved from starts again as well.
template <std::size_t Resources>
void streaming_packer<Resources>::start() {
  detail::sample_buffer<Resources> samples(first_grid());
  detail::buffer_values<Resources> values = first_values();
  values.start(samples);
  samples_ = std::move(samples);
  values_ = std::move(values);
}

template <std::size_t Resources>
void streaming_packer<Resources>::insert(const detail::buffered_sample<Resources>& sample,
                                         call_record& before) {
  if (values_.halves_next()) before.values = values_;
  const std::uint32_t slot = samples_.insert(sample);
  const bool check_grid = values_.add(sample.load, samples_.cell_of(slot));
  before.inserted = slot;
  if (!check_grid) return;
  const auto grid = values_.tightest_grid();
  if (grid.same_as(samples_.grid())) return;
  if (!before.values) {
    before.values = values_;
    before.values->remove(sample.load, samples_.cell_of(slot));
  }
  before.samples = samples_;
  samples_.arrange(grid);
  values_.start(samples_);
}

template <std::size_t Resources>
void streaming_packer<Resources>::take_oversize(std::uint64_t id) {
  oversize_.push_back(id);
  if (limits_.oversize == oversize_policy::own_pack)
    deliver(std::vector{id});
  else
    ++total_.value().skipped;
}

// Makes packs, each with the oldest sample, from one dynamic program: as many as leave the item
// values of the other buffered samples nearly the same.
template <std::size_t Resources>
void streaming_packer<Resources>::make_packs() {
  constexpr std::size_t samples_per_pack = 64;
  const std::size_t packs = std::max<std::size_t>(samples_.size() / samples_per_pack, 1);
  knapsack_.solve(samples_.grid().corner(), values_.bundles(samples_));
  for (std::size_t k = 0; k < packs && !samples_.empty(); ++k) deliver(fill());
}

// Whether to try a pack now: rarely when many samples are buffered, because each try takes a
// dynamic program of its own.
template <std::size_t Resources>
bool streaming_packer<Resources>::worth_a_try() const noexcept {
  return good_enough_ && !samples_.empty() &&
         samples_.size() % std::max<std::size_t>(std::bit_floor(samples_.size()) / 8, 1) == 0;
}

// Makes one pack, unless none is good enough.
template <std::size_t Resources>
bool streaming_packer<Resources>::make_good_pack() {
  knapsack_.solve(samples_.grid().corner(), values_.bundles(samples_));
  const open_pack pack = fill();
  if (is_good_enough(pack)) {
    deliver(pack);
    return true;
  }
  put_back(pack.first);
  return false;
}

template <std::size_t Resources>
bool streaming_packer<Resources>::is_good_enough(const open_pack& pack) const noexcept {
  for (std::size_t r = 0; r < Resources; ++r) {
    const auto capacity = wide_integer{limits_.capacity[r]};
    if ((capacity - sums_.slack(pack.sum, r)) * 1000 >= capacity * *good_enough_) return true;
  }
  return false;
}

// The knapsack chooses cells; the first samples are the oldest of their cells, the last one is the
// largest that fits.
template <std::size_t Resources>
auto streaming_packer<Resources>::fill() -> open_pack {
  const auto& grid = samples_.grid();
  const std::uint32_t oldest = samples_.oldest();
  const detail::plane_point first = grid.point(samples_.cell_of(oldest));
  open_pack pack{.first = taken_.size(), .sum = sums_.empty()};
  put(oldest, pack);
  std::vector<std::uint32_t> cells;
  knapsack_.choose({grid.corner().row - first.row, grid.corner().column - first.column},
                   [&](const detail::cell_bundle& bundle) {
                     cells.insert(cells.end(), bundle.samples, bundle.cell);
                   });
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const bool last = k + 1 == cells.size();
    const std::uint32_t slot =
        last ? largest_fit_in_row(grid.point(cells[k]).row, pack) : oldest_fit(cells[k], pack);
    if (slot != samples_.none) put(slot, pack);
  }
  top_up(pack);
  return pack;
}

// Fills the slack of a pack with any samples that fit, large ones first.
template <std::size_t Resources>
void streaming_packer<Resources>::top_up(open_pack& pack) {
  std::uint32_t rows = 1;
  if constexpr (Resources > 1) {
    const detail::coarse_axis& axis = samples_.grid().row_axis();
    rows += axis.nearest(sums_.slack(pack.sum, axis.resource()));
  }
  for (std::uint32_t row = rows; row-- > 0;)
    for (std::uint32_t slot = largest_fit_in_row(row, pack); slot != samples_.none;
         slot = largest_fit_in_row(row, pack))
      put(slot, pack);
}

template <std::size_t Resources>
void streaming_packer<Resources>::put(std::uint32_t slot, open_pack& pack) {
  taken_.push_back(slot);
  pack.sum = sums_.add(pack.sum, samples_.take(slot).load);
}

// Undoes the latest calls of put().
template <std::size_t Resources>
void streaming_packer<Resources>::put_back(std::size_t first) noexcept {
  for (std::size_t k = taken_.size(); k-- > first;) samples_.put_back(taken_[k]);
  taken_.resize(first);
}

template <std::size_t Resources>
void streaming_packer<Resources>::deliver(const open_pack& pack) {
  std::vector<std::uint64_t> ids;
  const auto slots = std::span(taken_).subspan(pack.first);
  ids.reserve(slots.size());
  for (const std::uint32_t slot : slots) ids.push_back(samples_[slot].id);
  deliver(std::move(ids));
}

template <std::size_t Resources>
void streaming_packer<Resources>::deliver(std::vector<std::uint64_t> ids) {
  const std::size_t samples = ids.size();
  ready_.push(std::move(ids));
  total_.value().packed += samples;
  ++total_.value().packs;
}

template <std::size_t Resources>
bool streaming_packer<Resources>::fits(std::uint32_t slot, const open_pack& pack) const noexcept {
  return !sums_.exceeds(sums_.add(pack.sum, samples_[slot].load));
}

template <std::size_t Resources>
std::uint32_t streaming_packer<Resources>::oldest_fit(std::uint32_t cell,
                                                      const open_pack& pack) const noexcept {
  std::uint32_t slot = samples_.oldest_in(cell);
  for (int looks = 0; slot != samples_.none && looks < most_looks; ++looks) {
    if (fits(slot, pack)) return slot;
    slot = samples_.newer_in_cell(slot);
  }
  return samples_.none;
}

template <std::size_t Resources>
std::uint32_t streaming_packer<Resources>::largest_fit(std::uint32_t cell,
                                                       const open_pack& pack) const noexcept {
  const std::size_t r = samples_.grid().column_axis().resource();
  std::uint32_t largest = samples_.none;
  std::uint32_t slot = samples_.oldest_in(cell);
  for (int looks = 0; slot != samples_.none && looks < most_looks; ++looks) {
    if (fits(slot, pack) &&
        (largest == samples_.none || samples_[slot].load[r] > samples_[largest].load[r]))
      largest = slot;
    slot = samples_.newer_in_cell(slot);
  }
  return largest;
}

template <std::size_t Resources>
std::uint32_t streaming_packer<Resources>::largest_fit_in_row(
    std::uint32_t row, const open_pack& pack) const noexcept {
  const auto& grid = samples_.grid();
  const std::size_t r = grid.column_axis().resource();
  const std::uint32_t most = grid.column_axis().nearest(sums_.slack(pack.sum, r));
  std::uint64_t left = samples_.filled(row) & (~std::uint64_t{0} >> (63 - most));
  while (left != 0) {
    const auto column = static_cast<std::uint32_t>(std::bit_width(left) - 1);
    const std::uint32_t slot = largest_fit(grid.index({.row = row, .column = column}), pack);
    if (slot != samples_.none) return slot;
    left ^= std::uint64_t{1} << column;
  }
  return samples_.none;
}

template <std::size_t Resources>
streaming_state<Resources> streaming_packer<Resources>::state() const {
  streaming_state<Resources> state{.capacity = limits_.capacity,
                                   .buffer = buffer_size_,
                                   .pushed = pushed(),
                                   .packed = packed(),
                                   .packs = packs(),
                                   .skipped = skipped(),
                                   .oversize = oversize_,
                                   .ready = {ready_.packs().begin(), ready_.packs().end()}};
  const auto grid = samples_.has_cells() ? samples_.grid() : first_grid();
  state.plane = {static_cast<std::uint32_t>(grid.row_axis().resource()),
                 static_cast<std::uint32_t>(grid.column_axis().resource())};
  state.seen.resize(grid.cells());
  if (samples_.has_cells()) {
    state.seen = values_.memory().seen;
    state.volume = values_.memory().volume;
  }
  for (std::uint32_t slot = samples_.oldest(); slot != samples_.none; slot = samples_.newer(slot)) {
    state.buffered.push_back({.id = samples_[slot].id, .arrival = samples_[slot].arrival});
    for (std::size_t r = 0; r < Resources; ++r)
      state.buffered.back().load[r] = static_cast<std::int64_t>(samples_[slot].load[r]);
  }
  return state;
}

template <std::size_t Resources>
streaming_packer<Resources>::streaming_packer(const packing_options<Resources>& options,
                                              const packers::streaming& method,
                                              const streaming_state<Resources>& state)
    : streaming_packer(options, method) {
  validate(state);
  total_ = totals{.pushed = state.pushed,
                  .packed = state.packed,
                  .packs = state.packs,
                  .skipped = state.skipped};
  oversize_ = state.oversize;
  ready_ = detail::pack_queue(state.ready);
  samples_.arrange({limits_.capacity, std::min(state.plane[0], state.plane[1]),
                    std::max(state.plane[0], state.plane[1])});
  restore_buffered(state);
}

template <std::size_t Resources>
void streaming_packer<Resources>::validate(const streaming_state<Resources>& state) const {
  if (state.version != state.current_version)
    throw invalid_input("state.version", state.version,
                        "must be " + std::to_string(state.current_version));
  for (std::size_t r = 0; r < Resources; ++r)
    if (state.capacity[r] != limits_.capacity[r])
      throw invalid_input("state.capacity", r, state.capacity[r],
                          "must be that of the options, " + std::to_string(limits_.capacity[r]));
  if (state.buffer != buffer_size_)
    throw invalid_input("state.buffer", state.buffer,
                        "must be that of the options, " + std::to_string(buffer_size_));
  for (std::size_t k = 0; k < state.plane.size(); ++k)
    if (state.plane[k] >= Resources)
      throw invalid_input("state.plane", k, state.plane[k], "must be a resource");
  if (Resources > 1 && state.plane[0] == state.plane[1])
    throw invalid_input("state.plane", 1, state.plane[1], "must not be the same resource twice");
  for (std::size_t k = 0; k < state.ready.size(); ++k)
    if (state.ready[k].empty()) throw invalid_input("state.ready", k, "empty", "must hold samples");
  if (state.buffered.size() > buffer_size_)
    throw invalid_input("state.buffered", state.buffered.size(),
                        "must be at most the buffer of samples");
  if (state.packed > state.pushed || state.skipped > state.pushed - state.packed ||
      state.buffered.size() != state.pushed - state.packed - state.skipped)
    throw invalid_input("state.pushed", state.pushed,
                        "must be the samples packed, skipped and buffered together");
}

template <std::size_t Resources>
void streaming_packer<Resources>::restore_buffered(const streaming_state<Resources>& state) {
  std::uint64_t next_arrival = 0;
  for (std::size_t k = 0; k < state.buffered.size(); ++k) {
    const auto& [id, arrival, load] = state.buffered[k];
    if (arrival < next_arrival || arrival >= state.pushed)
      throw invalid_input("state.buffered arrival", k, arrival,
                          "must ascend and be less than the samples pushed");
    next_arrival = arrival + 1;
    const word given = detail::unsigned_loads<Resources>(load);
    for (std::size_t r = 0; r < Resources; ++r)
      if (!detail::fits_pack<Resources>(given, limits_.capacity) &&
          (load[r] < 0 || load[r] > limits_.capacity[r]))
        throw invalid_input("state.buffered load", k, load[r], "must be from 0 to the capacity");
    samples_.insert({.id = id, .arrival = arrival, .load = given});
  }
  if (state.seen.size() != samples_.grid().cells())
    throw invalid_input(
        "state.seen", state.seen.size(),
        "must be as many numbers as there are cells, " + std::to_string(samples_.grid().cells()));
  values_.restore({.seen = state.seen, .volume = state.volume});
}

namespace detail {

/// Appends the packs that are ready.
template <std::size_t Resources>
void take_ready(streaming_packer<Resources>& packer, grouping<std::uint32_t>& packs) {
  while (const auto pack = packer.pop()) {
    for (const std::uint64_t id : *pack) packs.push_back(static_cast<std::uint32_t>(id));
    packs.close_group();
  }
}

}  // namespace detail

template <std::size_t Resources>
packing_result packers::streaming::pack(std::span<const loads<Resources>> samples,
                                        const packing_options<Resources>& options) const {
  constexpr std::uint32_t reported = 1U << 16;
  const std::uint32_t count = detail::checked_sample_count(samples);
  // Own packs come after all others.
  packing_options<Resources> fitting = options;
  if (options.oversize == oversize_policy::own_pack) fitting.oversize = oversize_policy::skip;
  streaming_packer<Resources> packer(fitting, *this);
  packing_result result;
  for (std::uint32_t id = 0; id < count; ++id) {
    packer.push(id, samples[id]);
    detail::take_ready(packer, result.packs);
    if (id % reported == 0) options.control.report_progress("pack", id, count);
  }
  packer.flush();
  detail::take_ready(packer, result.packs);
  const std::uint64_t bound =
      bound_packs(samples, bound_options<Resources>{.capacity = options.capacity,
                                                    .oversize = fitting.oversize,
                                                    .names = options.names})
          .packs;
  detail::finish_packing(result, {packer.oversize().begin(), packer.oversize().end()},
                         options.oversize, bound);
  return result;
}

}  // namespace omnibal::inline v0

#if defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/streaming_instances.ipp>
#endif
