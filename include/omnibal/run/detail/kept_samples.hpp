// SPDX-License-Identifier: Apache-2.0
/// @file
/// Some of a run's samples, and packs that name them by their ids among all or among these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/run/microbatches.hpp>

namespace omnibal::inline v0::detail {

/// Some of the samples, with their ids among all, ascending.
struct kept_samples {
  std::vector<vision_language_sample> samples = {};
  std::vector<std::uint32_t> ids = {};
  std::vector<std::uint32_t> skipped = {};

  /// The place among those kept of every sample that is.
  [[nodiscard]] std::vector<std::uint32_t> places() const {
    std::vector<std::uint32_t> places(ids.size() + skipped.size(), 0);
    for (std::size_t k = 0; k < ids.size(); ++k) places[ids[k]] = static_cast<std::uint32_t>(k);
    return places;
  }
};

template <typename Keep>
[[nodiscard]] kept_samples keep_if(std::span<const vision_language_sample> samples,
                                   const Keep& keep) {
  kept_samples kept;
  for (std::uint32_t id = 0; id < samples.size(); ++id) {
    if (!keep(id)) {
      kept.skipped.push_back(id);
      continue;
    }
    kept.samples.push_back(samples[id]);
    kept.ids.push_back(id);
  }
  return kept;
}

/// The samples that are in a pack. Throws invalid_input for an id that is none of a sample.
[[nodiscard]] inline kept_samples samples_in(std::span<const vision_language_sample> samples,
                                             const grouping<std::uint32_t>& packs) {
  std::vector<bool> packed(samples.size(), false);
  for (const std::uint32_t id : packs.indices()) {
    if (id >= samples.size())
      throw invalid_input("indices", id,
                          "must be less than the samples, " + std::to_string(samples.size()));
    packed[id] = true;
  }
  return keep_if(samples, [&](std::uint32_t id) { return packed[id]; });
}

/// Packs whose samples have other ids.
[[nodiscard]] inline grouping<std::uint32_t> renumbered(const grouping<std::uint32_t>& packs,
                                                        const std::vector<std::uint32_t>& ids) {
  grouping<std::uint32_t> result;
  for (std::size_t k = 0; k < packs.size(); ++k) {
    for (const std::uint32_t id : packs[k]) result.push_back(ids[id]);
    result.close_group();
  }
  return result;
}

}  // namespace omnibal::inline v0::detail
