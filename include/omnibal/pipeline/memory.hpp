// SPDX-License-Identifier: Apache-2.0
/// @file
/// Peak activation memory of a device, exactly, from the order of its operations.
///
/// The forward F allocates the saved activations of its stage and micro-batch. The backward B needs
/// its transient bytes in addition while it runs; then it releases the saved bytes and keeps those
/// that the weight gradient W needs and releases: a part of the saved ones, or more where it keeps
/// what it has recomputed. The peak depends on the order of operations alone, not on their times.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

/// Bytes of one micro-batch on one virtual stage.
struct activation_bytes {
  std::int64_t saved = 0;                      ///< From F to B.
  std::int64_t transient = 0;                  ///< In addition while B runs.
  std::int64_t saved_for_weight_gradient = 0;  ///< From B to W, in place of `saved`.
};

/// Gives the bytes of the stage and micro-batch an operation works on.
template <typename Memory>
concept activation_model = requires(const Memory& memory, const pipeline_operation& work) {
  { memory(work) } -> std::convertible_to<activation_bytes>;
};

/// Peaks of one device over a step.
struct device_peak {
  std::int64_t bytes = 0;     ///< Largest sum of activation bytes at one time.
  std::size_t in_flight = 0;  ///< Most (stage, micro-batch) pairs with activations at one time.
};

/// The peaks of one device. O(operations).
template <activation_model Memory>
[[nodiscard]] device_peak peak_activation(std::span<const pipeline_operation> order,
                                          const Memory& memory) {
  device_peak peak;
  std::int64_t allocated = 0;
  std::size_t in_flight = 0;
  const bool splits_backward = std::ranges::any_of(order, [](const pipeline_operation& work) {
    return work.kind == operation_kind::weight_gradient;
  });
  for (const pipeline_operation& work : order) {
    const activation_bytes bytes = memory(work);
    switch (work.kind) {
      case operation_kind::forward:
        allocated += bytes.saved;
        ++in_flight;
        peak.bytes = std::max(peak.bytes, allocated);
        peak.in_flight = std::max(peak.in_flight, in_flight);
        break;
      case operation_kind::backward:
        peak.bytes = std::max(peak.bytes, allocated + bytes.transient);
        allocated -= bytes.saved - (splits_backward ? bytes.saved_for_weight_gradient : 0);
        if (!splits_backward) --in_flight;
        peak.bytes = std::max(peak.bytes, allocated);
        break;
      case operation_kind::weight_gradient:
        allocated -= bytes.saved_for_weight_gradient;
        --in_flight;
        break;
    }
  }
  return peak;
}

/// The most micro-batches in flight at one time on a stage that has its device to itself, e.g.
/// min(p − s, m) for 1F1B and m for GPipe. With an unsplit backward the peak of the stage is
/// in_flight · saved + transient. O(m). Precondition: !shape.shares_devices().
[[nodiscard]] std::size_t in_flight(const schedule_shape& shape, std::size_t stage);

/// A candidate for the peak of a device: the start of a backward or of a weight gradient, with the
/// number of micro-batches whose activations each of its virtual stages, in order, has at that
/// time.
struct peak_event {
  std::vector<std::size_t> whole;    ///< Micro-batches between F and B.
  std::vector<std::size_t> waiting;  ///< Micro-batches between B and W.
  /// The device's virtual stage that runs the backward; none at the start of a weight gradient.
  std::optional<std::size_t> running = {};

  friend bool operator==(const peak_event&, const peak_event&) = default;
};

/// What is known of the bytes that stay from B to W.
enum class kept_bytes {
  any,
  within_saved,  ///< At most the saved bytes, so that no backward ends with more than before.
};

/// Events that are enough to compute the peak of a device for any bytes per stage, or for any of
/// the given kind: the peak is the maximum over them of Σ whole · saved + Σ waiting ·
/// saved_for_weight_gradient, plus the transient of the stage that runs. Bytes are released by
/// backwards and weight gradients alone, so their starts suffice; events dominated by others are
/// left out. O(m·v·events).
[[nodiscard]] std::vector<peak_event> peak_events(const schedule_shape& shape, std::size_t device,
                                                  kept_bytes kept = kept_bytes::any);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/memory.ipp>
#endif
