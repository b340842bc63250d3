// SPDX-License-Identifier: Apache-2.0
/// @file
/// Pipeline schedules (GPipe, 1F1B, interleaved 1F1B, ZB-H1): the order of operations on every
/// device.
///
///     const auto order = omnibal::device_order({.stages = 4, .microbatches = 8}, 0);
///
/// A pipeline of p devices has p·v virtual stages, stage j on device j mod p; every micro-batch
/// passes forward through all stages and backward again. A schedule only gives an order of
/// operations per device: start times follow from durations (pipeline/simulate.hpp), activation
/// memory from the order alone (pipeline/memory.hpp).
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
  one_forward_one_backward,  ///< 1F1B: p − s warm-up forwards, then backward and forward in turn.
  interleaved,               ///< 1F1B over v virtual stages per device, in groups of micro-batches.
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
  std::size_t virtual_stages = 1;  ///< Per device, v; more than 1 only if interleaved.
  std::size_t microbatches = 1;    ///< Per step, m.
  std::size_t group_size = 0;      ///< Interleaved: consecutive micro-batches per stage; 0 means p.

  [[nodiscard]] constexpr std::size_t total_stages() const noexcept {
    return stages * virtual_stages;
  }
  [[nodiscard]] constexpr bool splits_backward() const noexcept {
    return kind == schedule_kind::zero_bubble_h1;
  }
  friend bool operator==(const schedule_shape&, const schedule_shape&) = default;
};

/// The least number of micro-batches, at least this one, that a schedule can run: a multiple of the
/// stages if interleaved.
[[nodiscard]] constexpr std::size_t runnable_microbatches(const schedule_shape& schedule,
                                                          std::size_t microbatches) noexcept {
  if (schedule.kind != schedule_kind::interleaved) return microbatches;
  return (microbatches + schedule.stages - 1) / schedule.stages * schedule.stages;
}

enum class operation_kind : std::uint8_t { forward, backward, weight_gradient };

/// One operation: the forward, backward or weight gradient of one micro-batch on one virtual stage.
struct pipeline_operation {
  operation_kind kind = operation_kind::forward;
  std::uint32_t stage = 0;
  std::uint32_t microbatch = 0;

  friend auto operator<=>(const pipeline_operation&, const pipeline_operation&) = default;
};

/// Throws invalid_input naming a size that is out of range for the schedule. O(1).
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
