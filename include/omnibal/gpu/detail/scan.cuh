// SPDX-License-Identifier: Apache-2.0
/// @file
/// An inclusive scan with any associative operation by one block, for as many values as a row has
/// documents: one launch and no workspace. Values are loaded and results are stored by functions.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/gpu/detail/launch.cuh>

namespace omnibal::inline v0::gpu::detail {

inline constexpr unsigned scan_threads = 512;
/// Consecutive values of a thread.
inline constexpr unsigned scan_items = 4;

/// The value of the lane `delta` before this one in its warp, word by word.
template <typename Value>
[[nodiscard]] __device__ Value shuffle_up(const Value& value, unsigned delta) {
  static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) % sizeof(std::uint32_t) == 0);
  std::uint32_t words[sizeof(Value) / sizeof(std::uint32_t)];
  std::memcpy(words, &value, sizeof value);
  for (std::uint32_t& word : words) word = __shfl_up_sync(all_lanes, word, delta);
  Value other;
  std::memcpy(&other, words, sizeof other);
  return other;
}

/// An array in shared memory, where objects have no constructors.
template <typename Value, unsigned Size>
struct shared_array {
  alignas(Value) unsigned char bytes[Size * sizeof(Value)];

  __device__ void set(unsigned i, const Value& value) {
    std::memcpy(bytes + i * sizeof(Value), &value, sizeof(Value));
  }
  [[nodiscard]] __device__ Value get(unsigned i) const {
    Value value;
    std::memcpy(&value, bytes + i * sizeof(Value), sizeof(Value));
    return value;
  }
};

struct add_integers {
  template <typename Integer>
  [[nodiscard]] OMNIBAL_HD constexpr Integer operator()(Integer a, Integer b) const noexcept {
    return a + b;
  }
};

/// The sum of what the threads before this one have, and the sum of all threads. Value{} is the
/// identity of `append`. `sums` is free again after the next barrier.
template <typename Value>
struct block_sums {
  Value before;
  Value all;
};
template <unsigned Threads, typename Value, typename Append>
[[nodiscard]] __device__ block_sums<Value> scan_block(
    const Value& own, const Append& append, shared_array<Value, Threads / warp_lanes>& sums) {
  const unsigned lane = threadIdx.x % warp_lanes;
  const unsigned warp = threadIdx.x / warp_lanes;
  Value through = own;
  for (unsigned delta = 1; delta < warp_lanes; delta *= 2) {
    const Value left = shuffle_up(through, delta);
    if (lane >= delta) through = append(left, through);
  }
  const Value left = shuffle_up(through, 1);
  if (lane == warp_lanes - 1) sums.set(warp, through);
  __syncthreads();
  block_sums<Value> result{};
  for (unsigned w = 0; w < Threads / warp_lanes; ++w) {
    if (w == warp) result.before = result.all;
    result.all = append(result.all, sums.get(w));
  }
  if (lane > 0) result.before = append(result.before, left);
  return result;
}

/// For i = 0 … count − 1 calls store(i, load(0) + … + load(i)) with the sum by `append`; one block.
/// It calls store.store_empty() where there is nothing.
template <typename Value, typename Load, typename Append, typename Store>
__global__ void __launch_bounds__(scan_threads)
    scan(Load load, Append append, std::int64_t count, Store store) {
  __shared__ shared_array<Value, scan_threads / warp_lanes> sums;
  let_next_kernel_begin();
  wait_for_previous_kernel();
  Value before{};
  for (std::int64_t tile = 0; tile < count; tile += scan_threads * scan_items) {
    const std::int64_t begin = tile + threadIdx.x * scan_items;
    Value values[scan_items]{};
    Value own{};
    for (unsigned i = 0; i < scan_items; ++i) {
      if (begin + i < count) values[i] = load(begin + i);
      own = append(own, values[i]);
    }
    const block_sums<Value> tile_sums = scan_block<scan_threads>(own, append, sums);
    Value sum = append(before, tile_sums.before);
    for (unsigned i = 0; i < scan_items; ++i) {
      sum = append(sum, values[i]);
      if (begin + i < count) store(begin + i, sum);
    }
    before = append(before, tile_sums.all);
    __syncthreads();  // the next tile writes the sums again
  }
  store.finish(before, threadIdx.x, scan_threads);
}

/// Stores 0 and then the sums.
struct store_sums {
  std::int32_t* sums;
  OMNIBAL_HD constexpr void operator()(std::int64_t i, std::int32_t sum) const noexcept {
    sums[i + 1] = sum;
  }
  OMNIBAL_HD constexpr void finish(std::int32_t /*all*/, unsigned thread,
                                   unsigned /*threads*/) const noexcept {
    if (thread == 0) sums[0] = 0;
  }
};

/// Enqueues scan().
template <typename Value, typename Load, typename Append, typename Store>
cudaError_t scan_async(const Load& load, const Append& append, std::int64_t count,
                       const Store& store, cudaStream_t stream) noexcept {
  return launch(start::after_previous, 1, scan_threads, stream, scan<Value, Load, Append, Store>,
                load, append, count, store);
}

}  // namespace omnibal::inline v0::gpu::detail
