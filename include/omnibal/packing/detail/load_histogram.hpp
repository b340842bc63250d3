// SPDX-License-Identifier: Apache-2.0
/// @file
/// A histogram of the loads of one resource.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
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
  explicit load_histogram(std::vector<load_rank> counts) : ranks_(std::move(counts)) {
    std::uint64_t samples = 0;
    for (auto rank = ranks_.rbegin(); rank != ranks_.rend(); ++rank) {
      volume_ += wide_integer{rank->load} * rank->samples;
      rank->samples = samples += rank->samples;
    }
  }

  [[nodiscard]] std::span<const load_rank> ranks() const noexcept { return ranks_; }
  /// The sum of all loads.
  [[nodiscard]] wide_integer volume() const noexcept { return volume_; }
  /// The number of samples with at least this load.
  [[nodiscard]] std::uint64_t at_least(std::uint64_t load) const noexcept {
    const auto rank = std::ranges::lower_bound(ranks_, load, {}, &load_rank::load);
    return rank == ranks_.end() ? 0 : rank->samples;
  }
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
  void merge(const load_counter& other) {
    for (std::size_t load = 0; load < tally_.size(); ++load) tally_[load] += other.tally_[load];
    loads_.insert(loads_.end(), other.loads_.begin(), other.loads_.end());
  }

  /// The histogram of all loads counted.
  [[nodiscard]] load_histogram finish() {
    std::vector<load_rank> counts;
    for (std::size_t load = 1; load < tally_.size(); ++load)
      if (tally_[load] != 0) counts.push_back({.load = load, .samples = tally_[load]});
    std::ranges::sort(loads_);
    for (const std::uint64_t load : loads_) {
      if (load == 0) continue;
      if (counts.empty() || counts.back().load != load) counts.push_back({.load = load});
      ++counts.back().samples;
    }
    return load_histogram(std::move(counts));
  }

 private:
  static constexpr std::uint64_t most_tallies = 1U << 20;

  std::vector<std::uint32_t> tally_;
  std::vector<std::uint64_t> loads_;
};

}  // namespace omnibal::inline v0::detail
