// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Whether `more` needs at least the bytes of `less` for any bytes per stage of the kind. Where
/// what waits for W is within the saved bytes, a whole micro-batch counts for a waiting one.
[[nodiscard]] inline bool dominates(const peak_event& more, const peak_event& less,
                                    kept_bytes kept) {
  if (less.running && more.running != less.running) return false;
  for (std::size_t c = 0; c < more.whole.size(); ++c) {
    const std::size_t spare = kept == kept_bytes::within_saved ? more.whole[c] - less.whole[c] : 0;
    if (more.whole[c] < less.whole[c] || more.waiting[c] + spare < less.waiting[c]) return false;
  }
  return true;
}

/// The undominated events of a device.
class event_frontier {
 public:
  explicit event_frontier(kept_bytes kept) : kept_(kept) {}

  void add(const peak_event& now) {
    const auto covers = [&](const peak_event& one) { return dominates(one, now, kept_); };
    if (std::ranges::any_of(events_, covers)) return;
    std::erase_if(events_, [&](const peak_event& one) { return dominates(now, one, kept_); });
    events_.push_back(now);
  }
  [[nodiscard]] std::vector<peak_event> events() && { return std::move(events_); }

 private:
  kept_bytes kept_;
  std::vector<peak_event> events_;
};

}  // namespace detail

OMNIBAL_INLINE std::size_t in_flight(const schedule_shape& shape, std::size_t stage) {
  return peak_activation(device_order(shape, shape.device(stage)),
                         [](const pipeline_operation&) { return activation_bytes{}; })
      .in_flight;
}

OMNIBAL_INLINE std::vector<peak_event> peak_events(const schedule_shape& shape, std::size_t device,
                                                   kept_bytes kept) {
  const std::vector<std::size_t> stages = stages_of_devices(shape)[device];
  peak_event now{.whole = std::vector<std::size_t>(shape.virtual_stages, 0),
                 .waiting = std::vector<std::size_t>(shape.virtual_stages, 0)};
  detail::event_frontier frontier(kept);
  for (const pipeline_operation& work : device_order(shape, device)) {
    const auto chunk =
        static_cast<std::size_t>(std::ranges::lower_bound(stages, work.stage) - stages.begin());
    switch (work.kind) {
      case operation_kind::forward: ++now.whole[chunk]; break;
      case operation_kind::backward:
        now.running = chunk;
        frontier.add(now);
        now.running.reset();
        --now.whole[chunk];
        if (shape.splits_backward()) ++now.waiting[chunk];
        break;
      case operation_kind::weight_gradient:
        frontier.add(now);
        --now.waiting[chunk];
        break;
    }
  }
  return std::move(frontier).events();
}

}  // namespace omnibal::inline v0
