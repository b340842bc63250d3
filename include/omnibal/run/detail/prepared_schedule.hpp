// SPDX-License-Identifier: Apache-2.0
/// @file
/// Orders and graphs of a schedule, cached per number of micro-batches, for simulating an epoch.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0::detail {

/// A schedule's orders and graph for one number of micro-batches.
struct prepared_schedule {
  std::vector<std::vector<pipeline_operation>> orders;
  operation_graph graph;

  explicit prepared_schedule(const schedule_shape& shape)
      : orders(device_orders(shape)), graph(orders, shape.total_stages(), shape.microbatches) {}
};

/// A schedule for any number of micro-batches, prepared on demand.
class prepared_schedules {
 public:
  explicit prepared_schedules(const schedule_shape& shape) : shape_(shape) {}

  [[nodiscard]] const prepared_schedule& of(std::size_t microbatches) {
    schedule_shape shape = shape_;
    shape.microbatches = runnable_microbatches(shape_, microbatches);
    return prepared_.try_emplace(shape.microbatches, shape).first->second;
  }

 private:
  schedule_shape shape_;
  std::map<std::size_t, prepared_schedule> prepared_;
};

}  // namespace omnibal::inline v0::detail
