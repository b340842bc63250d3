// SPDX-License-Identifier: Apache-2.0
/// @file
/// Orders of operations that schedules share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/operation.hpp>

namespace omnibal::inline v0::detail {

[[nodiscard]] inline pipeline_operation operation_of(operation_kind kind, std::size_t stage,
                                                     std::size_t microbatch) {
  return {.kind = kind,
          .stage = static_cast<std::uint32_t>(stage),
          .microbatch = static_cast<std::uint32_t>(microbatch)};
}

/// One operation of every micro-batch on a stage, in order.
[[nodiscard]] inline std::vector<pipeline_operation> all_microbatches(operation_kind kind,
                                                                      std::size_t stage,
                                                                      std::size_t microbatches) {
  std::vector<pipeline_operation> order;
  order.reserve(microbatches);
  for (std::size_t m = 0; m < microbatches; ++m) order.push_back(operation_of(kind, stage, m));
  return order;
}

/// The first `warmup` forwards, then the rest in turn with the backwards.
[[nodiscard]] inline std::vector<pipeline_operation> in_turn(
    const std::vector<pipeline_operation>& forwards,
    const std::vector<pipeline_operation>& backwards, std::size_t warmup) {
  warmup = std::min(warmup, forwards.size());
  std::vector<pipeline_operation> order(forwards.begin(),
                                        forwards.begin() + static_cast<std::ptrdiff_t>(warmup));
  order.reserve(forwards.size() + backwards.size());
  for (std::size_t turn = 0; turn < backwards.size(); ++turn) {
    if (warmup + turn < forwards.size()) order.push_back(forwards[warmup + turn]);
    order.push_back(backwards[turn]);
  }
  return order;
}

}  // namespace omnibal::inline v0::detail
