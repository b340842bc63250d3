// SPDX-License-Identifier: Apache-2.0
/// @file
/// Movement of rows of values between tensors on the device, by source slots: the device form of
/// indices/rows.hpp. Rows of several tensors move in one kernel; the adjoint of a gather adds in a
/// fixed order, so that gradients have the same bits every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/rows.hpp>

namespace omnibal::inline v0::gpu {

/// Tensors that one call moves.
inline constexpr std::size_t most_moved_tensors = 8;

/// Moves rows of up to most_moved_tensors tensors by the same sources, as indices::move_rows; the
/// sources and the tensors are device memory, the span of tensors is the host's. In `scatter` a row
/// has one source at most. A source out of range counts as −1. Enqueues one kernel on `stream`,
/// allocates nothing and may be captured; it copies 16 bytes at a time where addresses and widths
/// allow it.
///
/// Returns cudaErrorInvalidValue for too many tensors. O(bytes).
cudaError_t move_rows_async(indices::row_move move, std::span<const std::int64_t> source,
                            std::span<const indices::moved_rows> tensors,
                            cudaStream_t stream) noexcept;
/// The same, and waits for it. Throws invalid_input and cuda_error.
void move_rows(indices::row_move move, std::span<const std::int64_t> source,
               std::span<const indices::moved_rows> tensors, cudaStream_t stream = nullptr);

/// Sources by row, in device memory: those of row r are places[cu_places[r]] …
/// places[cu_places[r + 1] − 1], ascending.
struct sources_of_rows {
  std::span<std::int32_t> cu_places = {};  ///< [rows + 1]
  std::span<std::int32_t> places = {};     ///< [sources]; those of −1 are left out
  std::span<std::int32_t> next = {};       ///< [rows] workspace
};

/// Lists the sources of each row. Enqueues a memset and three kernels on `stream`, allocates
/// nothing and may be captured. One block lists, 256 sources at a time: O(rows + sources), made
/// once for all tensors and layers of a step.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong.
cudaError_t invert_sources_async(std::span<const std::int64_t> source,
                                 const sources_of_rows& inverse, cudaStream_t stream) noexcept;
void invert_sources(std::span<const std::int64_t> source, const sources_of_rows& inverse,
                    cudaStream_t stream = nullptr);

/// The adjoint of a gather: rows[r] += values[i] for each source i of row r, in ascending order, as
/// indices::add_rows, and with its bits. One kernel; O(values).
template <typename Value>
cudaError_t add_rows_async(const sources_of_rows& inverse, indices::rows_view<const Value> values,
                           indices::rows_view<Value> rows, cudaStream_t stream) noexcept;
template <typename Value>
void add_rows(const sources_of_rows& inverse, indices::rows_view<const Value> values,
              indices::rows_view<Value> rows, cudaStream_t stream = nullptr);

namespace detail {

/// Sixteen bytes that are loaded and stored at once.
struct alignas(16) wide_word {
  std::uint64_t halves[2];
};

/// The largest word of 1 … 16 bytes that divides addresses and width.
[[nodiscard]] inline std::size_t word_of(const indices::moved_rows& tensor) noexcept {
  const std::uintptr_t all = reinterpret_cast<std::uintptr_t>(tensor.from) |
                             reinterpret_cast<std::uintptr_t>(tensor.to) | tensor.row_bytes;
  std::size_t word = 16;
  while (all % word != 0) word /= 2;
  return word;
}

struct moved_tensors {
  indices::moved_rows tensor[most_moved_tensors];
  std::int32_t word[most_moved_tensors];
  const std::int64_t* source;
  std::int64_t sources;
  indices::row_move move;
};

/// Moves the words of a tensor, consecutive ones by consecutive threads of the grid.
template <typename Word>
__device__ void move_words(const moved_tensors& moved, const indices::moved_rows& tensor) {
  const auto words = static_cast<std::int64_t>(tensor.row_bytes / sizeof(Word));
  const std::int64_t all = moved.sources * words;
  const auto* const from = reinterpret_cast<const Word*>(tensor.from);
  auto* const to = reinterpret_cast<Word*>(tensor.to);
  const std::int64_t threads = std::int64_t{gridDim.x} * fill_threads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * fill_threads + threadIdx.x; i < all;
       i += threads) {
    const std::int64_t row = moved.source[i / words];
    const bool exists = row >= 0 && row < static_cast<std::int64_t>(tensor.rows);
    const std::int64_t numbered = row * words + i % words;
    if (moved.move == indices::row_move::gather)
      to[i] = exists ? from[numbered] : Word{};
    else if (exists)
      to[numbered] = from[i];
  }
}

/// Blocks (x, t) move tensor t.
template <unsigned Threads>
__global__ void __launch_bounds__(Threads) move_tensors(moved_tensors moved) {
  wait_for_previous_kernel();
  const indices::moved_rows tensor = moved.tensor[blockIdx.y];
  switch (moved.word[blockIdx.y]) {
    case 16: return move_words<wide_word>(moved, tensor);
    case 8: return move_words<std::uint64_t>(moved, tensor);
    case 4: return move_words<std::uint32_t>(moved, tensor);
    case 2: return move_words<std::uint16_t>(moved, tensor);
    default: return move_words<std::uint8_t>(moved, tensor);
  }
}

struct count_source {
  const std::int64_t* source;
  std::int32_t* counts;
  std::int64_t rows;
  __device__ void operator()(std::int64_t i) const {
    if (source[i] >= 0 && source[i] < rows) atomicAdd(&counts[source[i] + 1], 1);
  }
};

struct load_count {
  const std::int32_t* counts;
  [[nodiscard]] OMNIBAL_HD constexpr std::int32_t operator()(std::int64_t row) const noexcept {
    return counts[row + 1];
  }
};

/// One block goes through the sources in order, as many at a time as it has threads: a source's
/// place follows from how many of these with the same row come before it.
template <unsigned Threads>
__global__ void __launch_bounds__(Threads)
    list_sources(const std::int64_t* source, std::int64_t sources, std::int64_t rows,
                 const std::int32_t* cu_places, std::int32_t* places, std::int32_t* next) {
  __shared__ std::int64_t together[Threads];
  wait_for_previous_kernel();
  for (std::int64_t r = threadIdx.x; r < rows; r += Threads) next[r] = cu_places[r];
  for (std::int64_t begin = 0; begin < sources; begin += Threads) {
    const std::int64_t i = begin + threadIdx.x;
    const std::int64_t row = i < sources && source[i] < rows ? source[i] : -1;
    together[threadIdx.x] = row;
    __syncthreads();
    std::int32_t before = 0;
    bool is_last = true;
    for (unsigned other = 0; row >= 0 && other < Threads; ++other) {
      if (together[other] != row) continue;
      before += other < threadIdx.x ? 1 : 0;
      is_last = is_last && other <= threadIdx.x;
    }
    std::int32_t place = 0;
    if (row >= 0) place = next[row] + before;
    __syncthreads();
    if (row < 0) continue;
    places[place] = static_cast<std::int32_t>(i);
    if (is_last) next[row] = place + 1;
  }
}

/// Column c of row r: i = r · width + c.
template <typename Value>
struct add_value {
  const std::int32_t* cu_places;
  const std::int32_t* places;
  const Value* values;
  Value* rows;
  std::int64_t width;

