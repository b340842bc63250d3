// SPDX-License-Identifier: Apache-2.0
/// @file
/// Places of the set slots of a mask, and rows of image embeddings for the slots of their tokens,
/// on the device: the device forms of indices::unpad, plan_scatter and source_row_of_slot.
/// move_rows (rows.cuh) takes the places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/marks.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/rows.hpp>

namespace omnibal::inline v0::gpu {

/// A batch of rows of slots in device memory, a byte a slot: `mask` is not 0 where a slot holds a
/// token; `unused` is not 0 where a slot is reserved and not attended to, and is only looked at
/// where the mask is 0. An empty `unused`: none.
struct device_batch_mask {
  std::span<const std::uint8_t> mask = {};    ///< [rows × columns]
  std::span<const std::uint8_t> unused = {};  ///< [rows × columns], or empty
  std::int64_t rows = 0;
};

/// Outputs of unpad in device memory.
struct device_unpadded {
  std::span<std::int64_t> indices = {};     ///< flat places, ascending: any size, the rest is left
                                            ///< out; entries behind the last place are not written
  std::span<std::int32_t> cu_seqlens = {};  ///< [rows + 1], needed
  std::span<std::int32_t> cu_used = {};     ///< [rows + 1] the same of `mask` alone, needed
  std::span<std::int32_t> seqused = {};     ///< [rows], or empty
  std::span<mark_counts> tiles = {};        ///< [mark_tiles(rows × columns)] workspace
};

/// Finds the set slots as indices::unpad does. Enqueues two kernels on `stream`, and a third one
/// where seqused is wanted; allocates nothing and may be captured. The bound of max_seqlen that the
/// host knows is the number of columns.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong. O(slots).
cudaError_t unpad_async(const device_batch_mask& batch, const device_unpadded& arrays,
                        cudaStream_t stream) noexcept;
/// The same, and waits for it. Throws invalid_input and cuda_error.
void unpad(const device_batch_mask& batch, const device_unpadded& arrays,
           cudaStream_t stream = nullptr);

/// Places of the tokens of a batch whose rows of row_slots slots begin with their tokens, in device
/// memory: row r has the tokens cu_tokens[r] … cu_tokens[r + 1] − 1 (lay_documents, of the rows'
/// sums). The device form of indices::places_in_rows; one kernel. Places has an entry a token.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong. O(tokens · log(rows)).
cudaError_t places_in_rows_async(std::span<const std::int32_t> cu_tokens, std::int64_t row_slots,
                                 std::span<std::int64_t> places, cudaStream_t stream) noexcept;
/// The same, and waits for it. Throws invalid_input and cuda_error.
void places_in_rows(std::span<const std::int32_t> cu_tokens, std::int64_t row_slots,
                    std::span<std::int64_t> places, cudaStream_t stream = nullptr);

/// Numbers that plan_scatter finds.
struct scatter_summary {
  std::int32_t slots = 0;  ///< with the image token
  std::int32_t tiles = 0;  ///< that are used
};
/// Whether there are as many slots as rows of used tiles.
[[nodiscard]] OMNIBAL_HD constexpr bool is_valid(const scatter_summary& found,
                                                 std::int64_t rows_per_tile) noexcept {
  return found.slots == found.tiles * rows_per_tile;
}

/// Outputs of plan_scatter in device memory.
struct device_scatter_arrays {
  scatter_summary* summary = nullptr;       ///< 1
  std::span<std::int32_t> used_tiles = {};  ///< [tiles] numbers of used ones, ascending
  std::span<std::int64_t> source_row = {};  ///< [slots] the row that a slot takes, −1 for none
  std::span<std::int64_t> slots = {};       ///< [slots], or empty: those with the image token
  std::span<mark_counts> of_slots = {};     ///< [mark_tiles(slots)] workspace
  std::span<mark_counts> of_tiles = {};     ///< [mark_tiles(tiles)] workspace
};

/// Gives the n-th slot with the image token the n-th row of the used tiles, whose rows are
/// rows_per_tile each. Enqueues four kernels on `stream`, allocates nothing and may be captured.
/// Slots beyond the last row take none; is_valid(*summary, rows_per_tile) tells.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong. O(slots + tiles).
cudaError_t plan_scatter_async(std::span<const std::int64_t> tokens, std::int64_t image_token,
                               std::span<const std::uint8_t> tile_used, std::int64_t rows_per_tile,
                               const device_scatter_arrays& arrays, cudaStream_t stream) noexcept;
/// The same, and waits for it. Throws invalid_input for numbers of slots and rows that differ.
scatter_summary plan_scatter(std::span<const std::int64_t> tokens, std::int64_t image_token,
                             std::span<const std::uint8_t> tile_used, std::int64_t rows_per_tile,
                             const device_scatter_arrays& arrays, cudaStream_t stream = nullptr);

namespace detail {

struct mark_of_mask {
  const std::uint8_t* mask;
  const std::uint8_t* unused;
  [[nodiscard]] OMNIBAL_HD constexpr unsigned operator()(std::int64_t slot) const noexcept {
    if (mask[slot] != 0) return 1;
    return unused != nullptr && unused[slot] != 0 ? 2 : 0;
  }
};

struct store_place {
  std::int64_t* places;
  std::int64_t capacity;
  std::int32_t* cu_seqlens;
  std::int32_t* cu_used;
  std::int64_t rows;
  std::int64_t columns;

