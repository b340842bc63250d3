// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline void validate_schedule_size(const char* field, std::size_t size) {
  if (size == 0) throw invalid_input(field, size, "must be at least 1");
  if (size > schedule_size::largest) throw invalid_input(field, size, "must be at most 2^20");
}

[[nodiscard]] inline std::string allowed_virtual_stages(const any_schedule& schedule) {
  const schedule_capabilities& can = schedule.capabilities();
  if (can.most_virtual_stages == 1) return "must be 1 unless the schedule is interleaved";
  if (can.most_virtual_stages == can.least_virtual_stages)
    return "must be " + std::to_string(can.least_virtual_stages) + " for the schedule " +
           std::string(schedule.name());
  return "must be from " + std::to_string(can.least_virtual_stages) + " to " +
         std::to_string(can.most_virtual_stages) + " for the schedule " +
         std::string(schedule.name());
}

}  // namespace detail

OMNIBAL_INLINE void validate(const schedule_shape& shape) {
  detail::validate_schedule_size("stages", shape.stages);
  detail::validate_schedule_size("microbatches", shape.microbatches);
  detail::validate_schedule_size("virtual_stages", shape.virtual_stages);
  const schedule_capabilities& can = shape.kind.capabilities();
  if (shape.virtual_stages < can.least_virtual_stages ||
      shape.virtual_stages > can.most_virtual_stages)
    throw invalid_input("virtual_stages", shape.virtual_stages,
                        detail::allowed_virtual_stages(shape.kind));
  shape.kind.validate(shape.size());
}

OMNIBAL_INLINE std::size_t runnable_microbatches(const schedule_shape& schedule,
                                                 std::size_t microbatches) {
  return schedule.kind.runnable_microbatches(schedule.size(), microbatches);
}

OMNIBAL_INLINE std::vector<pipeline_operation> device_order(const schedule_shape& shape,
                                                            std::size_t device) {
  return shape.kind.order(shape.size(), device);
}

OMNIBAL_INLINE std::vector<std::vector<pipeline_operation>> device_orders(
    const schedule_shape& shape) {
  validate(shape);
  std::vector<std::vector<pipeline_operation>> orders;
  orders.reserve(shape.stages);
  for (std::size_t device = 0; device < shape.stages; ++device)
    orders.push_back(device_order(shape, device));
  return orders;
}

OMNIBAL_INLINE std::vector<std::vector<std::size_t>> stages_of_devices(
    const schedule_shape& shape) {
  std::vector<std::vector<std::size_t>> stages(shape.stages);
  for (std::size_t j = 0; j < shape.total_stages(); ++j) stages[shape.device(j)].push_back(j);
  return stages;
}

}  // namespace omnibal::inline v0
