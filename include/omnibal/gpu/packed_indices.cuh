// SPDX-License-Identifier: Apache-2.0
/// @file
/// The index arrays of packed attention, computed on the device from the lengths of a pack's
/// documents: cu_seqlens and max_seqlen for variable-length attention kernels, and the position and
/// the document of each token. Two kernels and no copy to the host, so a training step with it can
/// be captured as a CUDA graph. Include it in CUDA translation units that link omnibal::gpu.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include <cub/block/block_scan.cuh>
#include <cub/device/device_scan.cuh>
#include <cuda_runtime.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/tabulate_output_iterator.h>
#include <thrust/iterator/transform_iterator.h>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/error.cuh>
#include <omnibal/gpu/packed_summary.hpp>

namespace omnibal::inline v0::gpu {

/// The output arrays, in device memory, for B documents in a row of token slots. Position is
/// std::int32_t or std::int64_t. Each of the two per-token arrays has one element per slot, or is
/// empty if it is not wanted.
template <typename Position = std::int64_t>
struct packed_indices_arrays {
  /// B + 1 offsets: document d occupies the slots cu_seqlens[d] … cu_seqlens[d + 1] − 1.
  std::span<std::int32_t> cu_seqlens;
  /// One element: tokens, max_seqlen, and whether the lengths were valid.
  packed_summary* summary = nullptr;
  /// The position of each token in its document, from 0.
  std::span<Position> position_ids = {};
  /// The document of each token.
  std::span<std::int32_t> sequence_index = {};

