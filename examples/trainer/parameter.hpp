// SPDX-License-Identifier: Apache-2.0
/// @file
/// A parameter of a layer, as the optimizer and checkpoints see it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace omnibal::trainer {

/// Views of memory that the stage owns; they stay valid as long as the stage.
struct parameter {
  std::string name = {};    ///< Within its layer, for example "query".
  std::uint32_t layer = 0;  ///< Its place in the chain of all layers, not in the stage.
  std::span<float> value = {};
  std::span<float> gradient = {};  ///< Of the same size. Weight gradients are added to it.
};

}  // namespace omnibal::trainer
