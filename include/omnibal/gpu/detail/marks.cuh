// SPDX-License-Identifier: Apache-2.0
/// @file
/// Numbers the marked ones among many slots, in order, in two kernels: the first counts the marks
/// of each tile, the second adds up what is before its tile and numbers those in it. A slot has
/// mark 1, mark 2 or none (0), and both kinds are numbered.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/scan.cuh>

namespace omnibal::inline v0::gpu {

/// Slots with mark 1 and with mark 2: of a tile, the workspace of what numbers slots.
struct mark_counts {
  std::int32_t first = 0;
  std::int32_t second = 0;
  [[nodiscard]] OMNIBAL_HD constexpr std::int32_t all() const noexcept { return first + second; }
};

/// Entries of the workspace for so many slots.
[[nodiscard]] constexpr std::size_t mark_tiles(std::int64_t slots) noexcept {
  return static_cast<std::size_t>((slots + detail::fill_tile - 1) / detail::fill_tile);
}

namespace detail {

struct append_marks {
  [[nodiscard]] OMNIBAL_HD constexpr mark_counts operator()(const mark_counts& a,
                                                            const mark_counts& b) const noexcept {
    return {a.first + b.first, a.second + b.second};
  }
};

[[nodiscard]] OMNIBAL_HD constexpr mark_counts count_of(unsigned mark) noexcept {
  return {mark == 1 ? 1 : 0, mark == 2 ? 1 : 0};
}

using mark_sums = shared_array<mark_counts, fill_threads / warp_lanes>;

/// Marks in [begin, end), by a whole block. `sums` is free again after the next barrier.
template <typename Mark>
[[nodiscard]] __device__ mark_counts count_marks(const Mark& mark, std::int64_t begin,
                                                 std::int64_t end, mark_sums& sums) {
  mark_counts own;
  for (std::int64_t slot = begin + threadIdx.x; slot < end; slot += fill_threads)
    own = append_marks{}(own, count_of(mark(slot)));
  return scan_block<fill_threads>(own, append_marks{}, sums).all;
}

/// Marks before a slot, from the counts of the tiles before its own; `sums` as in count_marks.
template <typename Mark>
[[nodiscard]] __device__ mark_counts marks_before(const Mark& mark, const mark_counts* tiles,
                                                  std::int64_t slot, mark_sums& sums) {
  const std::int64_t tile = slot / fill_tile;
  mark_counts own;
  for (std::int64_t i = threadIdx.x; i < tile; i += fill_threads)
    own = append_marks{}(own, tiles[i]);
  const mark_counts before = scan_block<fill_threads>(own, append_marks{}, sums).all;
  __syncthreads();
  return append_marks{}(before, count_marks(mark, tile * fill_tile, slot, sums));
}

/// The marks of a block's tile before each of its slots.
struct tile_marks {
  std::uint32_t within[fill_tile];  ///< mark 1 in the lower half, mark 2 in the upper
  shared_array<std::uint32_t, fill_threads / warp_lanes> sums;
  mark_counts before;  ///< the tile

  [[nodiscard]] __device__ mark_counts before_slot(std::int64_t slot) const {
    const std::uint32_t packed = within[slot % fill_tile];
    return {before.first + static_cast<std::int32_t>(packed & 0xFFFF),
            before.second + static_cast<std::int32_t>(packed >> 16)};
  }
};

/// Fills `marks` for the tile of this block, of which all threads know `before`; returns the marks
/// up to its end. `marks` can be read after the next barrier.
template <typename Mark>
[[nodiscard]] __device__ mark_counts number_tile(const Mark& mark, std::int64_t slots,
                                                 const mark_counts& before, tile_marks& marks) {
  const std::int64_t tile_begin = std::int64_t{blockIdx.x} * fill_tile;
  for (unsigned i = threadIdx.x; i < fill_tile; i += fill_threads) {
    const unsigned found = tile_begin + i < slots ? mark(tile_begin + i) : 0;
    marks.within[i] = found == 1 ? 1U : found == 2 ? 1U << 16 : 0U;
  }
  if (threadIdx.x == 0) marks.before = before;
  __syncthreads();
  constexpr unsigned items = fill_tile / fill_threads;
  std::uint32_t* const own = marks.within + threadIdx.x * items;
  std::uint32_t sum = 0;
  for (unsigned i = 0; i < items; ++i) sum += own[i];
  const block_sums<std::uint32_t> sums = scan_block<fill_threads>(sum, add_integers{}, marks.sums);
  std::uint32_t through = sums.before;
  for (unsigned i = 0; i < items; ++i) {
    const std::uint32_t found = own[i];
    own[i] = through;
    through += found;
  }
  return {before.first + static_cast<std::int32_t>(sums.all & 0xFFFF),
          before.second + static_cast<std::int32_t>(sums.all >> 16)};
}

/// The first kernel.
template <typename Mark>
__global__ void __launch_bounds__(fill_threads)
    count_tiles(Mark mark, std::int64_t slots, mark_counts* tiles) {
  __shared__ mark_sums sums;
  let_next_kernel_begin();
  wait_for_previous_kernel();
  const std::int64_t begin = std::int64_t{blockIdx.x} * fill_tile;
  const std::int64_t end = begin + fill_tile < slots ? begin + fill_tile : slots;
  const mark_counts found = count_marks(mark, begin, end, sums);
  if (threadIdx.x == 0) tiles[blockIdx.x] = found;
}

/// The second kernel: visit(slot, mark, marks before it) for every slot, consecutive ones by
/// consecutive lanes, and visit.finish(all marks) once.
template <typename Mark, typename Visit>
__global__ void __launch_bounds__(fill_threads)
    number_marks(Mark mark, std::int64_t slots, const mark_counts* tiles, Visit visit) {
  __shared__ mark_sums sums;
  __shared__ tile_marks marks;
  wait_for_previous_kernel();
  const std::int64_t begin = std::int64_t{blockIdx.x} * fill_tile;
  const mark_counts before = marks_before(mark, tiles, begin, sums);
  const mark_counts through = number_tile(mark, slots, before, marks);
  __syncthreads();
  const std::int64_t end = begin + fill_tile < slots ? begin + fill_tile : slots;
  for (std::int64_t slot = begin + threadIdx.x; slot < end; slot += fill_threads)
    visit(slot, mark(slot), marks.before_slot(slot));
  if (blockIdx.x + 1 == gridDim.x && threadIdx.x == 0) visit.finish(through);
}

/// Enqueues both; the second alone where there are no slots.
template <typename Mark, typename Visit>
cudaError_t number_marks_async(start when, const Mark& mark, std::int64_t slots, mark_counts* tiles,
                               const Visit& visit, cudaStream_t stream) noexcept {
  const auto blocks = static_cast<unsigned>(mark_tiles(slots));
  if (blocks != 0) {
    const cudaError_t counted =
        launch(when, blocks, fill_threads, stream, count_tiles<Mark>, mark, slots, tiles);
    if (counted != cudaSuccess) return counted;
    when = start::overlapping;
  }
  return launch(when, blocks == 0 ? 1 : blocks, fill_threads, stream, number_marks<Mark, Visit>,
                mark, slots, tiles, visit);
}

}  // namespace detail

}  // namespace omnibal::inline v0::gpu
