// SPDX-License-Identifier: Apache-2.0
/// @file
/// Counts what slots of each document have, by visits of a tile (fill.cuh). A thread adds up while
/// the document stays the same; integers are added, in any order, so that the counts are the same
/// every run.
#pragma once

#include <cstdint>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/gpu/detail/launch.cuh>

namespace omnibal::inline v0::gpu::detail {

/// What a thread has counted in the document in which it is.
struct document_count {
  std::int32_t document = -1;
  std::int32_t count = 0;

  __device__ void add(std::int32_t of, std::int32_t more, std::int32_t* counts) {
    if (of != document) {
      flush(counts);
      document = of;
    }
    count += more;
  }

  /// At the end, by all lanes of a warp: once for the warp where it is in one document.
  __device__ void finish(std::int32_t* counts) {
    const std::int32_t of_first_lane = __shfl_sync(all_lanes, document, 0);
    if (__all_sync(all_lanes, document == of_first_lane ? 1 : 0) != 0) {
      for (unsigned delta = warp_lanes / 2; delta > 0; delta /= 2)
        count += __shfl_xor_sync(all_lanes, count, static_cast<int>(delta));
      if (threadIdx.x % warp_lanes != 0) return;
    }
    flush(counts);
  }

 private:
  __device__ void flush(std::int32_t* counts) {
    if (count != 0) atomicAdd(&counts[document], count);
    count = 0;
  }
};

}  // namespace omnibal::inline v0::gpu::detail
