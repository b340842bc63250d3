// SPDX-License-Identifier: Apache-2.0
/// @file
/// A micro-batch: one pack of documents, as the first stage and the last one read it. All stages
/// get it at the start of a step; between them pass rows of activations alone.
///
/// The tokens of all documents follow each other. A document's images are tiles of pixels;
/// the vision tower makes a few rows of each, which take the places of tokens in the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace omnibal::trainer {

/// The target of a token after which nothing is asked; its weight is 0.
inline constexpr std::int32_t no_target = -100;

/// Empty (no documents) where a rank's step has more micro-batches than packs.
struct microbatch {
  /// [documents + 1] where documents begin among the tokens; the last entry is their number.
  std::vector<std::int32_t> cu_seqlens = {0};
  std::vector<std::int32_t> token_ids = {};     ///< [tokens]; of an image row any valid id
  std::vector<std::int32_t> position_ids = {};  ///< [tokens] within the document, from 0
  /// [tiles × tile pixels] of all documents, in the order of their tokens; a tile row by row.
  std::vector<float> pixels = {};
  /// [image rows] the token whose place a row of the tower takes, ascending: those of tile 0, …
  std::vector<std::int32_t> image_slots = {};
  std::vector<std::int32_t> targets = {};  ///< [tokens] the token that comes next, or no_target
  /// [tokens] what the loss of the token counts: 1 / (tokens with a target in the step, over all
  /// ranks), so that sums over micro-batches and ranks are the mean; 0 without a target.
  std::vector<float> loss_weights = {};

  [[nodiscard]] std::size_t tokens() const noexcept { return token_ids.size(); }
  [[nodiscard]] std::size_t documents() const noexcept { return cu_seqlens.size() - 1; }
  [[nodiscard]] bool empty() const noexcept { return token_ids.empty(); }
};

/// What the last stage finds in a forward.
struct microbatch_result {
  double loss = 0;  ///< Σ loss_weights · (−log probability of the target)
  std::vector<std::int32_t> predictions = {};  ///< [tokens] the most probable next token
};

}  // namespace omnibal::trainer
