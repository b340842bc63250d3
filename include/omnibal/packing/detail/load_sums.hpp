// SPDX-License-Identifier: Apache-2.0
/// @file
/// Running sums of a pack's loads. When the capacities are small enough, as they usually are, all
/// resources share one machine word: a sample is added in one addition and compared with all
/// capacities in one comparison.
/// Source: fields with guard bits are Lamport's, "Multiple byte processing with full-word
/// instructions", CACM 1975.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>

namespace omnibal::inline v0::detail {

/// The limits of sums: above its capacity a pack is overfull, from a threshold on it is full.
template <std::size_t Resources>
struct sum_limits {
  loads<Resources> capacity;
  loads<Resources> threshold;  ///< 1 … capacity; a pack is full when any
                               ///< resource reaches it, …
  bool first_exact = false;    ///< … the first resource only when it equals it
};

/// A sample with its loads in the form that sums add.
template <typename Word>
struct packable {
  std::uint32_t id;
  Word load;
};

/// The number of bits for sums of all resources, including one guard bit per resource.
template <std::size_t Resources>
[[nodiscard]] constexpr unsigned packed_sum_bits(const loads<Resources>& capacity) noexcept {
  unsigned bits = 0;
  for (const std::int64_t most : capacity)
    bits += static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(most))) + 1;
  return bits;
}

/// Sums in one word. Each resource has a bit field with a guard bit above it; an empty pack starts
/// at values such that a guard bit is set exactly when the capacity is exceeded. Precondition:
/// packed_sum_bits(capacity) is at most the number of bits of Word.
template <std::size_t Resources, std::unsigned_integral Word>
class packed_sums {
 public:
  using word = Word;
  static constexpr std::size_t resources = Resources;

  explicit constexpr packed_sums(const sum_limits<Resources>& limits) noexcept {
    unsigned shift = 0;
    for (std::size_t r = 0; r < Resources; ++r) {
      const auto most = static_cast<Word>(limits.capacity[r]);
      const auto slack = static_cast<Word>(most - static_cast<Word>(limits.threshold[r]));
      const auto width = static_cast<unsigned>(std::bit_width(most));
      shift_[r] = shift;
      mask_[r] = (Word{1} << width) - 1;
      guards_ |= Word{1} << (shift + width);
      empty_ |= ((Word{1} << width) - 1 - most) << shift;
      to_threshold_ |= (slack + 1) << shift;
      if (r == 0 && limits.first_exact) past_threshold_ = slack;
      shift += width + 1;
    }
  }

  [[nodiscard]] constexpr Word pack(const fitting_loads<Resources>& sample) const noexcept {
    Word packed = 0;
    for (std::size_t r = 0; r < Resources; ++r) packed |= static_cast<Word>(sample[r]) << shift_[r];
    return packed;
  }

  [[nodiscard]] constexpr Word empty() const noexcept { return empty_; }

  /// A load of a packed sample.
  [[nodiscard]] constexpr std::uint64_t load(Word sample, std::size_t r) const noexcept {
    return (sample >> shift_[r]) & mask_[r];
  }
  /// The residual capacity. Precondition: !exceeds(sums).
  [[nodiscard]] constexpr std::uint64_t slack(Word sums, std::size_t r) const noexcept {
    return mask_[r] - load(sums, r);
  }

  /// Sums within the capacities plus the loads of one sample.
  [[nodiscard]] static constexpr Word add(Word sums, Word sample) noexcept { return sums + sample; }

  [[nodiscard]] constexpr bool exceeds(Word sums) const noexcept { return (sums & guards_) != 0; }

  /// Precondition: !exceeds(sums).
  [[nodiscard]] constexpr bool full(Word sums) const noexcept {
    return ((sums + to_threshold_) & guards_ & ~(sums + past_threshold_)) != 0;
  }

 private:
  std::array<unsigned, Resources> shift_{};
  std::array<Word, Resources> mask_{};
  Word guards_ = 0;
  Word empty_ = 0;
  Word to_threshold_ = 0;    // addend that sets the guard bit of a resource at its threshold
  Word past_threshold_ = 0;  // the same for a resource above its threshold
};

/// Sums in one 64-bit word per resource, for capacities too large to share a word.
template <std::size_t Resources>
class wide_sums {
 public:
  using word = fitting_loads<Resources>;
  static constexpr std::size_t resources = Resources;

  explicit constexpr wide_sums(const sum_limits<Resources>& limits) noexcept : limits_(limits) {}

  [[nodiscard]] constexpr word pack(const word& sample) const noexcept { return sample; }

  [[nodiscard]] constexpr word empty() const noexcept { return {}; }

  [[nodiscard]] constexpr std::uint64_t load(const word& sample, std::size_t r) const noexcept {
    return sample[r];
  }
  [[nodiscard]] constexpr std::uint64_t slack(const word& sums, std::size_t r) const noexcept {
    return static_cast<std::uint64_t>(limits_.capacity[r]) - sums[r];
  }

  [[nodiscard]] static constexpr word add(word sums, const word& sample) noexcept {
    for (std::size_t r = 0; r < Resources; ++r) sums[r] += sample[r];
    return sums;
  }

  [[nodiscard]] constexpr bool exceeds(const word& sums) const noexcept {
    bool any = false;
    for (std::size_t r = 0; r < Resources; ++r)
      any |= sums[r] > static_cast<std::uint64_t>(limits_.capacity[r]);
    return any;
  }

  [[nodiscard]] constexpr bool full(const word& sums) const noexcept {
    bool any = false;
    for (std::size_t r = 0; r < Resources; ++r) {
      const auto threshold = static_cast<std::uint64_t>(limits_.threshold[r]);
      any |= r == 0 && limits_.first_exact ? sums[r] == threshold : sums[r] >= threshold;
    }
    return any;
  }

 private:
  sum_limits<Resources> limits_;
};

/// Calls run(sums) with the narrowest kind of sums that the limits allow.
template <std::size_t Resources, typename Run>
[[nodiscard]] auto with_sums(const sum_limits<Resources>& limits, const Run& run) {
  const unsigned bits = packed_sum_bits(limits.capacity);
  if (bits <= 32) return run(packed_sums<Resources, std::uint32_t>(limits));
  if (bits <= 64) return run(packed_sums<Resources, std::uint64_t>(limits));
  return run(wide_sums<Resources>(limits));
}

}  // namespace omnibal::inline v0::detail
