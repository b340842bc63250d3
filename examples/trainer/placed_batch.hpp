// SPDX-License-Identifier: Apache-2.0
/// @file
/// A micro-batch as layers read it: on the machine, with which tokens see each other and which take
/// image rows worked out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/intervals.hpp>

#include "batch.hpp"
#include "machine.hpp"

namespace omnibal::trainer {

/// The tiles that the model reads.
struct tile_shape {
  std::size_t side = 16;  ///< Pixels; tiles are square.
  std::size_t patch = 4;  ///< Side of a patch in pixels; divides that of the tile.
  std::size_t merge = 2;  ///< Side in patches of the square that becomes one image row.

  [[nodiscard]] OMNIBAL_HD std::size_t pixels() const noexcept { return side * side; }
  [[nodiscard]] OMNIBAL_HD std::size_t patch_pixels() const noexcept { return patch * patch; }
  [[nodiscard]] OMNIBAL_HD std::size_t merged_patches() const noexcept { return merge * merge; }
  [[nodiscard]] OMNIBAL_HD std::size_t patches() const noexcept {
    return pixels() / patch_pixels();
  }
  [[nodiscard]] OMNIBAL_HD std::size_t image_rows() const noexcept {
    return patches() / merged_patches();
  }
};

/// A micro-batch on a machine. `result` is the head's; all other members stay as they were made.
struct placed_batch {
  machine* on = nullptr;
  workload work = {};
  buffer<std::int32_t> token_ids = {};       ///< [tokens]
  buffer<std::int32_t> position_ids = {};    ///< [tokens]
  buffer<std::int32_t> document_begin = {};  ///< [tokens] the first token of the document
  buffer<std::int32_t> query_limit = {};  ///< [tokens] one past the last token that attends to it
  std::vector<std::int32_t> cu_seqlens = {};  ///< On the host: [documents + 1] where they begin.
  buffer<float> pixels = {};
  buffer<std::int32_t> image_slots = {};  ///< [image rows]
  buffer<std::int32_t> image_row = {};    ///< [tokens] the image row that takes its place, or −1
  /// Tokens of text in the order of their ids; those of the i-th id that occurs are
  /// tokens_by_id[id_begin[i]] … tokens_by_id[id_begin[i + 1] − 1].
  buffer<std::int32_t> tokens_by_id = {};
  buffer<std::int32_t> id_begin = {};  ///< [ids that occur + 1]
  buffer<std::int32_t> targets = {};   ///< [tokens]
  buffer<float> loss_weights = {};     ///< [tokens]
  microbatch_result result = {};

  [[nodiscard]] std::size_t tokens() const noexcept { return token_ids.size(); }
  [[nodiscard]] std::size_t tiles() const noexcept { return static_cast<std::size_t>(work.tiles); }
};

namespace detail {

/// Throws invalid_input naming the member of the micro-batch that does not fit the others.
inline void validate(const microbatch& batch, const tile_shape& tiles, std::size_t vocabulary) {
  const auto require_size = [](std::string_view field, std::size_t size, std::size_t wanted) {
    if (size != wanted)
      throw invalid_input(field, size, "entries are given: must be " + std::to_string(wanted));
  };
  require_size("microbatch.position_ids", batch.position_ids.size(), batch.tokens());
  require_size("microbatch.targets", batch.targets.size(), batch.tokens());
  require_size("microbatch.loss_weights", batch.loss_weights.size(), batch.tokens());
  if (batch.pixels.size() % tiles.pixels() != 0)
    throw invalid_input(
        "microbatch.pixels", batch.pixels.size(),
        "entries are given: must be a multiple of " + std::to_string(tiles.pixels()));
  require_size("microbatch.image_slots", batch.image_slots.size(),
               batch.pixels.size() / tiles.pixels() * tiles.image_rows());
  const auto& ends = batch.cu_seqlens;
  if (ends.empty() || ends.front() != 0 || !std::ranges::is_sorted(ends) ||
      static_cast<std::size_t>(ends.back()) != batch.tokens())
    throw invalid_input(
        "microbatch.cu_seqlens", ends.empty() ? 0 : ends.back(),
        "must ascend from 0 to the number of tokens, " + std::to_string(batch.tokens()));
  const auto require_below = [](std::string_view field, std::span<const std::int32_t> values,
                                std::size_t limit, std::int32_t exception) {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i] != exception && (values[i] < 0 || static_cast<std::size_t>(values[i]) >= limit))
        throw invalid_input(field, i, values[i],
                            "must be at least 0 and less than " + std::to_string(limit));
  };
  require_below("microbatch.token_ids", batch.token_ids, vocabulary, 0);
  require_below("microbatch.targets", batch.targets, vocabulary, no_target);
  require_below("microbatch.image_slots", batch.image_slots, batch.tokens(), 0);
  for (std::size_t i = 1; i < batch.image_slots.size(); ++i)
    if (batch.image_slots[i] <= batch.image_slots[i - 1])
      throw invalid_input("microbatch.image_slots", i, batch.image_slots[i],
                          "must be greater than the one before it");
}

