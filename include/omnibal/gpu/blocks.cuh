// SPDX-License-Identifier: Apache-2.0
/// @file
/// Lists of attention blocks from one interval of queries per key, on the device: the eight arrays
/// of FlexAttention's BlockMask, without a mask of slots² cells. The device form of
/// indices/blocks.hpp: two kernels, no workspace, no copy to the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/launch.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>

namespace omnibal::inline v0::gpu {

/// Lines of blocks in device memory: line l has count[l] blocks, ascending, from indices[l · width]
/// on; zeros follow.
struct device_block_list {
  std::span<std::int32_t> count = {};    ///< [lines]
  std::span<std::int32_t> indices = {};  ///< [lines × width]
};

/// The outputs, all of them needed. With q blocks of queries and k blocks of keys, the first two
/// have q lines of width k, the last two k lines of width q.
struct device_block_mask {
  device_block_list kv = {};       ///< partial key blocks of each query block
  device_block_list full_kv = {};  ///< full ones
  device_block_list q = {};        ///< partial query blocks of each key block
  device_block_list full_q = {};
};

/// Lists the blocks of keys that are seen by the queries first[k] ≤ q < limit[k] (fill_tokens, or
/// one's own), in device memory, of blocks of q_block queries and k_block keys. A block is full if
/// every cell of it is seen, so one that the row's end cuts is not; partial if some are. Enqueues
/// two kernels on `stream`, allocates nothing and may be captured.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong. Intervals are limited to the row.
/// O(slots · q blocks / 1024 + q blocks · k blocks).
cudaError_t list_blocks_async(std::span<const std::int32_t> first,
                              std::span<const std::int32_t> limit, std::int64_t q_block,
                              std::int64_t k_block, const device_block_mask& mask,
                              cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input and cuda_error.
void list_blocks(std::span<const std::int32_t> first, std::span<const std::int32_t> limit,
                 std::int64_t q_block, std::int64_t k_block, const device_block_mask& mask,
                 cudaStream_t stream = nullptr);

namespace detail {

inline constexpr unsigned list_threads = 256;
inline constexpr unsigned list_items = 4;
/// Blocks of a line that are looked at together.
inline constexpr std::int32_t list_chunk = list_threads * list_items;

/// Whether a block is listed, and where; kept in kv.indices between the kernels.
enum class block_state : std::int32_t { unseen, partial, full };

/// Numbers of partial and full blocks.
struct listed {
  std::int32_t partial = 0;
  std::int32_t full = 0;
};
struct append_listed {
  [[nodiscard]] OMNIBAL_HD constexpr listed operator()(const listed& a,
                                                       const listed& b) const noexcept {
    return {a.partial + b.partial, a.full + b.full};
  }
};
struct block_sizes {
  std::int64_t slots;
  std::int64_t q_block;
  std::int64_t k_block;
  std::int32_t q_blocks;
  std::int32_t k_blocks;
};

/// A line of both lists: where its blocks go, and how many there are.
struct line_pair {
  std::int32_t* partial;
  std::int32_t* full;
  std::int32_t* partial_count;
  std::int32_t* full_count;
};

using list_sums = shared_array<listed, list_threads / warp_lanes>;

/// Appends the chunk of blocks from `chunk` on, of which each thread knows the states of
/// list_items.
inline __device__ void append_chunk(const line_pair& line, std::int32_t chunk,
                                    const block_state (&states)[list_items], listed& before,
                                    list_sums& sums) {
  listed own;
  for (const block_state state : states) {
    own.partial += state == block_state::partial ? 1 : 0;
    own.full += state == block_state::full ? 1 : 0;
  }
  const block_sums<listed> found = scan_block<list_threads>(own, append_listed{}, sums);
  listed at = append_listed{}(before, found.before);
  const std::int32_t begin = chunk + static_cast<std::int32_t>(threadIdx.x * list_items);
  for (unsigned i = 0; i < list_items; ++i) {
    const std::int32_t block = begin + static_cast<std::int32_t>(i);
    if (states[i] == block_state::partial) line.partial[at.partial++] = block;
    if (states[i] == block_state::full) line.full[at.full++] = block;
  }
  before = append_listed{}(before, found.all);
  __syncthreads();  // the sums are written again, and the end of the line after its blocks
}

/// Writes the counts, and zeros behind the blocks.
inline __device__ void end_line(const line_pair& line, const listed& all, std::int32_t width) {
  if (threadIdx.x == 0) {
    *line.partial_count = all.partial;
    *line.full_count = all.full;
  }
  const auto thread = static_cast<std::int32_t>(threadIdx.x);
  constexpr auto threads = static_cast<std::int32_t>(list_threads);
  for (std::int32_t i = all.partial + thread; i < width; i += threads) line.partial[i] = 0;
  for (std::int32_t i = all.full + thread; i < width; i += threads) line.full[i] = 0;
}

/// One line of q and full_q per block: marks the query blocks that each key of the block reaches by
/// the ends of a run, whose running sum is how many keys reach a query block.
template <unsigned Threads>
__global__ void __launch_bounds__(Threads)
    list_query_blocks(const std::int32_t* first, const std::int32_t* limit, block_sizes sizes,
                      line_pair lines, std::int32_t* states) {
  __shared__ std::int32_t ends[list_chunk + 1];
  __shared__ std::int32_t last_first;
  __shared__ std::int32_t first_limit;
  __shared__ list_sums sums;
  __shared__ shared_array<std::int32_t, Threads / warp_lanes> run_sums;
  wait_for_previous_kernel();
  const auto k_line = static_cast<std::int64_t>(blockIdx.x);
  const std::int64_t k_begin = k_line * sizes.k_block;
  const std::int64_t k_end =
      k_begin + sizes.k_block < sizes.slots ? k_begin + sizes.k_block : sizes.slots;
  if (threadIdx.x == 0) {
    last_first = 0;
    first_limit = static_cast<std::int32_t>(sizes.slots);
  }
  __syncthreads();
  for (std::int64_t k = k_begin + threadIdx.x; k < k_end; k += Threads) {
    atomicMax(&last_first, first[k]);
    atomicMin(&first_limit, limit[k]);
  }
  line_pair line = lines;
  line.partial += k_line * sizes.q_blocks;
  line.full += k_line * sizes.q_blocks;
  line.partial_count += k_line;
  line.full_count += k_line;
  listed before;
  for (std::int32_t chunk = 0; chunk < sizes.q_blocks; chunk += list_chunk) {
    const std::int32_t chunk_end =
        chunk + list_chunk < sizes.q_blocks ? chunk + list_chunk : sizes.q_blocks;
    for (unsigned i = threadIdx.x; i <= list_chunk; i += Threads) ends[i] = 0;
    __syncthreads();
    for (std::int64_t k = k_begin + threadIdx.x; k < k_end; k += Threads) {
      const std::int64_t from = first[k] > 0 ? first[k] : 0;
      const std::int64_t to = limit[k] < sizes.slots ? limit[k] : sizes.slots;
      if (from >= to) continue;
      const std::int64_t run_begin = from / sizes.q_block;
      const std::int64_t run_end = (to - 1) / sizes.q_block + 1;
      const std::int64_t begin = run_begin > chunk ? run_begin : chunk;
      const std::int64_t end = run_end < chunk_end ? run_end : chunk_end;
      if (begin >= end) continue;
      atomicAdd(&ends[begin - chunk], 1);
      atomicAdd(&ends[end - chunk], -1);
    }
    __syncthreads();
    std::int32_t own = 0;
    const unsigned item = threadIdx.x * list_items;
    for (unsigned i = 0; i < list_items; ++i) own += ends[item + i];
    std::int32_t reached = scan_block<Threads>(own, add_integers{}, run_sums).before;
    block_state found[list_items] = {};
    for (unsigned i = 0; i < list_items; ++i) {
      reached += ends[item + i];
      const std::int64_t q_line = std::int64_t{chunk} + item + i;
      if (q_line >= sizes.q_blocks) continue;
      const std::int64_t q_begin = q_line * sizes.q_block;
      const bool is_whole =
          q_begin + sizes.q_block <= sizes.slots && k_begin + sizes.k_block <= sizes.slots;
      const bool is_seen = last_first <= q_begin && first_limit >= q_begin + sizes.q_block;
      found[i] = is_whole && is_seen ? block_state::full
                 : reached > 0       ? block_state::partial
                                     : block_state::unseen;
      states[q_line * sizes.k_blocks + k_line] = static_cast<std::int32_t>(found[i]);
    }
    append_chunk(line, chunk, found, before, sums);
  }
  end_line(line, before, sizes.q_blocks);
}

/// One line of kv and full_kv per block, in the place of the states.
template <unsigned Threads>
__global__ void __launch_bounds__(Threads) list_key_blocks(block_sizes sizes, line_pair lines) {
  __shared__ list_sums sums;
  wait_for_previous_kernel();
  const auto q_line = static_cast<std::int64_t>(blockIdx.x);
  line_pair line = lines;
  line.partial += q_line * sizes.k_blocks;
  line.full += q_line * sizes.k_blocks;
  line.partial_count += q_line;
  line.full_count += q_line;
  listed before;
  for (std::int32_t chunk = 0; chunk < sizes.k_blocks; chunk += list_chunk) {
    block_state found[list_items] = {};
    for (unsigned i = 0; i < list_items; ++i) {
      const std::int64_t block = std::int64_t{chunk} + threadIdx.x * list_items + i;
      if (block < sizes.k_blocks) found[i] = static_cast<block_state>(line.partial[block]);
    }
    // Blocks go where states of this chunk or earlier ones were, after all threads have read them.
    append_chunk(line, chunk, found, before, sums);
  }
  end_line(line, before, sizes.k_blocks);
}

[[nodiscard]] inline line_pair lines_of(const device_block_list& partial,
                                        const device_block_list& full) noexcept {
  return {partial.indices.data(), full.indices.data(), partial.count.data(), full.count.data()};
}

[[nodiscard]] inline block_sizes check_blocks(std::span<const std::int32_t> first,
                                              std::span<const std::int32_t> limit,
                                              std::int64_t q_block, std::int64_t k_block,
                                              const device_block_mask& mask) {
  constexpr std::size_t most = INT32_MAX - list_chunk;
  if (first.size() > most)
    throw invalid_input("first", first.size(),
                        "entries are given: must be at most " + std::to_string(most));
  if (limit.size() != first.size())
    throw invalid_input("limit", limit.size(), "entries are given: must be as many as first has");
  const auto require_block = [](std::int64_t size, const char* field) {
    if (size < 1 || size > INT32_MAX) throw invalid_input(field, size, "must be 1 … 2147483647");
  };
  require_block(q_block, "q_block");
  require_block(k_block, "k_block");
  const auto slots = static_cast<std::int64_t>(first.size());
  const block_sizes sizes{.slots = slots,
                          .q_block = q_block,
                          .k_block = k_block,
                          .q_blocks = static_cast<std::int32_t>((slots + q_block - 1) / q_block),
                          .k_blocks = static_cast<std::int32_t>((slots + k_block - 1) / k_block)};
  const auto require_list = [&](const device_block_list& list, std::int32_t lines,
                                const char* field) {
    const auto cells = static_cast<std::size_t>(std::int64_t{sizes.q_blocks} * sizes.k_blocks);
    if (list.count.size() != static_cast<std::size_t>(lines))
      throw invalid_input(std::string(field) + ".count", list.count.size(),
                          "entries are given: must be " + std::to_string(lines));
    if (list.indices.size() != cells)
      throw invalid_input(std::string(field) + ".indices", list.indices.size(),
                          "entries are given: must be " + std::to_string(cells));
  };
  require_list(mask.kv, sizes.q_blocks, "kv");
  require_list(mask.full_kv, sizes.q_blocks, "full_kv");
  require_list(mask.q, sizes.k_blocks, "q");
  require_list(mask.full_q, sizes.k_blocks, "full_q");
  return sizes;
}

}  // namespace detail

inline cudaError_t list_blocks_async(std::span<const std::int32_t> first,
                                     std::span<const std::int32_t> limit, std::int64_t q_block,
                                     std::int64_t k_block, const device_block_mask& mask,
                                     cudaStream_t stream) noexcept {
  detail::block_sizes sizes{};
  const cudaError_t checked =
      detail::code_of([&] { sizes = detail::check_blocks(first, limit, q_block, k_block, mask); });
  if (checked != cudaSuccess || sizes.slots == 0) return checked;
  const cudaError_t listed_queries = detail::launch(
      detail::start::overlapping, static_cast<unsigned>(sizes.k_blocks), detail::list_threads,
      stream, detail::list_query_blocks<detail::list_threads>, first.data(), limit.data(), sizes,
      detail::lines_of(mask.q, mask.full_q), mask.kv.indices.data());
  if (listed_queries != cudaSuccess) return listed_queries;
  return detail::launch(detail::start::overlapping, static_cast<unsigned>(sizes.q_blocks),
                        detail::list_threads, stream, detail::list_key_blocks<detail::list_threads>,
                        sizes, detail::lines_of(mask.kv, mask.full_kv));
}

inline void list_blocks(std::span<const std::int32_t> first, std::span<const std::int32_t> limit,
                        std::int64_t q_block, std::int64_t k_block, const device_block_mask& mask,
                        cudaStream_t stream) {
  static_cast<void>(detail::check_blocks(first, limit, q_block, k_block, mask));
  detail::wait_for(list_blocks_async(first, limit, q_block, k_block, mask, stream), stream,
                   "list_blocks");
}

}  // namespace omnibal::inline v0::gpu
