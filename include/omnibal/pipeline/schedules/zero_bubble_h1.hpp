// SPDX-License-Identifier: Apache-2.0
/// @file
/// ZB-H1: 1F1B with the weight gradient as an operation of its own, which stage s delays by s
/// backwards, where it fills a bubble of 1F1B. The memory of 1F1B plus what W needs.
///
/// Source: Qi et al., "Zero Bubble Pipeline Parallelism", ICLR 2024.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/detail/turns.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule_size.hpp>
#include <omnibal/pipeline/schedules/one_forward_one_backward.hpp>

namespace omnibal::inline v0::schedules {

struct zero_bubble_h1 {
  static constexpr std::string_view name = "zbh1";
  static constexpr schedule_capabilities capabilities = {.splits_backward = true};

  static void validate(const schedule_size&) {}
  [[nodiscard]] static std::size_t runnable_microbatches(const schedule_size&,
                                                         std::size_t microbatches) {
    return microbatches;
  }
  [[nodiscard]] static std::size_t device(const schedule_size&, std::size_t stage) { return stage; }
  [[nodiscard]] static std::vector<pipeline_operation> order(const schedule_size& size,
                                                             std::size_t device) {
    std::vector<pipeline_operation> order;
    order.reserve(3 * size.microbatches);
    std::size_t done = 0;  // Weight gradients.
    const auto weight_gradient = [&] {
      order.push_back(detail::operation_of(operation_kind::weight_gradient, device, done++));
    };
    for (const pipeline_operation& work : one_forward_one_backward::order(size, device)) {
      order.push_back(work);
      if (work.kind == operation_kind::backward && work.microbatch >= device) weight_gradient();
    }
    while (done < size.microbatches) weight_gradient();
    return order;
  }
};

}  // namespace omnibal::inline v0::schedules