  /// The number of tokens that fit: the number of slots, or the largest int32 without per-token
  /// arrays.
  [[nodiscard]] std::int64_t capacity() const noexcept {
    const std::size_t slots = std::max(position_ids.size(), sequence_index.size());
    return slots == 0 ? INT32_MAX : static_cast<std::int64_t>(slots);
  }
};

/// Computes packed-attention indices asynchronously: enqueues at most two kernels on `stream`
/// (three for more than 16 384 documents), allocates nothing, and may be captured in a graph. Slots
/// after the last token are filled as one more document, number B.
///
/// To be called twice, like CUB: with a null workspace it only sets workspace_bytes; then with
/// device memory of that size. `lengths` and all arrays are device memory and must not overlap.
///
/// Returns cudaErrorInvalidValue when arrays have the wrong size, otherwise the result of the
/// launch. Lengths are checked on the device: unless is_valid(*summary, arrays.capacity()), a
/// length was negative (taken as 0) or the tokens did not fit (those after the last slot are left
/// out). O(B + slots · log B) work; it writes 4 (B + 1) bytes, and 12 or 8 bytes per slot.
template <typename Position>
cudaError_t packed_indices_async(void* workspace, std::size_t& workspace_bytes,
                                 std::span<const std::int32_t> lengths,
                                 const packed_indices_arrays<Position>& arrays,
                                 cudaStream_t stream) noexcept;

/// Computes packed-attention indices, waits for them (synchronises the stream) and returns the
/// summary. Throws invalid_input when an array has the wrong size, a length is negative or the
/// tokens do not fit, and cuda_error when the device fails. Allocates its own workspace.
template <typename Position>
packed_summary packed_indices(std::span<const std::int32_t> lengths,
                              const packed_indices_arrays<Position>& arrays,
                              cudaStream_t stream = nullptr);

namespace detail {

inline constexpr int scan_threads = 512;
inline constexpr int scan_items = 4;
/// Up to this number of documents one block scans all lengths in one launch; a device-wide scan
/// takes two.
inline constexpr std::int32_t one_block_documents = 16384;

inline constexpr int fill_threads = 256;
inline constexpr int fill_tile = 4096;

/// Scans all lengths with one block. (A template, so that it may be defined in every
/// translation unit.)
template <int Threads, int Items>
__global__ void __launch_bounds__(Threads)
    scan_lengths(summarize_document summarize, std::int32_t documents, store_summary store) {
  using block_scan = cub::BlockScan<packed_summary, Threads>;
  __shared__ typename block_scan::TempStorage storage;
  if (documents == 0 && threadIdx.x == 0) store.store_empty_pack();
  packed_summary before;
  for (std::int32_t tile = 0; tile < documents; tile += Threads * Items) {
    const std::int32_t begin = tile + static_cast<std::int32_t>(threadIdx.x) * Items;
    packed_summary packs[std::size_t{Items}];
    for (int i = 0; i < Items; ++i)
      if (begin + i < documents) packs[i] = summarize(begin + i);
    packed_summary tile_sum;
    block_scan(storage).InclusiveScan(packs, packs, append_summary{}, tile_sum);
    for (int i = 0; i < Items; ++i)
      if (begin + i < documents) store(begin + i, append_summary{}(before, packs[i]));
    before = append_summary{}(before, tile_sum);
    __syncthreads();  // the next tile reuses the storage
  }
}

/// Stores sixteen bytes at once when the array is aligned for it.
inline __device__ void store_chunk(std::int32_t* target, const std::int32_t (&values)[chunk_size]) {
  *reinterpret_cast<int4*>(target) = make_int4(values[0], values[1], values[2], values[3]);
}
inline __device__ void store_chunk(std::int64_t* target, const std::int32_t (&values)[chunk_size]) {
  auto* const pairs = reinterpret_cast<longlong2*>(target);
  pairs[0] = make_longlong2(values[0], values[1]);
  pairs[1] = make_longlong2(values[2], values[3]);
}

/// Stores the part of a chunk at `slot` that lies within the array; nothing when there is no array.
template <typename Value>
__device__ void store_slots(Value* array, std::int64_t slot, std::int64_t slots,
                            const std::int32_t (&values)[chunk_size]) {
  if (array == nullptr) return;
  const bool aligned = reinterpret_cast<std::uintptr_t>(array + slot) % 16 == 0;
  if (aligned && slot + chunk_size <= slots) return store_chunk(array + slot, values);
  for (int i = 0; i < chunk_size && slot + i < slots; ++i) array[slot + i] = values[i];
}

/// Fills one tile of slots per block. The slice of cu_seqlens that overlaps the tile is copied to
/// shared memory, unless empty documents make it longer than the tile; then it is read from global
/// memory.
template <typename Position>
__global__ void __launch_bounds__(fill_threads)
    fill_slots(const std::int32_t* cu_seqlens, std::int32_t documents, std::int64_t slots,
               Position* position_ids, std::int32_t* sequence_index) {
  __shared__ std::int32_t bounds[2];
  __shared__ std::int32_t staged[fill_tile + 1];
  const std::int64_t tile_begin = std::int64_t{blockIdx.x} * fill_tile;
  const std::int64_t tile_end = tile_begin + fill_tile < slots ? tile_begin + fill_tile : slots;
  // Two warps search in parallel.
  if (threadIdx.x == 0) bounds[0] = document_of(cu_seqlens, documents, tile_begin);
  if (threadIdx.x == 32) bounds[1] = document_of(cu_seqlens, documents, tile_end - 1);
  __syncthreads();
  const std::int32_t first = bounds[0];
  const std::int32_t count = bounds[1] - first;
  const std::int32_t* slice = cu_seqlens + first;
  if (count <= fill_tile) {
    for (std::int32_t i = static_cast<std::int32_t>(threadIdx.x); i <= count; i += fill_threads)
      staged[i] = slice[i];
    slice = staged;
    __syncthreads();
  }
  const find_chunk find{slice, count, first};
  for (std::int64_t slot = tile_begin + std::int64_t{threadIdx.x} * chunk_size; slot < tile_end;
       slot += fill_threads * chunk_size) {
    const token_chunk chunk = find(slot);
    store_slots(position_ids, slot, slots, chunk.position);
    store_slots(sequence_index, slot, slots, chunk.document);
  }
}

/// Launches a kernel and returns its error; with the launch syntax <<<>>>, errors of earlier calls
/// could not be told from it.
template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), unsigned blocks, int threads, cudaStream_t stream,
                   const Arguments&... arguments) noexcept {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

/// Scans lengths into cu_seqlens and the summary. Two-phase workspace.
inline cudaError_t scan(void* workspace, std::size_t& workspace_bytes, summarize_document summarize,
                        store_summary store, cudaStream_t stream) noexcept {
  const std::int32_t documents = store.documents;
  if (documents > one_block_documents)
    return cub::DeviceScan::InclusiveScan(
        workspace, workspace_bytes,
        thrust::make_transform_iterator(thrust::make_counting_iterator(std::int32_t{0}), summarize),
        thrust::make_tabulate_output_iterator(store), append_summary{}, documents, stream);
  if (workspace == nullptr) {
    workspace_bytes =
        1;  // for 0 bytes an allocator may return null, which means a query of the size
    return cudaSuccess;
  }
  return launch(scan_lengths<scan_threads, scan_items>, 1, scan_threads, stream, summarize,
                documents, store);
}

/// Throws unless the required arrays are given and all sizes are consistent.
template <typename Position>
void require_arrays(std::span<const std::int32_t> lengths,
                    const packed_indices_arrays<Position>& arrays) {
  static_assert(std::is_same_v<Position, std::int32_t> || std::is_same_v<Position, std::int64_t>,
                "position_ids are std::int32_t or std::int64_t");
  constexpr std::size_t limit = INT32_MAX;
  if (lengths.size() >= limit)
    throw invalid_input("lengths.size()", lengths.size(), "must be less than 2^31 - 1");
  if (arrays.cu_seqlens.size() != lengths.size() + 1)
    throw invalid_input(
        "cu_seqlens.size()", arrays.cu_seqlens.size(),
        "must be one more than the number of documents, " + std::to_string(lengths.size()));
  if (arrays.summary == nullptr) throw invalid_input("summary", "null", "must be device memory");
  const std::size_t slots = arrays.position_ids.size();
  if (slots > limit) throw invalid_input("position_ids.size()", slots, "must fit int32");
  if (arrays.sequence_index.size() > limit)
    throw invalid_input("sequence_index.size()", arrays.sequence_index.size(), "must fit int32");
  if (slots != 0 && !arrays.sequence_index.empty() && arrays.sequence_index.size() != slots)
    throw invalid_input("sequence_index.size()", arrays.sequence_index.size(),
                        "must be the size of position_ids, " + std::to_string(slots));
}

template <typename Position>
cudaError_t fill(std::int32_t documents, const packed_indices_arrays<Position>& arrays,
                 cudaStream_t stream) noexcept {
  const std::size_t slots = std::max(arrays.position_ids.size(), arrays.sequence_index.size());
  if (slots == 0) return cudaSuccess;
  const auto tiles = static_cast<unsigned>(divide_rounding_up(slots, std::size_t{fill_tile}));
  // The data of an empty span may be any pointer; the kernel expects null.
  const auto wanted = [](auto array) { return array.empty() ? nullptr : array.data(); };
  return launch(fill_slots<Position>, tiles, fill_threads, stream, arrays.cu_seqlens.data(),
                documents, slots, wanted(arrays.position_ids), wanted(arrays.sequence_index));
}

struct free_on_stream {
  cudaStream_t stream;
  void operator()(void* memory) const noexcept { cudaFreeAsync(memory, stream); }
};

[[nodiscard]] inline std::unique_ptr<void, free_on_stream> allocate(std::size_t bytes,
                                                                    cudaStream_t stream) {
  void* memory = nullptr;
  require(cudaMallocAsync(&memory, bytes, stream), "allocation of a workspace");
  return {memory, free_on_stream{stream}};
}

/// The value at a device address once all work on the stream has ended.
template <typename Value>
[[nodiscard]] Value fetch(const Value* address, cudaStream_t stream) {
  Value value{};
  require(cudaMemcpyAsync(&value, address, sizeof(Value), cudaMemcpyDeviceToHost, stream),
          "copy to the host");
  require(cudaStreamSynchronize(stream), "packed_indices");
  return value;
}

}  // namespace detail

