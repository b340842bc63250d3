// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE void validate(const schedule_shape& shape) {
  constexpr std::size_t limit = std::size_t{1} << 20;
  if (shape.stages == 0) throw invalid_input("stages", shape.stages, "must be at least 1");
  if (shape.stages > limit) throw invalid_input("stages", shape.stages, "must be at most 2^20");
  if (shape.microbatches == 0)
    throw invalid_input("microbatches", shape.microbatches, "must be at least 1");
  if (shape.microbatches > limit)
    throw invalid_input("microbatches", shape.microbatches, "must be at most 2^20");
  if (shape.virtual_stages == 0)
    throw invalid_input("virtual", shape.virtual_stages, "must be at least 1");
  if (shape.virtual_stages > limit)
    throw invalid_input("virtual", shape.virtual_stages, "must be at most 2^20");
  if (shape.kind != schedule_kind::interleaved) {
    if (shape.virtual_stages != 1)
      throw invalid_input("virtual", shape.virtual_stages,
                          "must be 1 unless the schedule is interleaved");
    return;
  }
  if (shape.microbatches % shape.stages != 0)
    throw invalid_input("microbatches", shape.microbatches,
                        "must be a multiple of the stages when interleaved");
  if (shape.group_size != 0 && shape.group_size < shape.stages)
    throw invalid_input("group_size", shape.group_size, "must not be less than the stages");
}

namespace detail {

/// The number of forwards that a device runs before its first backward.
[[nodiscard]] constexpr std::size_t warmup_forwards(const schedule_shape& shape,
                                                    std::size_t device) noexcept {
  const std::size_t forwards = shape.microbatches * shape.virtual_stages;
  switch (shape.kind) {
    case schedule_kind::gpipe: return forwards;
    case schedule_kind::one_forward_one_backward:
    case schedule_kind::zero_bubble_h1: return std::min(shape.stages - device - 1, forwards);
    case schedule_kind::interleaved: {
      const std::size_t group = shape.group_size != 0 ? shape.group_size : shape.stages;
      return std::min(2 * (shape.stages - device - 1) + (shape.virtual_stages - 1) * group,
                      forwards);
    }
  }
  return forwards;
}

/// The (stage, micro-batch) of the device's forwards in order: a group of micro-batches passes
/// through its first virtual stage, then its second, ...; backwards take the stages in reverse.
[[nodiscard]] inline std::vector<pipeline_operation> passes(const schedule_shape& shape,
                                                            std::size_t device,
                                                            operation_kind kind) {
  const std::size_t group = shape.kind != schedule_kind::interleaved ? shape.microbatches
                            : shape.group_size != 0                  ? shape.group_size
                                                                     : shape.stages;
  std::vector<pipeline_operation> order;
  order.reserve(shape.microbatches * shape.virtual_stages);
  for (std::size_t begin = 0; begin < shape.microbatches; begin += group) {
    const std::size_t end = std::min(begin + group, shape.microbatches);
    for (std::size_t turn = 0; turn < shape.virtual_stages; ++turn) {
      const std::size_t chunk =
          kind == operation_kind::forward ? turn : shape.virtual_stages - 1 - turn;
      for (std::size_t microbatch = begin; microbatch < end; ++microbatch)
        order.push_back({.kind = kind,
                         .stage = static_cast<std::uint32_t>(chunk * shape.stages + device),
                         .microbatch = static_cast<std::uint32_t>(microbatch)});
    }
  }
  return order;
}

}  // namespace detail

OMNIBAL_INLINE std::vector<pipeline_operation> device_order(const schedule_shape& shape,
                                                            std::size_t device) {
  const std::vector<pipeline_operation> forwards =
      detail::passes(shape, device, operation_kind::forward);
  const std::vector<pipeline_operation> backwards =
      detail::passes(shape, device, operation_kind::backward);
  // ZB-H1 delays the weight gradient of a micro-batch by as many backwards as the stage's depth,
  // where it fills a bubble of 1F1B.
  const std::size_t delay = device;
  const auto weight_gradient = [](pipeline_operation backward) {
    backward.kind = operation_kind::weight_gradient;
    return backward;
  };

  std::vector<pipeline_operation> order;
  order.reserve(forwards.size() * (shape.splits_backward() ? 3 : 2));
  const std::size_t warmup = detail::warmup_forwards(shape, device);
  order.insert(order.end(), forwards.begin(),
               forwards.begin() + static_cast<std::ptrdiff_t>(warmup));
  for (std::size_t turn = 0; turn < backwards.size(); ++turn) {
    if (warmup + turn < forwards.size()) order.push_back(forwards[warmup + turn]);
    order.push_back(backwards[turn]);
    if (shape.splits_backward() && turn >= delay)
      order.push_back(weight_gradient(backwards[turn - delay]));
  }
  if (shape.splits_backward())
    for (std::size_t left = backwards.size() - std::min(delay, backwards.size());
         left < backwards.size(); ++left)
      order.push_back(weight_gradient(backwards[left]));
  return order;
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

}  // namespace omnibal::inline v0
