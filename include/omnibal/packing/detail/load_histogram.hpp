// SPDX-License-Identifier: Apache-2.0
/// @file
/// A histogram of the loads of one resource.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>

namespace omnibal::inline v0::detail {

/// A load and the number of samples with at least this load.
struct load_rank {
  std::uint64_t load = 0;
  std::uint64_t samples = 0;
};

/// The different positive loads, ascending, with the number of samples of each.
class load_histogram {
 public:
  load_histogram() = default;
  /// From ascending loads, each with the number of samples that have exactly this load.
  explicit load_histogram(std::vector<load_rank> counts);

  [[nodiscard]] std::span<const load_rank> ranks() const noexcept { return ranks_; }
  /// The sum of all loads.
  [[nodiscard]] wide_integer volume() const noexcept { return volume_; }
  /// The number of samples with at least this load.
  [[nodiscard]] std::uint64_t at_least(std::uint64_t load) const noexcept;
  /// The number of samples with exactly the k-th load.
  [[nodiscard]] std::uint64_t count(std::size_t k) const noexcept {
    return ranks_[k].samples - (k + 1 < ranks_.size() ? ranks_[k + 1].samples : 0);
  }

 private:
  std::vector<load_rank> ranks_;
  wide_integer volume_ = 0;
};

/// Counts loads from 0 to a capacity: in an array when the capacity is small, otherwise by sorting.
class load_counter {
 public:
  explicit load_counter(std::uint64_t capacity)
      : tally_(capacity < most_tallies ? static_cast<std::size_t>(capacity) + 1 : 0) {}

  void add(std::uint64_t load) {
    if (tally_.empty())
      loads_.push_back(load);
    else
      ++tally_[load];
  }

  /// Adds the counts of another counter with the same capacity.
  void merge(const load_counter& other);

  /// The histogram of all loads counted.
  [[nodiscard]] load_histogram finish();

 private:
  static constexpr std::uint64_t most_tallies = 1U << 20;

  std::vector<std::uint32_t> tally_;
  std::vector<std::uint64_t> loads_;
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/load_histogram.ipp>
#endif