template <typename Position>
cudaError_t packed_indices_async(void* workspace, std::size_t& workspace_bytes,
                                 std::span<const std::int32_t> lengths,
                                 const packed_indices_arrays<Position>& arrays,
                                 cudaStream_t stream) noexcept {
  try {
    detail::require_arrays(lengths, arrays);
  } catch (...) {
    return cudaErrorInvalidValue;
  }
  const auto documents = static_cast<std::int32_t>(lengths.size());
  const bool only_sizes = workspace == nullptr;
  const cudaError_t scanned =
      detail::scan(workspace, workspace_bytes, {lengths.data()},
                   {arrays.cu_seqlens.data(), arrays.summary, documents}, stream);
  if (scanned != cudaSuccess || only_sizes) return scanned;
  return detail::fill(documents, arrays, stream);
}

template <typename Position>
packed_summary packed_indices(std::span<const std::int32_t> lengths,
                              const packed_indices_arrays<Position>& arrays, cudaStream_t stream) {
  detail::require_arrays(lengths, arrays);
  std::size_t bytes = 0;
  require(packed_indices_async(nullptr, bytes, lengths, arrays, stream), "packed_indices");
  const auto workspace = detail::allocate(bytes, stream);
  require(packed_indices_async(workspace.get(), bytes, lengths, arrays, stream), "packed_indices");
  const packed_summary pack = detail::fetch(arrays.summary, stream);
  if (pack.first_negative >= 0) {
    const auto document = static_cast<std::size_t>(pack.first_negative);
    throw invalid_input("lengths", document, detail::fetch(&lengths[document], stream),
                        "must not be negative");
  }
  if (!is_valid(pack, arrays.capacity()))
    throw invalid_input(
        "sum of lengths", pack.tokens,
        "must be at most the number of slots, " + std::to_string(arrays.capacity()));
  return pack;
}

}  // namespace omnibal::inline v0::gpu
