// SPDX-License-Identifier: Apache-2.0
/// @file
/// Some of a run's samples, and packs that name them by their ids among all or among these.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/problem.hpp>

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

[[nodiscard]] inline kept_samples all_samples(std::span<const vision_language_sample> samples) {
  return keep_if(samples, [](std::uint32_t) { return true; });
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

/// Those within the run's capacity. Throws invalid_input where there are none. Precondition: the
/// run has a capacity.
[[nodiscard]] inline kept_samples samples_within(const run_problem& run) {
  const loads<2>& capacity = *run.capacity;
  kept_samples kept = keep_if(run.samples, [&](std::uint32_t id) {
    return run.samples[id][0] <= capacity[0] && run.samples[id][1] <= capacity[1];
  });
  if (kept.samples.empty())
    throw invalid_input(
        "capacity",
        "images=" + std::to_string(capacity[0]) + ",tokens=" + std::to_string(capacity[1]),
        "holds no sample: none is left once those beyond it are skipped");
  return kept;
}

/// Throws invalid_input naming the first sample beyond the run's capacity. Precondition: it has
/// one.
inline void refuse_oversize(const run_problem& run) {
  constexpr std::array names = {"images", "tokens"};
  for (std::size_t id = 0; id < run.samples.size(); ++id)
    for (std::size_t r = 0; r < names.size(); ++r)
      if (run.samples[id][r] > (*run.capacity)[r])
        throw load_beyond_capacity(names[r], id, run.samples[id][r], (*run.capacity)[r]);
}

/// At most `limit` random ones of the samples that the run has at its capacity, if it has one:
/// those beyond it are left out where they are skipped, and refused where they are rejected.
[[nodiscard]] inline std::vector<vision_language_sample> part_of_samples(const run_problem& run,
                                                                         std::size_t limit) {
  if (run.capacity && run.oversize == oversize_policy::reject) refuse_oversize(run);
  if (!run.capacity || run.oversize != oversize_policy::skip)
    return sample_part(run.samples, limit, run.seed);
  const kept_samples kept = samples_within(run);
  return sample_part(std::span<const vision_language_sample>(kept.samples), limit, run.seed);
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
