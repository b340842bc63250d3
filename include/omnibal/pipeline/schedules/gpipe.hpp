// SPDX-License-Identifier: Apache-2.0
/// @file
/// GPipe: all forwards, then all backwards in the same order. The most activation memory, the
/// simplest order.
///
/// Source: Huang et al., "GPipe", NeurIPS 2019.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/detail/turns.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule_size.hpp>

namespace omnibal::inline v0::schedules {

struct gpipe {
  static constexpr std::string_view name = "gpipe";
  static constexpr schedule_capabilities capabilities = {};

  static void validate(const schedule_size&) {}
  [[nodiscard]] static std::size_t runnable_microbatches(const schedule_size&,
                                                         std::size_t microbatches) {
    return microbatches;
  }
  [[nodiscard]] static std::size_t device(const schedule_size&, std::size_t stage) { return stage; }
  [[nodiscard]] static std::vector<pipeline_operation> order(const schedule_size& size,
                                                             std::size_t device) {
    using namespace detail;
    return in_turn(all_microbatches(operation_kind::forward, device, size.microbatches),
                   all_microbatches(operation_kind::backward, device, size.microbatches),
                   size.microbatches);
  }
};

}  // namespace omnibal::inline v0::schedules
