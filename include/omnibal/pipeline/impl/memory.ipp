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

/// Whether `more` needs at least the bytes of `less` whatever the bytes of the stages are: what
/// waits for W is a part of what was kept, so a whole micro-batch counts for a waiting one.
[[nodiscard]] inline bool covers(const peak_event& more, const peak_event& less) {
  if (more.running != less.running) return false;
  for (std::size_t c = 0; c < more.whole.size(); ++c)
    if (more.whole[c] < less.whole[c] ||
        more.whole[c] + more.waiting[c] < less.whole[c] + less.waiting[c])
      return false;
  return true;
}

}  // namespace detail

OMNIBAL_INLINE std::vector<peak_event> peak_events(const schedule_shape& shape,
                                                   std::size_t device) {
  peak_event now{.whole = std::vector<std::size_t>(shape.virtual_stages, 0),
                 .waiting = std::vector<std::size_t>(shape.virtual_stages, 0)};
  std::vector<peak_event> worst;
  for (const pipeline_operation& work : device_order(shape, device)) {
    const std::size_t chunk = work.stage / shape.stages;
    switch (work.kind) {
      case operation_kind::forward: ++now.whole[chunk]; break;
      case operation_kind::backward:
        now.running = chunk;
        if (std::ranges::none_of(worst,
                                 [&](const peak_event& one) { return detail::covers(one, now); })) {
          std::erase_if(worst, [&](const peak_event& one) { return detail::covers(now, one); });
          worst.push_back(now);
        }
        --now.whole[chunk];
        if (shape.splits_backward()) ++now.waiting[chunk];
        break;
      case operation_kind::weight_gradient: --now.waiting[chunk]; break;
    }
  }
  return worst;
}

}  // namespace omnibal::inline v0
