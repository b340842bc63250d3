// SPDX-License-Identifier: Apache-2.0
// From a pack to what attention takes: cu_seqlens and labels for a FlashAttention-style model, a
// block mask for FlexAttention, and the rotary positions of a row with an image.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>
#include <omnibal/packing.hpp>

#include "claim.hpp"

using omnibal::examples::claim;
namespace indices = omnibal::indices;

namespace {

// Each token is its own label here; a trainer has −100 in prompts.
std::vector<std::int64_t> labels_of(std::int64_t tokens) {
  std::vector<std::int64_t> labels;
  for (std::int64_t token = 0; token < tokens; ++token) labels.push_back(token);
  return labels;
}

void show_rotary_positions() {
  // "Look at <image of 4 x 4 patches> this", twice in a row: positions restart in each document.
  using enum indices::token_type;
  const std::vector<indices::token_type> types{text, text, image, image, image, image, text,
                                               text, text, image, image, image, image, text};
  const std::vector<indices::image_grid> grids(2, {1, 4, 4});
  const auto row = indices::lay_row(std::vector<std::int64_t>{7, 7});
  const auto placed = indices::place_images(row.row(), {.types = types, .images = grids});
  std::vector<std::int64_t> positions(3 * types.size());
  indices::fill_rope_positions(row.row(), placed, positions);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::printf("%s:", axis == 0 ? "time  " : axis == 1 ? "row   " : "column");
    for (std::size_t slot = 0; slot < types.size(); ++slot)
      std::printf(" %d", static_cast<int>(positions[axis * types.size() + slot]));
    std::printf("\n");
    for (std::size_t slot = 0; slot < 7; ++slot)
      claim(positions[axis * types.size() + slot] == positions[axis * types.size() + slot + 7],
            "equal documents have equal positions");
  }
}

}  // namespace

int main() {
  constexpr std::int64_t slots = 4096;
  std::vector<omnibal::loads<1>> samples;
  std::vector<std::int64_t> tokens;
  for (int i = 0; i < 200; ++i) tokens.push_back(150 + (i * 7919) % 1700);
  for (const std::int64_t count : tokens) samples.push_back({count});
  const auto packing = omnibal::pack_balanced(samples, {.capacity = {slots}});
  const auto pack = packing.packs[0];

  std::int64_t used = 0;
  for (const std::uint32_t sample : pack) used += tokens[sample];
  const auto batch = indices::make_packed_batch(
      pack, tokens, labels_of(used),
      {.consumer = indices::batch_consumer::transformers, .slots = slots, .documents = 32});
  std::printf("cu_seqlens has %zu entries for a pack of %zu samples, the longest sequence %d\n",
              batch.cu_seqlens.size(), pack.size(), static_cast<int>(batch.max_seqlen));
  claim(batch.cu_seqlens.size() == 34, "its shape does not depend on the pack");
  claim(batch.cu_seqlens.back() == slots, "the tail is a sequence too");

  const auto flex = indices::make_packed_batch(
      pack, tokens, {},
      {.consumer = indices::batch_consumer::flex_attention, .slots = slots, .documents = 32});
  std::int64_t listed = 0;
  for (std::size_t row = 0; row < flex.blocks->kv.count.size(); ++row)
    listed += flex.blocks->kv.count[row] + flex.blocks->full_kv.count[row];
  const std::int64_t causal = (slots / 128) * (slots / 128 + 1) / 2;
  std::printf("blocks to compute: %d of the %d of a causal mask\n", static_cast<int>(listed),
              static_cast<int>(causal));
  claim(listed < causal, "documents do not attend to each other");

  show_rotary_positions();
}
