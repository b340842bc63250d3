// SPDX-License-Identifier: Apache-2.0
/// @file
/// A layer of the language model: causal attention within documents with rotary positions, and a
/// gated feed-forward.
#pragma once

#include "operations.hpp"
#include "transformer_block.hpp"

namespace omnibal::trainer {

template <typename Real>
using decoder_block = transformer_block<Real, document_attention, gated_silu>;

}  // namespace omnibal::trainer
