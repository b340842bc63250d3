// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/packing/detail/load_histogram.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE load_histogram::load_histogram(std::vector<load_rank> counts)
    : ranks_(std::move(counts)) {
  std::uint64_t samples = 0;
  for (auto rank = ranks_.rbegin(); rank != ranks_.rend(); ++rank) {
    volume_ += wide_integer{rank->load} * rank->samples;
    rank->samples = samples += rank->samples;
  }
}

OMNIBAL_INLINE std::uint64_t load_histogram::at_least(std::uint64_t load) const noexcept {
  const auto rank =
      std::lower_bound(ranks_.begin(), ranks_.end(), load,
                       [](const load_rank& one, std::uint64_t least) { return one.load < least; });
  return rank == ranks_.end() ? 0 : rank->samples;
}

OMNIBAL_INLINE void load_counter::merge(const load_counter& other) {
  for (std::size_t load = 0; load < tally_.size(); ++load) tally_[load] += other.tally_[load];
  loads_.insert(loads_.end(), other.loads_.begin(), other.loads_.end());
}

OMNIBAL_INLINE load_histogram load_counter::finish() {
  std::vector<load_rank> counts;
  for (std::size_t load = 1; load < tally_.size(); ++load)
    if (tally_[load] != 0) counts.push_back({.load = load, .samples = tally_[load]});
  std::sort(loads_.begin(), loads_.end());
  for (const std::uint64_t load : loads_) {
    if (load == 0) continue;
    if (counts.empty() || counts.back().load != load) counts.push_back({.load = load});
    ++counts.back().samples;
  }
  return load_histogram(std::move(counts));
}

}  // namespace omnibal::inline v0::detail
