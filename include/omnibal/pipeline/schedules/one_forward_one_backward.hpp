// SPDX-License-Identifier: Apache-2.0
/// @file
/// 1F1B: stage s runs p − s − 1 forwards, then forward and backward in turn. The schedule of most
/// trainers, and the default.
///
/// Source: Narayanan et al., PipeDream, SOSP 2019, in the flushing form of Narayanan et al., SC
/// 2021.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/detail/turns.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule_size.hpp>

namespace omnibal::inline v0::schedules {

struct one_forward_one_backward {
  static constexpr std::string_view name = "1f1b";
  static constexpr schedule_capabilities capabilities = {.in_megatron_lm = true};

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
                   size.stages - device - 1);
  }
};

}  // namespace omnibal::inline v0::schedules
