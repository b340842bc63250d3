// SPDX-License-Identifier: Apache-2.0
/// @file
/// M-RoPE positions of packed rows with images and videos, on the device. The device form of
/// indices/rope.hpp, which reads a row from left to right; here each slot is a closed form of the
/// image and video tokens before it (indices/rope_slot.hpp). Two kernels, no copy to the host.
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
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/rope.hpp>
#include <omnibal/indices/rope_slot.hpp>

namespace omnibal::inline v0::gpu {

/// What the device knows of a row with images: whether token types and grids agree.
struct rope_summary {
  std::int32_t first_bad = INT32_MAX;  ///< first slot whose type no grid explains; slots where a
                                       ///< grid is left over; INT32_MAX: none
  std::int32_t first_bad_image = INT32_MAX;  ///< first image grid that is not legal
  std::int32_t first_bad_video = INT32_MAX;
  std::int32_t first_bad_seconds = INT32_MAX;  ///< first seconds_per_grid out of range
};
[[nodiscard]] OMNIBAL_HD constexpr bool is_valid(const rope_summary& row) noexcept {
  return row.first_bad == INT32_MAX && row.first_bad_image == INT32_MAX &&
         row.first_bad_video == INT32_MAX && row.first_bad_seconds == INT32_MAX;
}

/// Outputs of place_images in device memory. The summary and the five arrays after it are needed;
/// of the others an empty span is not written.
struct device_rope_arrays {
  std::span<std::int64_t> position_ids = {};  ///< [3 × slots], or [4 × slots] with the positions in
                                              ///< the document before them
  rope_summary* summary = nullptr;               ///< 1
  std::span<std::int32_t> image_cells = {};      ///< [images + 1] cumulated language tokens
  std::span<std::int32_t> image_positions = {};  ///< [images + 1] cumulated advances
  std::span<std::int32_t> video_cells = {};      ///< [videos + 1]
  std::span<std::int32_t> video_positions = {};  ///< [videos + 1]
  std::span<mark_counts> tiles = {};             ///< [mark_tiles(slots)] workspace
  std::span<std::int64_t> delta = {};            ///< [documents] as rope_row::delta
  std::span<std::int64_t> source_row = {};  ///< [slots] number of an image token or a video token
                                            ///< among its kind, −1 for text
  indices::image_group_arrays groups = {};
};

/// Places the images of a row as indices::place_images, indices::fill_rope_positions and
/// indices::fill_image_groups do; the row's offsets and all spans of `inputs` are device memory.
/// Enqueues two kernels on `stream`, allocates nothing and may be captured.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong. Unless is_valid(*summary), token types
/// and grids do not agree, and positions from the first such slot on mean nothing.
/// O(images + videos + slots · log(documents + images + videos)).
cudaError_t place_images_async(const indices::document_row& row, const indices::rope_inputs& inputs,
                               const device_rope_arrays& arrays, cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input for what is_valid() refuses and for sizes that
/// are wrong, and cuda_error.
void place_images(const indices::document_row& row, const indices::rope_inputs& inputs,
                  const device_rope_arrays& arrays, cudaStream_t stream = nullptr);

namespace detail {

/// Images have mark 1, videos 2.
struct mark_of_type {
  const indices::token_type* types;
  [[nodiscard]] OMNIBAL_HD constexpr unsigned operator()(std::int64_t slot) const noexcept {
    return static_cast<unsigned>(types[slot]);
  }
};

/// The grids of one kind, whose cumulated arrays the first kernel writes.
struct grid_offsets {
  const indices::image_grid* grids;
  std::int32_t* cells;
  std::int32_t* positions;
  std::int32_t count;
  std::int32_t merge;
  bool by_frame;
  std::int32_t* first_bad;
  const float* seconds;  ///< [count], or null
  float rate;
  std::int32_t* first_bad_seconds;
};

struct grid_sums {
  std::int64_t cells = 0;
  std::int64_t positions = 0;
};
struct append_grids {
  [[nodiscard]] OMNIBAL_HD constexpr grid_sums operator()(const grid_sums& a,
                                                          const grid_sums& b) const noexcept {
    return {a.cells + b.cells, a.positions + b.positions};
  }
};

[[nodiscard]] OMNIBAL_HD constexpr std::int32_t limited_offset(std::int64_t offset) noexcept {
  return offset < INT32_MAX ? static_cast<std::int32_t>(offset) : INT32_MAX;
}

using grid_storage = shared_array<grid_sums, fill_threads / warp_lanes>;

/// Cumulates the grids of a kind, by a whole block. Grids that are not legal count as empty.
inline __device__ void cumulate_grids(const grid_offsets& of, grid_storage& sums) {
  grid_sums before;
  for (std::int32_t begin = 0; begin < of.count; begin += static_cast<std::int32_t>(fill_threads)) {
    const std::int32_t i = begin + static_cast<std::int32_t>(threadIdx.x);
    grid_sums own;
    if (i < of.count && indices::is_legal(of.grids[i], of.merge)) {
      own = {indices::cells_of_grid(of.grids[i], of.merge),
             indices::advance_of_grid(of.grids[i], of.merge, of.by_frame)};
    } else if (i < of.count) {
      atomicMin(of.first_bad, i);
    }
    if (i < of.count && of.seconds != nullptr && !indices::is_valid_step(of.seconds[i], of.rate))
      atomicMin(of.first_bad_seconds, i);
    const block_sums<grid_sums> found = scan_block<fill_threads>(own, append_grids{}, sums);
    const grid_sums through = append_grids{}(append_grids{}(before, found.before), own);
    if (i < of.count) {
      of.cells[i + 1] = limited_offset(through.cells);
      of.positions[i + 1] = limited_offset(through.positions);
    }
    before = append_grids{}(before, found.all);
    __syncthreads();
  }
  if (threadIdx.x == 0) of.cells[0] = of.positions[0] = 0;
}

/// The first kernel: block 0 cumulates the grids, the others count the tokens of a tile each; all
/// prepare the summary and the deltas.
template <unsigned Threads>
__global__ void __launch_bounds__(Threads)
    count_images(mark_of_type mark, std::int64_t slots, mark_counts* tiles, grid_offsets images,
                 grid_offsets videos, rope_summary* summary, std::int64_t* delta,
                 indices::document_row row) {
  __shared__ mark_sums sums;
  __shared__ grid_storage grid_sums_of_warps;
  let_next_kernel_begin();
  wait_for_previous_kernel();
  if (blockIdx.x == 0) {
    if (threadIdx.x == 0) *summary = {};
    __syncthreads();
    cumulate_grids(images, grid_sums_of_warps);
    cumulate_grids(videos, grid_sums_of_warps);
    if (delta == nullptr) return;
    for (std::int32_t d = static_cast<std::int32_t>(threadIdx.x); d < row.documents;
         d += static_cast<std::int32_t>(Threads))
      delta[d] = row.cu_seqlens[d] == row.cu_seqlens[d + 1] ? 0 : INT64_MIN;
    return;
  }
  const std::int64_t tile = blockIdx.x - 1;
  const std::int64_t begin = tile * fill_tile;
  const std::int64_t end = begin + fill_tile < slots ? begin + fill_tile : slots;
  const mark_counts found = count_marks(mark, begin, end, sums);
  if (threadIdx.x == 0) tiles[tile] = found;
}

inline __device__ void raise(std::int64_t* value, std::int64_t least) {
  static_assert(sizeof(long long) == sizeof(std::int64_t));
  atomicMax(reinterpret_cast<long long*>(value), static_cast<long long>(least));
}

/// The largest position of a document that a thread has seen, as document_count counts.
struct largest_position {
  std::int64_t* delta;
  std::int32_t document = -1;
  std::int64_t largest = INT64_MIN;

  __device__ void add(std::int32_t of, std::int64_t position) {
    if (of != document) {
      flush();
      document = of;
    }
    largest = largest < position ? position : largest;
  }
  __device__ void finish() {
    const std::int32_t of_first_lane = __shfl_sync(all_lanes, document, 0);
    if (__all_sync(all_lanes, document == of_first_lane ? 1 : 0) != 0) {
      for (unsigned delta_lane = warp_lanes / 2; delta_lane > 0; delta_lane /= 2) {
        const auto other = static_cast<std::int64_t>(__shfl_xor_sync(
            all_lanes, static_cast<long long>(largest), static_cast<int>(delta_lane)));
        largest = largest < other ? other : largest;
      }
      if (threadIdx.x % warp_lanes != 0) return;
    }
    flush();
  }

 private:
  __device__ void flush() {
    if (largest != INT64_MIN) raise(&delta[document], largest);
    largest = INT64_MIN;
  }
};

struct store_rope {
  indices::document_row row;
  mark_of_type mark;
  indices::rope_slot functor;
  std::int64_t* position_ids;
  std::int64_t* of_axes;  ///< the first of the three axes
  std::int64_t* source_row;
  std::int32_t* image_group;
  std::int32_t* image_first;
  bool wants_delta;
  rope_summary* summary;
  const tile_marks* marks;
  mark_counts before_open;  ///< tokens before the document that is open where the tile begins
  std::int64_t tile_begin;
  largest_position* largest;

  __device__ void operator()(std::int64_t slot, std::int32_t document, std::int64_t begin,
                             std::int64_t end) const {
    const indices::token_cursor at = indices::cursor_between(row, slot, document, begin, end);
    const auto type = static_cast<indices::token_type>(mark(slot));
    const mark_counts before = marks->before_slot(slot);
    const mark_counts opened = begin < tile_begin ? before_open : marks->before_slot(begin);
    const indices::token_counts counted{before.first, before.second};
    const auto left = at.offset() == 0 ? indices::token_type::text
                                       : static_cast<indices::token_type>(mark(slot - 1));
    if (!functor.is_legal(at, type, left, counted)) {
      atomicMin(&summary->first_bad, static_cast<std::int32_t>(slot));
      return;
    }
    const indices::rope_position found = functor(at, type, counted, {opened.first, opened.second});
    if (of_axes != nullptr) {
      of_axes[slot] = found.t;
      of_axes[row.slots + slot] = found.h;
      of_axes[2 * row.slots + slot] = found.w;
    }
    if (position_ids != nullptr) position_ids[slot] = at.offset();
    if (source_row != nullptr)
      source_row[slot] = type == indices::token_type::text    ? -1
                         : type == indices::token_type::image ? counted.images
                                                              : counted.videos;
    const indices::image_place image = functor.image_of(slot, type, counted);
    if (image_group != nullptr) image_group[slot] = image.group;
    if (image_first != nullptr) image_first[slot] = static_cast<std::int32_t>(image.first);
    if (wants_delta && !at.is_padding()) largest->add(document, found.largest() + 1 - at.length);
  }
};

/// Where a rope kernel writes.
struct rope_outputs {
  std::int64_t* position_ids;
  std::int64_t* of_axes;
  std::int64_t* source_row;
  std::int32_t* image_group;
  std::int32_t* image_first;
  std::int64_t* delta;
  rope_summary* summary;
};

template <unsigned Threads>
__global__ void __launch_bounds__(Threads)
    fill_rope(indices::document_row row, mark_of_type mark, indices::rope_slot functor,
              const mark_counts* tiles, rope_outputs outputs) {
  __shared__ tile_storage storage;
  __shared__ tile_marks marks;
  __shared__ mark_sums sums;
  wait_for_previous_kernel();
  const std::int64_t tile_begin = std::int64_t{blockIdx.x} * fill_tile;
  const mark_counts before = marks_before(mark, tiles, tile_begin, sums);
  const mark_counts through = number_tile(mark, row.slots, before, marks);
  const std::int32_t open =
      indices::first_greater(row.cu_seqlens_padded + 1, row.documents, tile_begin);
  const mark_counts before_open = marks_before(mark, tiles, row.cu_seqlens_padded[open], sums);
  largest_position largest{outputs.delta};
  if (row.slots > 0)
    visit_tile(
        {row.cu_seqlens_padded, row.documents, row.slots},
        store_rope{row, mark, functor, outputs.position_ids, outputs.of_axes, outputs.source_row,
                   outputs.image_group, outputs.image_first, outputs.delta != nullptr,
                   outputs.summary, &marks, before_open, tile_begin, &largest},
        storage);
  largest.finish();
  if (blockIdx.x + 1 == gridDim.x && threadIdx.x == 0 &&
      (through.first < functor.images.cu_cells[functor.images.count] ||
       through.second < functor.videos.cu_cells[functor.videos.count]))
    atomicMin(&outputs.summary->first_bad, static_cast<std::int32_t>(row.slots));
}

inline void check_rope(const indices::document_row& row, const indices::rope_inputs& inputs,
                       const device_rope_arrays& arrays) {
  const auto slots = static_cast<std::size_t>(row.slots);
  if (inputs.merge < 1 || inputs.merge > 32768)
    throw invalid_input("merge", inputs.merge, "must be 1 … 32768");
  require_entries(inputs.types.size(), slots, "token_type");
  if (!arrays.position_ids.empty() && arrays.position_ids.size() != 4 * slots)
    require_entries(arrays.position_ids.size(), 3 * slots, "position_ids");
  if (arrays.summary == nullptr) throw invalid_input("summary", "null", "must be device memory");
  require_entries(arrays.image_cells.size(), inputs.images.size() + 1, "image_cells");
  require_entries(arrays.image_positions.size(), inputs.images.size() + 1, "image_positions");
  require_entries(arrays.video_cells.size(), inputs.videos.size() + 1, "video_cells");
  require_entries(arrays.video_positions.size(), inputs.videos.size() + 1, "video_positions");
  require_entries(arrays.tiles.size(), mark_tiles(row.slots), "tiles");
  if (!inputs.seconds_per_grid.empty())
    require_entries(inputs.seconds_per_grid.size(), inputs.videos.size(), "seconds_per_grid");
  if (!arrays.delta.empty())
    require_entries(arrays.delta.size(), static_cast<std::size_t>(row.documents), "delta");
  if (!arrays.source_row.empty()) require_entries(arrays.source_row.size(), slots, "source_row");
  const indices::image_group_arrays& groups = arrays.groups;
  if (!groups.image_group.empty()) require_entries(groups.image_group.size(), slots, "image_group");
  if (!groups.image_first.empty()) require_entries(groups.image_first.size(), slots, "image_first");
  if (!(inputs.tokens_per_second >= 0 && inputs.tokens_per_second <= 1e6F))
    throw invalid_input("tokens_per_second", std::to_string(inputs.tokens_per_second),
                        "must be between 0 and 1000000");
}

[[nodiscard]] inline indices::rope_slot rope_slot_of(const indices::rope_inputs& inputs,
                                                     const device_rope_arrays& arrays) noexcept {
  using enum indices::rope_variant;
  const auto merge = static_cast<std::int32_t>(inputs.merge);
  indices::rope_slot functor{
      .images = {.grids = inputs.images.data(),
                 .cu_cells = arrays.image_cells.data(),
                 .cu_positions = arrays.image_positions.data(),
                 .count = static_cast<std::int32_t>(inputs.images.size()),
                 .merge = merge},
      .videos = {.grids = inputs.videos.data(),
                 .cu_cells = arrays.video_cells.data(),
                 .cu_positions = arrays.video_positions.data(),
                 .count = static_cast<std::int32_t>(inputs.videos.size()),
                 .merge = merge,
                 .by_frame = inputs.variant == qwen3_vl || inputs.variant == glm4v}};
  if (inputs.variant != qwen2_5_vl) return functor;
  functor.videos.seconds = wanted(inputs.seconds_per_grid);
  functor.videos.rate = inputs.tokens_per_second;
  return functor;
}

}  // namespace detail

inline cudaError_t place_images_async(const indices::document_row& row,
                                      const indices::rope_inputs& inputs,
                                      const device_rope_arrays& arrays,
                                      cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::check_rope(row, inputs, arrays); });
  if (checked != cudaSuccess) return checked;
  const indices::rope_slot functor = detail::rope_slot_of(inputs, arrays);
  const detail::mark_of_type mark{inputs.types.data()};
  const auto offsets = [&](const indices::grid_sequence& of, std::span<std::int32_t> cells,
                           std::span<std::int32_t> positions, std::int32_t* first_bad,
                           const float* seconds) {
    return detail::grid_offsets{of.grids,
                                cells.data(),
                                positions.data(),
                                of.count,
                                of.merge,
                                of.by_frame,
                                first_bad,
                                seconds,
                                inputs.tokens_per_second,
                                &arrays.summary->first_bad_seconds};
  };
  const auto tiles = static_cast<unsigned>(mark_tiles(row.slots));
  const cudaError_t counted = detail::launch(
      detail::start::overlapping, tiles + 1, detail::fill_threads, stream,
      detail::count_images<detail::fill_threads>, mark, row.slots, arrays.tiles.data(),
      offsets(functor.images, arrays.image_cells, arrays.image_positions,
              &arrays.summary->first_bad_image, nullptr),
      offsets(functor.videos, arrays.video_cells, arrays.video_positions,
              &arrays.summary->first_bad_video, detail::wanted(inputs.seconds_per_grid)),
      arrays.summary, detail::wanted(arrays.delta), row);
  if (counted != cudaSuccess) return counted;
  const auto slots = static_cast<std::size_t>(row.slots);
  const bool has_four = arrays.position_ids.size() == 4 * slots;
  std::int64_t* const all = detail::wanted(arrays.position_ids);
  return detail::launch(
      detail::start::overlapping, tiles == 0 ? 1 : tiles, detail::fill_threads, stream,
      detail::fill_rope<detail::fill_threads>, row, mark, functor, arrays.tiles.data(),
      detail::rope_outputs{
          has_four ? all : nullptr, has_four ? all + slots : all, detail::wanted(arrays.source_row),
          detail::wanted(arrays.groups.image_group), detail::wanted(arrays.groups.image_first),
          detail::wanted(arrays.delta), arrays.summary});
}

