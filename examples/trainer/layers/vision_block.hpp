// SPDX-License-Identifier: Apache-2.0
/// @file
/// A layer of the vision tower: the patches of a tile attend to each other.
#pragma once

#include "operations.hpp"
#include "transformer_block.hpp"

namespace omnibal::trainer {

template <typename Real>
using vision_block = transformer_block<Real, tile_attention, gelu>;

}  // namespace omnibal::trainer