  OMNIBAL_HD constexpr void operator()(std::int64_t slot, unsigned mark,
                                       const mark_counts& before) const noexcept {
    if (mark != 0 && before.all() < capacity) places[before.all()] = slot;
    if (slot % columns == 0) store_row(slot / columns, before);
  }
  OMNIBAL_HD constexpr void finish(const mark_counts& all) const noexcept {
    // Rows without columns have no slot that could begin them.
    for (std::int64_t row = columns == 0 ? 0 : rows; row <= rows; ++row) store_row(row, all);
  }

 private:
  OMNIBAL_HD constexpr void store_row(std::int64_t row, const mark_counts& before) const noexcept {
    cu_seqlens[row] = before.all();
    cu_used[row] = before.first;
  }
};

struct store_difference {
  const std::int32_t* offsets;
  std::int32_t* differences;
  OMNIBAL_HD constexpr void operator()(std::int64_t i) const noexcept {
    differences[i] = offsets[i + 1] - offsets[i];
  }
};

struct store_place_in_rows {
  indices::place_in_rows place;
  std::int64_t* places;
  OMNIBAL_HD constexpr void operator()(std::int64_t token) const noexcept {
    places[token] = place(token);
  }
};

inline void check_places(std::span<const std::int32_t> cu_tokens, std::int64_t row_slots,
                         std::span<std::int64_t> places) {
  if (cu_tokens.empty()) throw invalid_input("cu_tokens", 0, "entries: must be at least 1");
  if (row_slots < 0) throw invalid_input("row_slots", row_slots, "must not be negative");
  if (places.size() > INT32_MAX)
    throw invalid_input("places", places.size(), "tokens: must be at most 2147483647");
}

struct mark_of_token {
  const std::int64_t* tokens;
  std::int64_t image_token;
  [[nodiscard]] OMNIBAL_HD constexpr unsigned operator()(std::int64_t slot) const noexcept {
    return tokens[slot] == image_token ? 1 : 0;
  }
};

struct store_tile {
  std::int32_t* used_tiles;
  scatter_summary* summary;
  OMNIBAL_HD constexpr void operator()(std::int64_t tile, unsigned mark,
                                       const mark_counts& before) const noexcept {
    if (mark != 0) used_tiles[before.first] = static_cast<std::int32_t>(tile);
  }
  OMNIBAL_HD constexpr void finish(const mark_counts& all) const noexcept {
    summary->tiles = all.first;
  }
};

struct store_source_row {
  const std::int32_t* used_tiles;
  scatter_summary* summary;
  std::int64_t* source_row;
  std::int64_t* slots;
  std::int64_t rows_per_tile;