  OMNIBAL_HD constexpr void operator()(std::int64_t i) const noexcept {
    const std::int64_t row = i / width;
    Value sum = rows[i];
    for (std::int32_t p = cu_places[row]; p < cu_places[row + 1]; ++p)
      sum += values[places[p] * width + i % width];
    rows[i] = sum;
  }
};

inline void check_moves(std::span<const std::int64_t> source,
                        std::span<const indices::moved_rows> tensors) {
  if (tensors.size() > most_moved_tensors)
    throw invalid_input("number of tensors", tensors.size(),
                        "must be at most " + std::to_string(most_moved_tensors));
  if (source.size() > INT32_MAX)
    throw invalid_input("number of sources", source.size(), "must be at most 2147483647");
}

inline void check_inverse(std::span<const std::int64_t> source, const sources_of_rows& inverse) {
  if (source.size() > INT32_MAX)
    throw invalid_input("number of sources", source.size(), "must be at most 2147483647");
  if (inverse.cu_places.size() != inverse.next.size() + 1)
    throw invalid_input("cu_places", inverse.cu_places.size(),
                        "entries are given: must be one more than next has");
  if (inverse.places.size() != source.size())
    throw invalid_input("places", inverse.places.size(),
                        "entries are given: must be those of source");
}

template <typename Value>
void check_added(const sources_of_rows& inverse, const indices::rows_view<const Value>& values,
                 const indices::rows_view<Value>& rows) {
  if (values.width == 0 || rows.width != values.width)
    throw invalid_input("width", rows.width, "must be that of the values, at least 1");
  if (values.values.size() != inverse.places.size() * values.width)
    throw invalid_input("values", values.values.size(), "must be the width for each source");
  if (rows.values.size() != (inverse.cu_places.size() - 1) * rows.width)
    throw invalid_input("rows", rows.values.size(), "must be the width for each row");
}

}  // namespace detail

