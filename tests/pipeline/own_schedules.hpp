// SPDX-License-Identifier: Apache-2.0
/// @file
/// Schedules of a user, which no list has.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::test {

/// Depth first: every micro-batch passes down and up before the next enters. Stages lie on the
/// devices in reverse.
struct depth_first {
  static constexpr std::string_view name = "depth first";
  static constexpr schedule_capabilities capabilities = {};

  static void validate(const schedule_size&) {}
  static std::size_t runnable_microbatches(const schedule_size&, std::size_t microbatches) {
    return microbatches;
  }
  static std::size_t device(const schedule_size& size, std::size_t stage) {
    return size.stages - 1 - stage;
  }
  static std::vector<pipeline_operation> order(const schedule_size& size, std::size_t device) {
    const auto stage = static_cast<std::uint32_t>(size.stages - 1 - device);
    std::vector<pipeline_operation> order;
    for (std::uint32_t m = 0; m < size.microbatches; ++m) {
      order.push_back({operation_kind::forward, stage, m});
      order.push_back({operation_kind::backward, stage, m});
    }
    return order;
  }
};

/// Two virtual stages per device, neighbours of each other; forwards first, weight gradients last.
struct neighbours {
  static constexpr std::string_view name = "neighbours";
  static constexpr schedule_capabilities capabilities = {
      .splits_backward = true, .least_virtual_stages = 2, .most_virtual_stages = 2};

  static void validate(const schedule_size&) {}
  static std::size_t runnable_microbatches(const schedule_size&, std::size_t microbatches) {
    return microbatches;
  }
  static std::size_t device(const schedule_size&, std::size_t stage) { return stage / 2; }
  static std::vector<pipeline_operation> order(const schedule_size& size, std::size_t device) {
    const auto first = static_cast<std::uint32_t>(2 * device);
    std::vector<pipeline_operation> order;
    const auto add = [&](operation_kind kind, std::uint32_t stage) {
      for (std::uint32_t m = 0; m < size.microbatches; ++m) order.push_back({kind, stage, m});
    };
    add(operation_kind::forward, first);
    add(operation_kind::forward, first + 1);
    add(operation_kind::backward, first + 1);
    add(operation_kind::backward, first);
    add(operation_kind::weight_gradient, first + 1);
    add(operation_kind::weight_gradient, first);
    return order;
  }
};

}  // namespace omnibal::test
