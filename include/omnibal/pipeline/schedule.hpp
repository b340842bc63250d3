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

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>

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

/// The fewest micro-batches that a schedule can run and that are not fewer than these.
[[nodiscard]] constexpr std::size_t runnable_microbatches(const schedule_shape& schedule,
                                                          std::size_t microbatches) noexcept {
  if (schedule.kind != schedule_kind::interleaved) return microbatches;
  return (microbatches + schedule.stages - 1) / schedule.stages * schedule.stages;
}

enum class operation_kind : std::uint8_t { forward, backward, weight_gradient };

/// One piece of work of a device: a pass of one micro-batch through one virtual stage.
struct pipeline_operation {
  operation_kind kind = operation_kind::forward;
  std::uint32_t stage = 0;
  std::uint32_t microbatch = 0;

  friend auto operator<=>(const pipeline_operation&, const pipeline_operation&) = default;
};

/// Throws invalid_input unless the sizes fit the schedule. O(1).
void validate(const schedule_shape& shape);

/// The operations of one device in the order in which it runs them. O(m·v).
/// Preconditions: validate(shape) passes, device < shape.stages.
[[nodiscard]] std::vector<pipeline_operation> device_order(const schedule_shape& shape,
                                                           std::size_t device);

/// The order of every device. O(p·m·v).
[[nodiscard]] std::vector<std::vector<pipeline_operation>> device_orders(
    const schedule_shape& shape);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/schedule.ipp>
#endif
