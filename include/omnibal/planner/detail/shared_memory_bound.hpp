// SPDX-License-Identifier: Apache-2.0
/// @file
/// A proof that no partition of devices with several virtual stages fits their memory, without
/// trying them. Two relaxations must both be satisfied by any plan that fits:
///
/// - every virtual stage fits if it has its device to itself;
/// - the bytes that all stages take at least, each at one peak event of its device, fit in the
///   memory of all devices together.
///
/// Layers take the least saved, waiting and transient bytes of any of their modes, not all of which
/// need be those of one mode. A recurrence over stages finds the partition of the first kind whose
/// bytes of the second are least.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ranges>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/planner/detail/device_recompute_frontier.hpp>

namespace omnibal::inline v0::detail {

/// Keeps references to its arguments.
class shared_memory_bound {
 public:
  shared_memory_bound(const pipeline_problem& problem, const partition_constraints& rules,
                      const device_mode_chooser& modes)
      : problem_(problem), rules_(rules), modes_(modes), least_(problem.layers.size()) {
    for (std::size_t l = 0; l < least_.size(); ++l) least_[l] = least_bytes(problem.layers[l]);
    count_ties_once();
  }

  /// Whether no partition can fit. O(stages · layers² · events).
  [[nodiscard]] bool excludes_all() const {
    if (problem_.memory_limit.empty()) return false;
    wide_integer room = 0;
    for (std::size_t d = 0; d < problem_.schedule.stages; ++d) room += problem_.budget(d);
    std::vector<std::int64_t> before(least_.size() + 1, none);
    before[0] = 0;
    for (const stage_on_device& stage : stages()) before = extended(before, stage);
    return before.back() == none || before.back() > room;
  }

 private:
  static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();

  struct layer_bytes {
    std::int64_t fixed = 0;
    std::int64_t saved = 0;
    std::int64_t waiting = 0;
    std::int64_t transient = 0;
  };
  struct stage_on_device {
    std::size_t stage = 0;
    std::size_t device = 0;
    std::size_t chunk = 0;  ///< Its position among the stages of the device.
  };

  [[nodiscard]] static layer_bytes least_bytes(const pipeline_layer& one) {
    layer_bytes least{one.static_bytes, none, none, none};
    for (const recompute_mode& mode : one.modes) {
      least.saved = std::min(least.saved, mode.saved_bytes);
      least.waiting = std::min(least.waiting, mode.saved_for_weight_gradient);
      least.transient = std::min(least.transient, mode.transient_bytes);
    }
    return least;
  }

  /// Tied layers may all share one device's copy: only the largest of all is sure to take its
  /// bytes.
  void count_ties_once() {
    std::vector<std::size_t> tied;
    for (const layer_pair& pair : problem_.tied) tied.insert(tied.end(), {pair.first, pair.second});
    const auto largest = std::ranges::max_element(
        tied, {}, [&](std::size_t l) { return problem_.layers[l].static_bytes; });
    for (const std::size_t l : tied)
      if (l != *largest) least_[l].fixed = 0;
  }

  [[nodiscard]] std::vector<stage_on_device> stages() const {
    std::vector<stage_on_device> all(problem_.schedule.total_stages());
    const std::vector<std::vector<std::size_t>> placed = stages_of_devices(problem_.schedule);
    for (std::size_t d = 0; d < placed.size(); ++d)
      for (std::size_t c = 0; c < placed[d].size(); ++c) all[placed[d][c]] = {placed[d][c], d, c};
    return all;
  }

  [[nodiscard]] static std::int64_t bytes_at(const peak_event& event, std::size_t chunk,
                                             const layer_bytes& sum) {
    return static_cast<std::int64_t>(event.whole[chunk]) * sum.saved +
           static_cast<std::int64_t>(event.waiting[chunk]) * sum.waiting +
           (event.running == chunk ? sum.transient : 0);
  }

  /// The event at which most micro-batches are in flight on the device.
  [[nodiscard]] static const peak_event& fullest(const std::vector<peak_event>& events) {
    return *std::ranges::max_element(events, {}, [](const peak_event& one) {
      std::size_t whole = 0;
      std::size_t waiting = 0;
      for (const std::size_t count : one.whole) whole += count;
      for (const std::size_t count : one.waiting) waiting += count;
      return std::pair(whole, waiting);
    });
  }

  /// From the least bytes of the first layers on the stages before, those with this stage too.
  [[nodiscard]] std::vector<std::int64_t> extended(const std::vector<std::int64_t>& before,
                                                   const stage_on_device& stage) const {
    const std::vector<peak_event>& events = modes_.events(stage.device);
    std::vector<std::int64_t> least(before.size(), none);
    const peak_event& counted = fullest(events);
    for (std::size_t end = 1; end < before.size(); ++end) {
      layer_bytes sum;
      for (std::size_t begin = end; begin-- > 0;) {
        add(least_[begin], sum);
        if (!fits_alone(stage, {begin, end}, sum)) break;
        if (before[begin] == none || !rules_.allows(stage.stage, begin, end)) continue;
        least[end] =
            std::min(least[end], before[begin] + sum.fixed + bytes_at(counted, stage.chunk, sum));
      }
    }
    return least;
  }

  static void add(const layer_bytes& one, layer_bytes& sum) {
    sum.fixed += one.fixed;
    sum.saved += one.saved;
    sum.waiting += one.waiting;
    sum.transient = std::max(sum.transient, one.transient);
  }

  [[nodiscard]] bool fits_alone(const stage_on_device& stage, const layer_range& layers,
                                const layer_bytes& sum) const {
    const std::int64_t left = problem_.budget(stage.device) - modes_.fixed().bytes(layers);
    return std::ranges::all_of(modes_.events(stage.device), [&](const peak_event& one) {
      return bytes_at(one, stage.chunk, sum) <= left;
    });
  }

  const pipeline_problem& problem_;
  const partition_constraints& rules_;
  const device_mode_chooser& modes_;  ///< Has the events and static bytes of devices.
  std::vector<layer_bytes> least_;    ///< Per layer.
};

}  // namespace omnibal::inline v0::detail
