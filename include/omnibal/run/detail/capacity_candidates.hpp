// SPDX-License-Identifier: Apache-2.0
/// @file
/// Capacities worth trying for a table of samples. All resources are alike: none of them leads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <set>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>

namespace omnibal::inline v0::detail {

/// Capacities from the smallest that hold every sample to those that hold all samples together.
class capacity_candidates {
 public:
  explicit capacity_candidates(std::span<const loads<2>> samples) {
    for (const loads<2>& sample : samples)
      for (std::size_t r = 0; r < 2; ++r) {
        smallest_[r] = std::max(smallest_[r], sample[r]);
        volume_[r] += sample[r];
      }
    // A proportion times a multiple of a capacity must fit 128 bits.
    proportion_ = volume_;
    while (std::ranges::max(proportion_) >= wide_integer{1} << 60)
      for (wide_integer& one : proportion_) one = (one + 1) / 2;
  }

  [[nodiscard]] const loads<2>& smallest() const noexcept { return smallest_; }

  /// All pairs of multiples of the smallest capacities.
  [[nodiscard]] std::vector<loads<2>> grid() const { return pairs({4, 6, 9, 14, 20}); }

  /// The same far beyond it, ascending.
  [[nodiscard]] std::vector<loads<2>> large_grid() const {
    return pairs({4, 32, 52, 84, 136, 220, 356, 1000, 4000});
  }

  /// For each resource, multiples of its smallest capacity with the other in proportion to the
  /// loads, so that packs are full in both.
  [[nodiscard]] std::vector<loads<2>> proportional() const {
    std::set<loads<2>> found;
    for (std::size_t r = 0; r < 2; ++r)
      for (const int quarters : {4, 6, 9, 14}) {
        if (proportion_[r] == 0) continue;
        const wide_integer wanted = wide_integer{smallest_[r]} * quarters / 4;
        loads<2> capacity;
        for (std::size_t other = 0; other < 2; ++other)
          capacity[other] = rounded(other, wanted * proportion_[other] / proportion_[r]);
        found.insert(capacity);
      }
    return {found.begin(), found.end()};
  }

  /// The eight neighbours of a capacity at a step of a share, 1 / part.
  [[nodiscard]] std::vector<loads<2>> around(const loads<2>& capacity, std::int64_t part) const {
    std::vector<loads<2>> found;
    for (const int tiles : {-1, 0, 1})
      for (const int tokens : {-1, 0, 1}) {
        const std::array<int, 2> turn = {tiles, tokens};
        loads<2> next;
        for (std::size_t r = 0; r < 2; ++r) {
          const wide_integer step = std::max<wide_integer>(1, capacity[r] / part);
          next[r] = rounded(r, capacity[r] + turn[r] * step);
        }
        if (next != capacity) found.push_back(next);
      }
    return found;
  }

 private:
  [[nodiscard]] static std::int64_t to_integer(wide_integer value) {
    return static_cast<std::int64_t>(
        std::min<wide_integer>(value, std::numeric_limits<std::int64_t>::max()));
  }

  /// At least the smallest, at most what holds all samples; large ones are multiples of 128.
  [[nodiscard]] std::int64_t rounded(std::size_t r, wide_integer wanted) const {
    constexpr wide_integer grain = 128;
    if (wanted >= 16 * grain) wanted = (wanted + grain - 1) / grain * grain;
    return to_integer(std::max<wide_integer>(smallest_[r], std::min(wanted, volume_[r])));
  }

  [[nodiscard]] std::vector<loads<2>> pairs(std::initializer_list<int> quarters) const {
    std::set<loads<2>> found;
    for (const int tiles : quarters)
      for (const int tokens : quarters)
        found.insert({rounded(0, (wide_integer{smallest_[0]} * tiles + 3) / 4),
                      rounded(1, (wide_integer{smallest_[1]} * tokens + 3) / 4)});
    return {found.begin(), found.end()};
  }

  loads<2> smallest_ = {1, 1};
  std::array<wide_integer, 2> volume_ = {};
  std::array<wide_integer, 2> proportion_ = {};
};

}  // namespace omnibal::inline v0::detail
