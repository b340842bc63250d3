// SPDX-License-Identifier: Apache-2.0
/// @file
/// Values in device memory for as long as an object lives.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/gpu/error.cuh>

namespace omnibal::examples {

template <typename Value>
class device_values {
 public:
  explicit device_values(std::size_t size) : size_(size) {
    // One byte where there is nothing, so that the address is one of the device.
    gpu::require(cudaMalloc(&memory_, size_ == 0 ? 1 : size_ * sizeof(Value)), "cudaMalloc");
  }
  explicit device_values(std::span<const Value> values) : device_values(values.size()) {
    copy(memory_, values.data());
  }
  device_values(const device_values&) = delete;
  device_values& operator=(const device_values&) = delete;
  ~device_values() { cudaFree(memory_); }

  [[nodiscard]] std::span<Value> span() const { return {data(), size_}; }
  [[nodiscard]] Value* data() const { return static_cast<Value*>(memory_); }
  /// Where all work is done.
  void get(std::span<Value> values) const { copy(values.data(), memory_); }
  [[nodiscard]] std::vector<Value> get() const {
    std::vector<Value> values(size_);
    get(values);
    return values;
  }

 private:
  void copy(void* to, const void* from) const {
    if (size_ != 0)
      gpu::require(cudaMemcpy(to, from, size_ * sizeof(Value), cudaMemcpyDefault), "cudaMemcpy");
  }

  void* memory_ = nullptr;
  std::size_t size_;
};

/// An output of the host and its place on the device: as many values, none where it is not wanted.
template <typename Value>
class device_output {
 public:
  explicit device_output(std::span<Value> host) : host_(host), device_(host.size()) {}
  [[nodiscard]] std::span<Value> span() const { return device_.span(); }
  void get() const { device_.get(host_); }

 private:
  std::span<Value> host_;
  device_values<Value> device_;
};

}  // namespace omnibal::examples