inline cudaError_t move_rows_async(indices::row_move move, std::span<const std::int64_t> source,
                                   std::span<const indices::moved_rows> tensors,
                                   cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::check_moves(source, tensors); });
  if (checked != cudaSuccess || source.empty() || tensors.empty()) return checked;
  detail::moved_tensors moved{
      {}, {}, source.data(), static_cast<std::int64_t>(source.size()), move};
  std::size_t most_words = 1;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    moved.tensor[t] = tensors[t];
    const std::size_t word = detail::word_of(tensors[t]);
    moved.word[t] = static_cast<std::int32_t>(word);
    const std::size_t words = source.size() * (tensors[t].row_bytes / word);
    most_words = most_words < words ? words : most_words;
  }
  // Four words a thread, and more where the grid would become larger than all devices run at once.
  constexpr std::size_t of_block = 4 * detail::fill_threads;
  const std::size_t blocks = (most_words + of_block - 1) / of_block;
  const dim3 grid(static_cast<unsigned>(blocks < 65535 ? blocks : 65535),
                  static_cast<unsigned>(tensors.size()));
  return detail::launch(detail::start::overlapping, grid, detail::fill_threads, stream,
                        detail::move_tensors<detail::fill_threads>, moved);
}

inline void move_rows(indices::row_move move, std::span<const std::int64_t> source,
                      std::span<const indices::moved_rows> tensors, cudaStream_t stream) {
  detail::check_moves(source, tensors);
  detail::wait_for(move_rows_async(move, source, tensors, stream), stream, "move_rows");
}

inline cudaError_t invert_sources_async(std::span<const std::int64_t> source,
                                        const sources_of_rows& inverse,
                                        cudaStream_t stream) noexcept {
  cudaError_t code = detail::code_of([&] { detail::check_inverse(source, inverse); });
  if (code != cudaSuccess) return code;
  const auto rows = static_cast<std::int64_t>(inverse.next.size());
  const auto sources = static_cast<std::int64_t>(source.size());
  code = cudaMemsetAsync(inverse.cu_places.data(), 0, inverse.cu_places.size_bytes(), stream);
  if (code == cudaSuccess)
    code = detail::for_each_async(
        detail::start::after_previous, sources,
        detail::count_source{source.data(), inverse.cu_places.data(), rows}, stream);
  if (code == cudaSuccess)
    code = detail::scan_async<std::int32_t>(detail::load_count{inverse.cu_places.data()},
                                            detail::add_integers{}, rows,
                                            detail::store_sums{inverse.cu_places.data()}, stream);
  if (code != cudaSuccess) return code;
  return detail::launch(detail::start::overlapping, 1, detail::fill_threads, stream,
                        detail::list_sources<detail::fill_threads>, source.data(), sources, rows,
                        inverse.cu_places.data(), inverse.places.data(), inverse.next.data());
}

inline void invert_sources(std::span<const std::int64_t> source, const sources_of_rows& inverse,
                           cudaStream_t stream) {
  detail::check_inverse(source, inverse);
  detail::wait_for(invert_sources_async(source, inverse, stream), stream, "invert_sources");
}

template <typename Value>
cudaError_t add_rows_async(const sources_of_rows& inverse, indices::rows_view<const Value> values,
                           indices::rows_view<Value> rows, cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::check_added(inverse, values, rows); });
  if (checked != cudaSuccess) return checked;
  return detail::for_each_async(
      detail::start::overlapping, static_cast<std::int64_t>(rows.values.size()),
      detail::add_value<Value>{inverse.cu_places.data(), inverse.places.data(),
                               values.values.data(), rows.values.data(),
                               static_cast<std::int64_t>(rows.width)},
      stream);
}

template <typename Value>
void add_rows(const sources_of_rows& inverse, indices::rows_view<const Value> values,
              indices::rows_view<Value> rows, cudaStream_t stream) {
  detail::check_added(inverse, values, rows);
  detail::wait_for(add_rows_async(inverse, values, rows, stream), stream, "add_rows");
}

}  // namespace omnibal::inline v0::gpu