  OMNIBAL_HD constexpr void operator()(std::int64_t slot, unsigned mark,
                                       const mark_counts& before) const noexcept {
    const std::int64_t n = before.first;
    const bool takes = mark != 0 && n < summary->tiles * rows_per_tile;
    source_row[slot] =
        takes ? used_tiles[n / rows_per_tile] * rows_per_tile + n % rows_per_tile : -1;
    if (mark != 0 && slots != nullptr) slots[n] = slot;
  }
  OMNIBAL_HD constexpr void finish(const mark_counts& all) const noexcept {
    summary->slots = all.first;
  }
};

inline void check_unpad(const device_batch_mask& batch, const device_unpadded& arrays) {
  if (batch.mask.size() > INT32_MAX)
    throw invalid_input("mask", batch.mask.size(), "slots: must be at most 2147483647");
  if (batch.rows < 0 || batch.rows > INT32_MAX ||
      (batch.rows == 0 ? !batch.mask.empty()
                       : batch.mask.size() % static_cast<std::size_t>(batch.rows) != 0))
    throw invalid_input("rows", batch.rows, "must divide the slots of the mask");
  if (!batch.unused.empty()) require_entries(batch.unused.size(), batch.mask.size(), "unused");
  const auto rows = static_cast<std::size_t>(batch.rows);
  require_entries(arrays.cu_seqlens.size(), rows + 1, "cu_seqlens");
  require_entries(arrays.cu_used.size(), rows + 1, "cu_used");
  if (!arrays.seqused.empty()) require_entries(arrays.seqused.size(), rows, "seqused");
  require_entries(arrays.tiles.size(), mark_tiles(static_cast<std::int64_t>(batch.mask.size())),
                  "tiles");
}

inline void check_scatter(std::span<const std::int64_t> tokens,
                          std::span<const std::uint8_t> tile_used, std::int64_t rows_per_tile,
                          const device_scatter_arrays& arrays) {
  if (tokens.size() > INT32_MAX || tile_used.size() > INT32_MAX)
    throw invalid_input("tokens", tokens.size(), "and tiles: must be at most 2147483647");
  if (rows_per_tile < 0 || rows_per_tile > INT32_MAX)
    throw invalid_input("rows_per_tile", rows_per_tile, "must be 0 … 2147483647");
  if (arrays.summary == nullptr) throw invalid_input("summary", "null", "must be device memory");
  require_entries(arrays.used_tiles.size(), tile_used.size(), "used_tiles");
  require_entries(arrays.source_row.size(), tokens.size(), "source_row");
  if (!arrays.slots.empty()) require_entries(arrays.slots.size(), tokens.size(), "slots");
  require_entries(arrays.of_slots.size(), mark_tiles(static_cast<std::int64_t>(tokens.size())),
                  "of_slots");
  require_entries(arrays.of_tiles.size(), mark_tiles(static_cast<std::int64_t>(tile_used.size())),
                  "of_tiles");
}

}  // namespace detail

inline cudaError_t unpad_async(const device_batch_mask& batch, const device_unpadded& arrays,
                               cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::check_unpad(batch, arrays); });
  if (checked != cudaSuccess) return checked;
  const auto slots = static_cast<std::int64_t>(batch.mask.size());
  const cudaError_t numbered = detail::number_marks_async(
      detail::start::overlapping,
      detail::mark_of_mask{batch.mask.data(), batch.unused.empty() ? nullptr : batch.unused.data()},
      slots, arrays.tiles.data(),
      detail::store_place{arrays.indices.data(), static_cast<std::int64_t>(arrays.indices.size()),
                          arrays.cu_seqlens.data(), arrays.cu_used.data(), batch.rows,
                          batch.rows == 0 ? 0 : slots / batch.rows},
      stream);
  if (numbered != cudaSuccess || arrays.seqused.empty()) return numbered;
  return detail::for_each_async(
      detail::start::overlapping, batch.rows,
      detail::store_difference{arrays.cu_used.data(), arrays.seqused.data()}, stream);
}

