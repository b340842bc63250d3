// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the waiting forms of device functions share.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/error.cuh>

namespace omnibal::inline v0::gpu::detail {

/// The value at a device address once all work on the stream has ended.
template <typename Value>
[[nodiscard]] Value fetch(const Value* address, cudaStream_t stream, std::string_view operation) {
  Value value{};
  require(cudaMemcpyAsync(&value, address, sizeof(Value), cudaMemcpyDeviceToHost, stream),
          operation);
  require(cudaStreamSynchronize(stream), operation);
  return value;
}

/// Waits for what has been enqueued, or failed to be.
inline void wait_for(cudaError_t enqueued, cudaStream_t stream, std::string_view operation) {
  require(enqueued, operation);
  require(cudaStreamSynchronize(stream), operation);
}

/// The array, or null where it is not wanted: the data of an empty span may be any pointer.
template <typename Value>
[[nodiscard]] constexpr Value* wanted(std::span<Value> array) noexcept {
  return array.empty() ? nullptr : array.data();
}

/// Refuses an array of another size.
inline void require_entries(std::size_t given, std::size_t wanted, std::string_view field) {
  if (given != wanted)
    throw invalid_input(field, given, "entries are given: must be " + std::to_string(wanted));
}

/// Runs checks that throw where an error code is wanted.
template <typename Check>
[[nodiscard]] cudaError_t code_of(const Check& check) noexcept {
  try {
    check();
  } catch (...) {
    return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

}  // namespace omnibal::inline v0::gpu::detail
