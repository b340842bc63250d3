// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Whether `more` needs at least the bytes of `less` for any bytes per stage. What waits for W is a
/// part of the saved bytes, so a whole micro-batch counts for a waiting one.
[[nodiscard]] inline bool dominates(const peak_event& more, const peak_event& less) {
  if (more.running != less.running) return false;
  for (std::size_t c = 0; c < more.whole.size(); ++c)
    if (more.whole[c] < less.whole[c] ||
        more.whole[c] + more.waiting[c] < less.whole[c] + less.waiting[c])
      return false;
  return true;
}

}  // namespace detail

OMNIBAL_INLINE std::size_t in_flight(const schedule_shape& shape, std::size_t stage) {
  return peak_activation(device_order(shape, shape.device(stage)),
                         [](const pipeline_operation&) { return activation_bytes{}; })
      .in_flight;
}

OMNIBAL_INLINE std::vector<peak_event> peak_events(const schedule_shape& shape,
                                                   std::size_t device) {
  const std::vector<std::size_t> stages = stages_of_devices(shape)[device];
  peak_event now{.whole = std::vector<std::size_t>(shape.virtual_stages, 0),
                 .waiting = std::vector<std::size_t>(shape.virtual_stages, 0)};
  std::vector<peak_event> events;
  for (const pipeline_operation& work : device_order(shape, device)) {
    const auto chunk =
        static_cast<std::size_t>(std::ranges::lower_bound(stages, work.stage) - stages.begin());
    switch (work.kind) {
      case operation_kind::forward: ++now.whole[chunk]; break;
      case operation_kind::backward:
        now.running = chunk;
        if (std::ranges::none_of(
                events, [&](const peak_event& one) { return detail::dominates(one, now); })) {
          std::erase_if(events, [&](const peak_event& one) { return detail::dominates(now, one); });
          events.push_back(now);
        }
        --now.whole[chunk];
        if (shape.splits_backward()) ++now.waiting[chunk];
        break;
      case operation_kind::weight_gradient: --now.waiting[chunk]; break;
    }
  }
  return events;
}

}  // namespace omnibal::inline v0
