// SPDX-License-Identifier: Apache-2.0
/// @file
/// The exception by which synchronising device functions report errors of the CUDA runtime.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <cuda_runtime_api.h>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::gpu {

/// Thrown when the CUDA runtime reports an error: `packed_indices: no CUDA-capable device is
/// detected (cudaErrorNoDevice)`.
class cuda_error : public std::runtime_error {
 public:
  cuda_error(std::string_view operation, cudaError_t code)
      : std::runtime_error(std::string(operation) + ": " + cudaGetErrorString(code) + " (" +
                           cudaGetErrorName(code) + ")"),
        code_(code) {}

  [[nodiscard]] cudaError_t code() const noexcept { return code_; }

 private:
  cudaError_t code_;
};

/// Throws cuda_error unless `code` is cudaSuccess.
inline void require(cudaError_t code, std::string_view operation) {
  if (code != cudaSuccess) throw cuda_error(operation, code);
}

}  // namespace omnibal::inline v0::gpu