/// Which tokens see each other: causal attention within documents.
inline void place_documents(const microbatch& batch, placed_batch& placed) {
  const indices::document_row row{.cu_seqlens = batch.cu_seqlens.data(),
                                  .cu_seqlens_padded = batch.cu_seqlens.data(),
                                  .documents = static_cast<std::int32_t>(batch.documents()),
                                  .slots = static_cast<std::int64_t>(batch.tokens())};
  const indices::interval_of_key queries{.kind = indices::mask_kind::causal};
  std::vector<std::int64_t> begin(batch.tokens());
  std::vector<std::int64_t> limit(batch.tokens());
  for (std::size_t token = 0; token < batch.tokens(); ++token) {
    const auto cursor = indices::cursor_at(row, static_cast<std::int64_t>(token));
    begin[token] = cursor.begin;
    limit[token] = queries(cursor).limit;
    placed.work.squared_tokens += cursor.offset() == 0 ? cursor.length * cursor.length : 0;
  }
  placed.document_begin =
      trainer::placed<std::int32_t>(*placed.on, std::span<const std::int64_t>(begin));
  placed.query_limit =
      trainer::placed<std::int32_t>(*placed.on, std::span<const std::int64_t>(limit));
}

/// Where image rows go, and which tokens of text have each id.
inline void place_rows(const microbatch& batch, placed_batch& placed) {
  std::vector<std::int32_t> image_row(batch.tokens(), -1);
  for (std::size_t row = 0; row < batch.image_slots.size(); ++row)
    image_row[static_cast<std::size_t>(batch.image_slots[row])] = static_cast<std::int32_t>(row);
  std::map<std::int32_t, std::vector<std::int32_t>> of_id;
  for (std::size_t token = 0; token < batch.tokens(); ++token)
    if (image_row[token] < 0)
      of_id[batch.token_ids[token]].push_back(static_cast<std::int32_t>(token));
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> begin = {0};
  for (const auto& [id, its] : of_id) {
    tokens.insert(tokens.end(), its.begin(), its.end());
    begin.push_back(static_cast<std::int32_t>(tokens.size()));
  }
  const auto on_machine = [&](const std::vector<std::int32_t>& values) {
    return trainer::placed<std::int32_t>(*placed.on, std::span(values));
  };
  placed.image_row = on_machine(image_row);
  placed.tokens_by_id = on_machine(tokens);
  placed.id_begin = on_machine(begin);
}

}  // namespace detail

/// Puts a micro-batch on a machine. Throws invalid_input naming member, index and value where a
/// member does not fit the others, the tiles or the vocabulary. O(tokens · log documents + pixels).
[[nodiscard]] inline placed_batch place(machine& on, const microbatch& batch,
                                        const tile_shape& tiles, std::size_t vocabulary) {
  detail::validate(batch, tiles, vocabulary);
  placed_batch placed{
      .on = &on,
      .work = {.tiles = static_cast<std::int64_t>(batch.pixels.size() / tiles.pixels()),
               .tokens = static_cast<std::int64_t>(batch.tokens())},
      .cu_seqlens = batch.cu_seqlens};
  placed.token_ids = trainer::placed<std::int32_t>(on, std::span(batch.token_ids));
  placed.position_ids = trainer::placed<std::int32_t>(on, std::span(batch.position_ids));
  placed.pixels = trainer::placed<float>(on, std::span(batch.pixels));
  placed.image_slots = trainer::placed<std::int32_t>(on, std::span(batch.image_slots));
  placed.targets = trainer::placed<std::int32_t>(on, std::span(batch.targets));
  placed.loss_weights = trainer::placed<float>(on, std::span(batch.loss_weights));
  detail::place_documents(batch, placed);
  detail::place_rows(batch, placed);
  return placed;
}

}  // namespace omnibal::trainer
