// SPDX-License-Identifier: Apache-2.0
/// @file
/// Device memory for tests, whose surroundings can be looked at.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include <cuda_runtime_api.h>

#include <omnibal/gpu/error.cuh>

/// Device memory that starts as bytes 0x7F, some elements behind an aligned address.
template <typename Value>
class device_array {
 public:
  explicit device_array(std::size_t size, std::size_t offset = 0) : size_(size), offset_(offset) {
    void* memory = nullptr;
    omnibal::gpu::require(cudaMalloc(&memory, bytes()), "cudaMalloc");
    memory_ = static_cast<Value*>(memory);
    omnibal::gpu::require(cudaMemset(memory_, 0x7F, bytes()), "cudaMemset");
  }
  explicit device_array(const std::vector<Value>& values) : device_array(values.size()) {
    set(values);
  }
  device_array(const device_array&) = delete;
  device_array& operator=(const device_array&) = delete;
  ~device_array() { cudaFree(memory_); }

  [[nodiscard]] std::span<Value> span() const { return {memory_ + offset_, size_}; }

  void set(const std::vector<Value>& values) const {
    omnibal::gpu::require(cudaMemcpy(memory_ + offset_, values.data(),
                                     values.size() * sizeof(Value), cudaMemcpyHostToDevice),
                          "copy to the device");
  }

  [[nodiscard]] std::vector<Value> get() const { return get(offset_, size_); }

  /// Whether the elements before and behind are as they were.
  [[nodiscard]] bool surroundings_untouched() const {
    auto around = get(0, offset_);
    for (const Value value : get(offset_ + size_, guard)) around.push_back(value);
    Value untouched{};
    std::memset(&untouched, 0x7F, sizeof untouched);
    return std::all_of(around.begin(), around.end(), [&](const Value& value) {
      return std::memcmp(&value, &untouched, sizeof untouched) == 0;
    });
  }

 private:
  static constexpr std::size_t guard = 8;

  [[nodiscard]] std::size_t bytes() const { return (offset_ + size_ + guard) * sizeof(Value); }

  [[nodiscard]] std::vector<Value> get(std::size_t first, std::size_t count) const {
    std::vector<Value> values(count);
    omnibal::gpu::require(
        cudaMemcpy(values.data(), memory_ + first, count * sizeof(Value), cudaMemcpyDeviceToHost),
        "copy to the host");
    return values;
  }

  Value* memory_ = nullptr;
  std::size_t size_;
  std::size_t offset_;
};