inline void place_images(const indices::document_row& row, const indices::rope_inputs& inputs,
                         const device_rope_arrays& arrays, cudaStream_t stream) {
  detail::check_rope(row, inputs, arrays);
  require(place_images_async(row, inputs, arrays, stream), "place_images");
  const rope_summary found = detail::fetch(arrays.summary, stream, "place_images");
  const auto refuse_grid = [](std::int32_t grid, const char* field) {
    if (grid != INT32_MAX)
      throw invalid_input(field, static_cast<std::size_t>(grid), "",
                          "must have no negative size, h and w multiples of the merge, at most "
                          "2147483647 patches, and few frames without patches");
  };
  refuse_grid(found.first_bad_image, "image grid");
  refuse_grid(found.first_bad_video, "video grid");
  if (found.first_bad_seconds != INT32_MAX)
    throw invalid_input("seconds_per_grid", static_cast<std::size_t>(found.first_bad_seconds),
                        "out of range",
                        "must be between 0 and 1000000, with tokens_per_second at most 10^9");
  if (found.first_bad == row.slots)
    throw invalid_input("number of grids", inputs.images.size() + inputs.videos.size(),
                        "are given: token types use fewer");
  if (found.first_bad != INT32_MAX)
    throw invalid_input("token_type", static_cast<std::size_t>(found.first_bad), "",
                        "does not agree with the grids, or is not text in padding");
}

}  // namespace omnibal::inline v0::gpu
