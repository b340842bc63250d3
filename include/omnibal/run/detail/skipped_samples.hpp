// SPDX-License-Identifier: Apache-2.0
/// @file
/// Samples that a run leaves out because no plan has memory for them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/run/detail/kept_samples.hpp>
#include <omnibal/run/detail/run_capacities.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

/// Leaves out samples, those that need most memory first, until a quickly found plan fits.
class memory_skipper {
 public:
  memory_skipper(const run_problem& problem, const run_options& options)
      : problem_(problem), options_(options), by_need_(problem.samples.size()) {
    std::iota(by_need_.begin(), by_need_.end(), std::uint32_t{0});
    std::vector<std::int64_t> need;
    for (const vision_language_sample& sample : problem.samples) need.push_back(bytes_of(sample));
    std::ranges::stable_sort(by_need_,
                             [&](std::uint32_t a, std::uint32_t b) { return need[a] > need[b]; });
  }

  /// Leaves out more of them: at first the fewest with which a plan is found, at least one, then an
  /// eighth more each time. Returns false where all would be left out, and once asked to stop.
  /// O(log n) plans.
  [[nodiscard]] bool skip_more() {
    const std::size_t most = by_need_.size() - 1;
    if (skipped_ == most || by_need_.empty() || options_.control.stop_requested()) return false;
    skipped_ = skipped_ == 0 ? fewest() : std::min(most, skipped_ + skipped_ / 8 + 1);
    return true;
  }

  [[nodiscard]] kept_samples kept() const { return without(skipped_); }

 private:
  /// Bytes of a micro-batch of this sample in all layers, fully recomputed.
  [[nodiscard]] std::int64_t bytes_of(const vision_language_sample& sample) const {
    const workload work = sample_workload(sample[0], sample[1]);
    std::int64_t saved = 0;
    std::int64_t transient = 0;
    for (const layer_cost& layer : problem_.chain) {
      const mode_cost& mode = layer.modes[full_mode(layer, work)];
      saved = checked_add(saved, mode.saved_bytes.of(work), "memory");
      transient = std::max(transient, mode.transient_bytes.of(work));
    }
    return checked_add(saved, transient, "memory");
  }

  [[nodiscard]] kept_samples without(std::size_t count) const {
    std::vector<bool> skipped(by_need_.size(), false);
    for (std::size_t k = 0; k < count; ++k) skipped[by_need_[k]] = true;
    return keep_if(problem_.samples, [&](std::uint32_t id) { return !skipped[id]; });
  }

  /// Evaluated on a part of the samples, among them those that need most memory.
  [[nodiscard]] bool fits_without(std::size_t count) const {
    constexpr std::size_t sample_limit = 4096;
    constexpr std::size_t neediest = 16;
    const kept_samples kept = without(count);
    std::vector<vision_language_sample> part = sample_part(
        std::span<const vision_language_sample>(kept.samples), sample_limit, problem_.seed);
    const std::size_t last = std::min(by_need_.size(), count + neediest);
    if (part.size() == sample_limit)
      for (std::size_t k = count; k < last; ++k) part.push_back(problem_.samples[by_need_[k]]);
    run_problem some = problem_;
    some.samples = part;
    const run_context run(some, {.control = {.stop = options_.control.stop}});
    return run_capacities(run).fits_quickly();
  }

  [[nodiscard]] std::size_t fewest() const {
    std::size_t too_few = 0;
    std::size_t enough = by_need_.size() - 1;
    while (enough - too_few > 1) {
      const std::size_t count = too_few + (enough - too_few) / 2;
      (fits_without(count) ? enough : too_few) = count;
    }
    return enough;
  }

  const run_problem& problem_;
  const run_options& options_;
  std::vector<std::uint32_t> by_need_;
  std::size_t skipped_ = 0;
};

}  // namespace omnibal::inline v0::detail
