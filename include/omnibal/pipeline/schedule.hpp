// SPDX-License-Identifier: Apache-2.0
/// @file
/// Schedules: which operation each device runs after which.
///
/// A pipeline of p devices holds p·v virtual stages, stage j on device j mod p; every micro-batch
/// passes forward through all stages and backward again. A schedule is nothing but an order of
/// operations per device; when they run follows from their times (simulate.hpp), what they hold
/// from the order alone (memory.hpp).
///
/// Sources: GPipe, Huang et al., NeurIPS 2019. 1F1B, Narayanan et al., PipeDream, SOSP 2019, in
/// the flushing form of Narayanan et al., SC 2021, which also gives the interleaved order. ZB-H1,
/// Qi et al., "Zero Bubble Pipeline Parallelism", ICLR 2024.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

enum class schedule_kind {
  gpipe,                     ///< All forwards, then all backwards in the same order.
  one_forward_one_backward,  ///< 1F1B: p − s forwards to fill, then one backward for each forward.
  interleaved,               ///< 1F1B over v virtual stages a device, in groups of micro-batches.
  zero_bubble_h1,            ///< 1F1B with the weight gradient as an operation of its own.
};

[[nodiscard]] constexpr std::string_view to_string(schedule_kind kind) noexcept {
  switch (kind) {
    case schedule_kind::gpipe: return "gpipe";
    case schedule_kind::one_forward_one_backward: return "1f1b";
    case schedule_kind::interleaved: return "interleaved";
    case schedule_kind::zero_bubble_h1: return "zbh1";
  }
  return "unknown";
}

/// A schedule with its size.
struct schedule_shape {
  schedule_kind kind = schedule_kind::one_forward_one_backward;
  std::size_t stages = 1;          ///< Devices, p.
  std::size_t virtual_stages = 1;  ///< Virtual stages a device, v; more than 1 only if interleaved.
  std::size_t microbatches = 1;    ///< Micro-batches a step, m.
  std::size_t group_size = 0;      ///< Interleaved: micro-batches in a row per stage; 0 means p.

  [[nodiscard]] constexpr std::size_t total_stages() const noexcept {
    return stages * virtual_stages;
  }
  [[nodiscard]] constexpr bool splits_backward() const noexcept {
    return kind == schedule_kind::zero_bubble_h1;
  }
  friend bool operator==(const schedule_shape&, const schedule_shape&) = default;
};

enum class operation_kind : std::uint8_t { forward, backward, weight_gradient };

/// One piece of work of a device: a pass of one micro-batch through one virtual stage.
struct operation {
  operation_kind kind = operation_kind::forward;
  std::uint32_t stage = 0;
  std::uint32_t microbatch = 0;

  friend auto operator<=>(const operation&, const operation&) = default;
};

/// Throws invalid_input unless the sizes fit the schedule. O(1).
inline void validate(const schedule_shape& shape) {
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

/// Forwards a device runs before its first backward, of all the forwards it runs.
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

/// The (stage, micro-batch) of each forward of a device in turn: groups of micro-batches go through
/// the device's first virtual stage, then its second, ...; backwards take the stages in reverse.
[[nodiscard]] inline std::vector<operation> passes(const schedule_shape& shape, std::size_t device,
                                                   operation_kind kind) {
  const std::size_t group = shape.kind != schedule_kind::interleaved ? shape.microbatches
                            : shape.group_size != 0                  ? shape.group_size
                                                                     : shape.stages;
  std::vector<operation> order;
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

/// The operations of one device in the order in which it runs them. O(m·v).
/// Preconditions: validate(shape) passes, device < shape.stages.
[[nodiscard]] inline std::vector<operation> device_order(const schedule_shape& shape,
                                                         std::size_t device) {
  const std::vector<operation> forwards = detail::passes(shape, device, operation_kind::forward);
  const std::vector<operation> backwards = detail::passes(shape, device, operation_kind::backward);
  // ZB-H1 lets the weight gradient of a micro-batch wait for as many backwards as the stage's
  // depth, where it fills what would be a bubble of 1F1B.
  const std::size_t delay = device;
  const auto weight_gradient = [](operation backward) {
    backward.kind = operation_kind::weight_gradient;
    return backward;
  };

  std::vector<operation> order;
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

/// The order of every device. O(p·m·v).
[[nodiscard]] inline std::vector<std::vector<operation>> device_orders(
    const schedule_shape& shape) {
  validate(shape);
  std::vector<std::vector<operation>> orders;
  orders.reserve(shape.stages);
  for (std::size_t device = 0; device < shape.stages; ++device)
    orders.push_back(device_order(shape, device));
  return orders;
}

}  // namespace omnibal::inline v0
