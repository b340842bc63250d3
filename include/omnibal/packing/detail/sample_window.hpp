// SPDX-License-Identifier: Apache-2.0
/// @file
/// A window on a queue of samples, from which a packer takes either the next sample or the one that
/// fits best.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// The next 64 samples of a queue, sorted coarsely by a key. Finding, taking and replacing a sample
/// takes constant time: bit sets record which slots contain samples of each level of keys, and
/// which levels occur.
template <typename Sample>
class sample_window {
 public:
  static constexpr unsigned slots = 64;
  /// Returned when there is no slot to find.
  static constexpr unsigned none = slots;

  /// `key(sample)` is non-negative; levels divide the range of keys from `least` to `most`.
  template <typename Key>
  sample_window(std::span<const Sample> queue, std::int64_t least, std::int64_t most,
                const Key& key)
      : queue_(queue), least_(least) {
    while (((most - least) >> shift_) >= slots) ++shift_;
    for (unsigned slot = 0; slot < slots; ++slot) refill(slot, key);
  }

  [[nodiscard]] bool empty() const noexcept { return filled_ == 0; }
  /// The number of samples in the window and the queue behind it.
  [[nodiscard]] std::size_t size() const noexcept {
    return static_cast<std::size_t>(std::popcount(filled_)) + queue_.size() - next_;
  }
  [[nodiscard]] const Sample& operator[](unsigned slot) const noexcept { return samples_[slot]; }

  [[nodiscard]] std::int64_t key(unsigned slot) const noexcept { return keys_[slot]; }

  /// The next slot in cyclic order, so that no sample stays forever.
  [[nodiscard]] unsigned next() noexcept {
    if (empty()) return none;
    const auto ahead = static_cast<unsigned>(std::countr_zero(std::rotr(filled_, turn_)));
    const unsigned slot = (static_cast<unsigned>(turn_) + ahead) % slots;
    turn_ = static_cast<int>((slot + 1) % slots);
    return slot;
  }

  /// A slot with a key nearest to this one.
  [[nodiscard]] unsigned nearest(std::int64_t key) const noexcept {
    if (empty()) return none;
    const unsigned level = level_of(key);
    const auto above = static_cast<unsigned>(std::countr_zero(levels_ >> level));
    const auto below = static_cast<unsigned>(std::countl_zero(levels_ << (slots - 1 - level)));
    return first_of(below <= above ? level - below : level + above);
  }

  /// A slot of the next lower level below that of this slot.
  [[nodiscard]] unsigned lower(unsigned slot) const noexcept {
    const std::uint64_t lower = levels_ & ((std::uint64_t{1} << level_[slot]) - 1);
    return lower == 0 ? none : first_of(slots - 1 - static_cast<unsigned>(std::countl_zero(lower)));
  }

  /// Takes the sample out of a slot; the next sample of the queue replaces it.
  template <typename Key>
  Sample take(unsigned slot, const Key& key) noexcept {
    const Sample sample = samples_[slot];
    const unsigned level = level_[slot];
    members_[level] &= ~bit(slot);
    if (members_[level] == 0) levels_ &= ~bit(level);
    filled_ &= ~bit(slot);
    refill(slot, key);
    return sample;
  }

 private:
  [[nodiscard]] static constexpr std::uint64_t bit(unsigned k) noexcept {
    return std::uint64_t{1} << k;
  }
  [[nodiscard]] unsigned level_of(std::int64_t key) const noexcept {
    return static_cast<unsigned>(std::clamp<std::int64_t>((key - least_) >> shift_, 0, slots - 1));
  }
  [[nodiscard]] unsigned first_of(unsigned level) const noexcept {
    return static_cast<unsigned>(std::countr_zero(members_[level]));
  }

  template <typename Key>
  void refill(unsigned slot, const Key& key) noexcept {
    if (next_ == queue_.size()) return;
    samples_[slot] = queue_[next_++];
    keys_[slot] = key(samples_[slot]);
    const unsigned level = level_of(keys_[slot]);
    level_[slot] = static_cast<std::uint8_t>(level);
    members_[level] |= bit(slot);
    levels_ |= bit(level);
    filled_ |= bit(slot);
  }

  std::span<const Sample> queue_;
  std::size_t next_ = 0;
  std::int64_t least_;
  int shift_ = 0;
  int turn_ = 0;
  std::uint64_t filled_ = 0;                    // slots with a sample
  std::uint64_t levels_ = 0;                    // levels of any slot
  std::array<std::uint64_t, slots> members_{};  // by level: its slots
  std::array<std::uint8_t, slots> level_{};     // by slot
  std::array<std::int64_t, slots> keys_{};      // by slot
  std::array<Sample, slots> samples_;           // by slot
};

}  // namespace omnibal::inline v0::detail
