// SPDX-License-Identifier: Apache-2.0
/// @file
/// Visits every slot of a ragged row: documents in token slots, images in patches. A block looks up
/// which documents overlap its tile of slots and keeps their offsets in shared memory, whose size
/// does not depend on the number of documents.
///
/// Lanes of a warp visit consecutive slots, so that what a visit stores at its slot goes out in
/// whole sectors, for elements of any size and arrays at any address.
#pragma once

#include <cstdint>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/gpu/detail/launch.cuh>

namespace omnibal::inline v0::gpu::detail {

inline constexpr unsigned fill_threads = 256;
/// Slots of a block: 16 for each thread.
inline constexpr unsigned fill_tile = 4096;

/// The row's documents are offsets[d] … offsets[d + 1] − 1; what follows the last of them is one
/// more, number `documents`.
struct ragged_row {
  const std::int32_t* offsets;
  std::int32_t documents;
  std::int64_t slots;
};

/// The number of documents that end at or before a slot, by a whole warp: three steps for 32,768
/// documents, where one thread takes fifteen.
[[nodiscard]] inline __device__ std::int32_t find_document(const ragged_row& row,
                                                           std::int64_t slot) {
  const auto lane = static_cast<std::int64_t>(threadIdx.x % warp_lanes);
  std::int64_t low = 0;
  std::int64_t high = row.documents;
  while (low < high) {
    const std::int64_t step = (high - low) / (warp_lanes + 1) + 1;
    const std::int64_t probe = low + (lane + 1) * step - 1;
    const bool ends = probe < high && row.offsets[probe + 1] <= slot;
    low += __popc(__ballot_sync(all_lanes, ends ? 1 : 0)) * step;
    high = low + step - 1 < high ? low + step - 1 : high;
  }
  return static_cast<std::int32_t>(low);
}

/// The same from `first` on, by one thread, in offsets of documents first … last of which `last`
/// does not end at or before the slot.
[[nodiscard]] inline __device__ std::int32_t find_document(const std::int32_t* offsets,
                                                           std::int32_t first, std::int32_t last,
                                                           std::int64_t slot) {
  while (first < last) {
    const std::int32_t middle = first + (last - first) / 2;
    if (offsets[middle + 1] <= slot)
      first = middle + 1;
    else
      last = middle;
  }
  return first;
}

/// Shared memory of a block that visits a tile.
struct tile_storage {
  std::int32_t documents_of_ends[2];
  std::int32_t staged[fill_tile + 1];
};

/// The slots of a block.
struct slot_tile {
  std::int64_t begin;
  std::int64_t end;
};
[[nodiscard]] inline __device__ slot_tile tile_of_block(const ragged_row& row) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * fill_tile;
  return {begin, begin + fill_tile < row.slots ? begin + fill_tile : row.slots};
}

/// Documents first … first + last of a row.
struct document_slice {
  std::int32_t first;
  std::int32_t last;
};

/// The documents that overlap the tile of this block; all threads wait for each other.
[[nodiscard]] inline __device__ document_slice documents_of_tile(const ragged_row& row,
                                                                 std::int32_t (&of_ends)[2]) {
  const slot_tile tile = tile_of_block(row);
  const unsigned warp = threadIdx.x / warp_lanes;
  if (warp < 2) {
    const std::int32_t found = find_document(row, warp == 0 ? tile.begin : tile.end - 1);
    if (threadIdx.x % warp_lanes == 0) of_ends[warp] = found;
  }
  __syncthreads();
  return {of_ends[0], of_ends[1] - of_ends[0]};
}

/// Calls visit(slot, document, begin, end) for each slot of the tile of this block; the document's
/// slots are begin … end − 1. `offsets` are those of the slice. A block behind the last slot visits
/// nothing.
template <typename Visit>
__device__ void visit_slots(const ragged_row& row, const document_slice& slice,
                            const std::int32_t* offsets, const Visit& visit) {
  const auto [first, last] = slice;
  const auto [tile_begin, tile_end] = tile_of_block(row);
  const unsigned warp = threadIdx.x / warp_lanes;
  // The end of the last document may be behind the tile, and with it outside the slice.
  const std::int64_t last_end =
      first + last < row.documents ? row.offsets[first + last + 1] : row.slots;
  constexpr unsigned slots_of_warp = fill_tile / (fill_threads / warp_lanes);
  const std::int64_t warp_begin = tile_begin + warp * slots_of_warp;
  const std::int64_t warp_end =
      warp_begin + slots_of_warp < tile_end ? warp_begin + slots_of_warp : tile_end;
  std::int32_t document = 0;
  for (std::int64_t slot = warp_begin + threadIdx.x % warp_lanes; slot < warp_end;
       slot += warp_lanes) {
    if (document < last && offsets[document + 1] <= slot)
      document = find_document(offsets, document + 1, last, slot);
    visit(slot, first + document, std::int64_t{offsets[document]},
          document < last ? std::int64_t{offsets[document + 1]} : last_end);
  }
}

/// The same with the documents looked up, and their offsets staged in shared memory.
template <typename Visit>
__device__ void visit_tile(const ragged_row& row, const Visit& visit, tile_storage& storage) {
  const document_slice slice = documents_of_tile(row, storage.documents_of_ends);
  const std::int32_t* offsets = row.offsets + slice.first;
  // Empty documents can make the slice longer than the tile; then it stays where it is.
  if (slice.last <= static_cast<std::int32_t>(fill_tile)) {
    for (std::int32_t i = static_cast<std::int32_t>(threadIdx.x); i <= slice.last;
         i += static_cast<std::int32_t>(fill_threads))
      storage.staged[i] = offsets[i];
    offsets = storage.staged;
    __syncthreads();
  }
  visit_slots(row, slice, offsets, visit);
}

/// Visits every slot of the row.
template <typename Visit>
__global__ void __launch_bounds__(fill_threads) fill(ragged_row row, Visit visit) {
  __shared__ tile_storage storage;
  wait_for_previous_kernel();
  visit_tile(row, visit, storage);
}

/// Enqueues fill(); nothing where there are no slots.
template <typename Visit>
cudaError_t fill_async(start when, const ragged_row& row, const Visit& visit,
                       cudaStream_t stream) noexcept {
  if (row.slots == 0) return cudaSuccess;
  const auto tiles = static_cast<unsigned>((row.slots + fill_tile - 1) / fill_tile);
  return launch(when, tiles, fill_threads, stream, fill<Visit>, row, visit);
}

/// Calls visit(i) for i = 0 … count − 1, consecutive ones by consecutive lanes.
template <typename Visit>
__global__ void __launch_bounds__(fill_threads) for_each(std::int64_t count, Visit visit) {
  wait_for_previous_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * fill_threads + threadIdx.x;
  if (i < count) visit(i);
}

/// Enqueues for_each(); nothing where there is nothing to visit. For less than 2³⁸ visits.
template <typename Visit>
cudaError_t for_each_async(start when, std::int64_t count, const Visit& visit,
                           cudaStream_t stream) noexcept {
  if (count == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>((count + fill_threads - 1) / fill_threads);
  return launch(when, blocks, fill_threads, stream, for_each<Visit>, count, visit);
}

}  // namespace omnibal::inline v0::gpu::detail
