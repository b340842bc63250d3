// SPDX-License-Identifier: Apache-2.0
/// @file
/// Stands in for CUB's header of this name.
#pragma once

#include <cstddef>
#include <new>

#include "cuda_runtime.h"

namespace cub {

/// The scan of a block of `Threads` × 1 × 1 threads, by its first thread.
template <typename Value, int Threads>
class BlockScan {
 public:
  /// The sums of the threads, then the sums before them. Raw, since shared memory has no
  /// constructors.
  struct TempStorage {
    alignas(Value) unsigned char bytes[Threads * sizeof(Value)];
  };

  explicit BlockScan(TempStorage& storage) : sums_(reinterpret_cast<Value*>(storage.bytes)) {}

  /// sums[i] = values[0] + … + values[i] over all threads, and the sum of all.
  template <std::size_t Items, typename Operator>
  void InclusiveScan(Value (&values)[Items], Value (&sums)[Items], Operator add, Value& total) {
    Value sum = values[0];
    for (std::size_t i = 1; i < Items; ++i) sum = add(sum, values[i]);
    new (sums_ + threadIdx.x) Value(sum);
    __syncthreads();
    if (threadIdx.x == 0)
      for (int t = 1; t < Threads; ++t) sums_[t] = add(sums_[t - 1], sums_[t]);
    __syncthreads();
    total = sums_[Threads - 1];
    sums[0] = threadIdx.x == 0 ? values[0] : add(sums_[threadIdx.x - 1], values[0]);
    for (std::size_t i = 1; i < Items; ++i) sums[i] = add(sums[i - 1], values[i]);
  }

 private:
  Value* sums_;
};

}  // namespace cub
