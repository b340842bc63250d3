// SPDX-License-Identifier: Apache-2.0
/// @file
/// The order of messages that comes naturally, and that deadlocks.
#pragma once

#include <cstddef>
#include <vector>

#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::test {

/// The items of every device.
using programs = std::vector<std::vector<execution_item>>;

/// The items of `ordered` with every receive right before the operation that needs it, every send
/// right after its producer.
inline programs as_operations_come(const schedule_shape& shape, const programs& ordered) {
  const auto orders = device_orders(shape);
  programs ranks(orders.size());
  for (std::size_t d = 0; d < orders.size(); ++d)
    for (const pipeline_operation& work : orders[d]) {
      const auto add = [&](item_kind kind) {
        for (const execution_item& item : ordered[d])
          if (item.kind == kind && item.stage == work.stage && item.microbatch == work.microbatch)
            ranks[d].push_back(item);
      };
      if (work.kind == operation_kind::forward) add(item_kind::receive_activation);
      if (work.kind == operation_kind::backward) add(item_kind::receive_gradient);
      add(static_cast<item_kind>(work.kind));
      if (work.kind == operation_kind::forward) add(item_kind::send_activation);
      if (work.kind == operation_kind::backward) add(item_kind::send_gradient);
    }
  return ranks;
}

}  // namespace omnibal::test
