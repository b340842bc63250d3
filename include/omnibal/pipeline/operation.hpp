// SPDX-License-Identifier: Apache-2.0
/// @file
/// The operations that a pipeline runs.
#pragma once

#include <compare>
#include <cstdint>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

enum class operation_kind : std::uint8_t { forward, backward, weight_gradient };

/// One operation: the forward, backward or weight gradient of one micro-batch on one virtual stage.
struct pipeline_operation {
  operation_kind kind = operation_kind::forward;
  std::uint32_t stage = 0;
  std::uint32_t microbatch = 0;

  friend auto operator<=>(const pipeline_operation&, const pipeline_operation&) = default;
};

}  // namespace omnibal::inline v0