inline void unpad(const device_batch_mask& batch, const device_unpadded& arrays,
                  cudaStream_t stream) {
  detail::check_unpad(batch, arrays);
  detail::wait_for(unpad_async(batch, arrays, stream), stream, "unpad");
}

inline cudaError_t places_in_rows_async(std::span<const std::int32_t> cu_tokens,
                                        std::int64_t row_slots, std::span<std::int64_t> places,
                                        cudaStream_t stream) noexcept {
  const cudaError_t checked =
      detail::code_of([&] { detail::check_places(cu_tokens, row_slots, places); });
  if (checked != cudaSuccess) return checked;
  const auto rows = static_cast<std::int32_t>(cu_tokens.size() - 1);
  return detail::for_each_async(
      detail::start::overlapping, static_cast<std::int64_t>(places.size()),
      detail::store_place_in_rows{{cu_tokens.data(), rows, row_slots}, places.data()}, stream);
}

inline void places_in_rows(std::span<const std::int32_t> cu_tokens, std::int64_t row_slots,
                           std::span<std::int64_t> places, cudaStream_t stream) {
  detail::check_places(cu_tokens, row_slots, places);
  detail::wait_for(places_in_rows_async(cu_tokens, row_slots, places, stream), stream,
                   "places_in_rows");
}

inline cudaError_t plan_scatter_async(std::span<const std::int64_t> tokens,
                                      std::int64_t image_token,
                                      std::span<const std::uint8_t> tile_used,
                                      std::int64_t rows_per_tile,
                                      const device_scatter_arrays& arrays,
                                      cudaStream_t stream) noexcept {
  const cudaError_t checked =
      detail::code_of([&] { detail::check_scatter(tokens, tile_used, rows_per_tile, arrays); });
  if (checked != cudaSuccess) return checked;
  const cudaError_t tiled = detail::number_marks_async(
      detail::start::overlapping, detail::mark_of_mask{tile_used.data(), nullptr},
      static_cast<std::int64_t>(tile_used.size()), arrays.of_tiles.data(),
      detail::store_tile{arrays.used_tiles.data(), arrays.summary}, stream);
  if (tiled != cudaSuccess) return tiled;
  return detail::number_marks_async(
      detail::start::overlapping, detail::mark_of_token{tokens.data(), image_token},
      static_cast<std::int64_t>(tokens.size()), arrays.of_slots.data(),
      detail::store_source_row{arrays.used_tiles.data(), arrays.summary, arrays.source_row.data(),
                               detail::wanted(arrays.slots), rows_per_tile},
      stream);
}

inline scatter_summary plan_scatter(std::span<const std::int64_t> tokens, std::int64_t image_token,
                                    std::span<const std::uint8_t> tile_used,
                                    std::int64_t rows_per_tile, const device_scatter_arrays& arrays,
                                    cudaStream_t stream) {
  detail::check_scatter(tokens, tile_used, rows_per_tile, arrays);
  require(plan_scatter_async(tokens, image_token, tile_used, rows_per_tile, arrays, stream),
          "plan_scatter");
  const scatter_summary found = detail::fetch(arrays.summary, stream, "plan_scatter");
  if (!is_valid(found, rows_per_tile))
    throw invalid_input(
        "rows of used tiles", found.tiles * rows_per_tile,
        "must be as many as slots with the image token, " + std::to_string(found.slots));
  return found;
}

}  // namespace omnibal::inline v0::gpu
