// SPDX-License-Identifier: Apache-2.0
/// @file
/// What activations a device holds at its worst moment, exactly, from the order of its operations.
///
/// F allocates what its stage keeps for the backward. While B runs, its transient stands on top;
/// then B releases what it kept, but for the part the weight gradient still needs, which W
/// releases. Times do not matter: the order alone decides.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

/// Bytes a micro-batch occupies on a virtual stage.
struct activation_bytes {
  std::int64_t saved = 0;                      ///< From F to B.
  std::int64_t transient = 0;                  ///< While B runs, on top.
  std::int64_t saved_for_weight_gradient = 0;  ///< The part of `kept` held on from B to W.
};

/// Gives the bytes of the stage and micro-batch an operation works on.
template <typename Memory>
concept activation_model = requires(const Memory& memory, const pipeline_operation& work) {
  { memory(work) } -> std::convertible_to<activation_bytes>;
};

struct device_peak {
  std::int64_t bytes = 0;     ///< Largest sum held at once.
  std::size_t in_flight = 0;  ///< Most (stage, micro-batch) pairs that hold anything at once.
};

/// The worst moment of one device. O(operations).
template <activation_model Memory>
[[nodiscard]] device_peak peak_activation(std::span<const pipeline_operation> order,
                                          const Memory& memory) {
  device_peak peak;
  std::int64_t held = 0;
  std::size_t in_flight = 0;
  const bool splits_backward = std::ranges::any_of(order, [](const pipeline_operation& work) {
    return work.kind == operation_kind::weight_gradient;
  });
  for (const pipeline_operation& work : order) {
    const activation_bytes bytes = memory(work);
    switch (work.kind) {
      case operation_kind::forward:
        held += bytes.saved;
        ++in_flight;
        peak.bytes = std::max(peak.bytes, held);
        peak.in_flight = std::max(peak.in_flight, in_flight);
        break;
      case operation_kind::backward:
        peak.bytes = std::max(peak.bytes, held + bytes.transient);
        held -= bytes.saved - (splits_backward ? bytes.saved_for_weight_gradient : 0);
        if (!splits_backward) --in_flight;
        break;
      case operation_kind::weight_gradient:
        held -= bytes.saved_for_weight_gradient;
        --in_flight;
        break;
    }
  }
  return peak;
}

/// How many micro-batches stage s of a schedule without virtual stages keeps at its worst moment:
/// min(p − s, m) for 1F1B, m for GPipe. With it the peak of a stage is
/// in_flight · kept + transient. Precondition: kind is gpipe or one_forward_one_backward.
[[nodiscard]] constexpr std::size_t in_flight(const schedule_shape& shape,
                                              std::size_t stage) noexcept {
  return shape.kind == schedule_kind::gpipe ? shape.microbatches
                                            : std::min(shape.stages - stage, shape.microbatches);
}

/// The start of a backward on a device: what each of its virtual stages, in their order, holds.
struct peak_event {
  std::vector<std::size_t> whole;    ///< Micro-batches between F and B.
  std::vector<std::size_t> waiting;  ///< Micro-batches between B and W.
  std::size_t running = 0;           ///< Which of the device's virtual stages runs the backward.

  friend bool operator==(const peak_event&, const peak_event&) = default;
};

/// The moments of a device of which at least one is the worst, whatever its stages hold:
/// peak = max over them of Σ whole · kept + Σ waiting · saved_for_weight_gradient + transient of
/// the running stage. Between a forward and the next backward nothing is released, so the starts of
/// backwards are enough. O(m·v·moments).
[[nodiscard]] std::vector<peak_event> peak_events(const schedule_shape& shape, std::size_t device);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/memory.ipp>
#endif
