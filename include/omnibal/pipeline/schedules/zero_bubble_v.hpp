// SPDX-License-Identifier: Apache-2.0
/// @file
/// ZB-V: two virtual stages per device, placed like a V: stage j < p on device j, else on device
/// 2p − 1 − j, so that the first device has the first and the last stage. The weight gradient is an
/// operation of its own. The order is the one that leaves no device idle between its first and its
/// last operation when F, B and W of every stage take the same time; it needs no more activation
/// memory than 1F1B, and the same on every device.
///
/// Source: Qi et al., "Zero Bubble Pipeline Parallelism", ICLR 2024.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/detail/turns.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule_size.hpp>

namespace omnibal::inline v0::schedules {

struct zero_bubble_v {
  static constexpr std::string_view name = "zbv";
  static constexpr schedule_capabilities capabilities = {
      .splits_backward = true, .least_virtual_stages = 2, .most_virtual_stages = 2};

  static void validate(const schedule_size&) {}
  [[nodiscard]] static std::size_t runnable_microbatches(const schedule_size&,
                                                         std::size_t microbatches) {
    return microbatches;
  }
  [[nodiscard]] static std::size_t device(const schedule_size& size, std::size_t stage) {
    return stage < size.stages ? stage : 2 * size.stages - 1 - stage;
  }
  [[nodiscard]] static std::vector<pipeline_operation> order(const schedule_size& size,
                                                             std::size_t device) {
    return device_order(size, device).operations;
  }

 private:
  /// The order while it is made: operations on the stage of the way down or up, each of the next
  /// micro-batch that has not had it. Fewer micro-batches than fill the pipeline, 2p − 1, run in
  /// the order of as many, with those that are too many left out.
  struct device_order {
    const schedule_size& size;
    std::array<std::size_t, 2> stages;                    ///< Of the way down and of the way up.
    std::array<std::array<std::size_t, 2>, 3> next = {};  ///< By kind and way.
    std::vector<pipeline_operation> operations = {};

    static constexpr std::size_t down = 0;
    static constexpr std::size_t up = 1;

    device_order(const schedule_size& of, std::size_t device)
        : size(of), stages{device, 2 * of.stages - 1 - device} {
      fill(device);
      steady();
      drain(device);
    }

    void add(operation_kind kind, std::size_t way) {
      const std::size_t microbatch = next[static_cast<std::size_t>(kind)][way]++;
      if (microbatch < size.microbatches)
        operations.push_back(detail::operation_of(kind, stages[way], microbatch));
    }
    void forward(std::size_t way) { add(operation_kind::forward, way); }
    void backward(std::size_t way) { add(operation_kind::backward, way); }
    void weight_gradient(std::size_t way) { add(operation_kind::weight_gradient, way); }

    void fill(std::size_t device) {
      for (std::size_t k = 2 * (size.stages - device) - 1; k > 0; --k) forward(down);
      for (std::size_t k = device; k > 0; --k) {
        forward(up);
        forward(down);
      }
      for (std::size_t k = size.stages - device; k > 0; --k) {
        forward(up);
        backward(up);
        weight_gradient(up);
      }
    }
    void steady() {
      const std::size_t microbatches = std::max(size.microbatches, 2 * size.stages - 1);
      const auto& forwards = next[static_cast<std::size_t>(operation_kind::forward)];
      while (forwards[up] < microbatches) {
        if (forwards[down] < microbatches) forward(down);
        backward(down);
        weight_gradient(down);
        forward(up);
        backward(up);
        weight_gradient(up);
      }
    }
    void drain(std::size_t device) {
      for (std::size_t k = device; k > 0; --k) {
        backward(down);
        backward(up);
      }
      for (std::size_t k = size.stages - device; k > 0; --k) {
        backward(down);
        weight_gradient(down);
      }
      const std::size_t microbatches = std::max(size.microbatches, 2 * size.stages - 1);
      const auto& done = next[static_cast<std::size_t>(operation_kind::weight_gradient)];
      while (done[up] < microbatches) weight_gradient(up);
      while (done[down] < microbatches) weight_gradient(down);
    }
  };
};

}  // namespace omnibal::inline v0::schedules
