// SPDX-License-Identifier: Apache-2.0
/// @file
/// Launches of kernels whose errors are their own, and that may overlap the end of the kernel
/// before them on the stream.
#pragma once

#include <cstddef>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::gpu::detail {

inline constexpr unsigned warp_lanes = 32;
inline constexpr unsigned all_lanes = 0xFFFFFFFF;

/// Whether a kernel may begin before the one before it on the stream has ended.
enum class start { after_previous, overlapping };

/// Waits until the kernel before this one on the stream has ended and its results can be read.
/// Every kernel that is launched with start::overlapping calls it before it reads or writes an
/// array.
inline __device__ void wait_for_previous_kernel() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

/// Lets the next kernel on the stream begin, if it is launched with start::overlapping.
inline __device__ void let_next_kernel_begin() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

/// Whether wait_for_previous_kernel() waits in the code that runs: code for older devices, also
/// where the driver compiles it for a newer one, has no such instruction.
template <typename... Parameters>
[[nodiscard]] bool can_wait(void (*kernel)(Parameters...)) noexcept {
  cudaFuncAttributes attributes{};
  return cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)) == cudaSuccess &&
         attributes.ptxVersion >= 90;
}

/// Bytes that a kernel's parameters take, each at a multiple of its alignment.
template <typename... Parameters>
[[nodiscard]] constexpr std::size_t parameter_bytes() noexcept {
  std::size_t bytes = 0;
  ((bytes = (bytes + alignof(Parameters) - 1) / alignof(Parameters) * alignof(Parameters) +
            sizeof(Parameters)),
   ...);
  return bytes;
}

/// What every architecture takes; 32,764 bytes need compute capability 7.0 and CUDA 12.1.
inline constexpr std::size_t most_parameter_bytes = 4096;

/// Launches a kernel and returns its error; with the launch syntax <<<>>>, errors of earlier calls
/// could not be distinguished from its own. Arguments are converted to the kernel's parameters.
template <typename... Parameters, typename... Arguments>
cudaError_t launch(start when, dim3 blocks, unsigned threads, cudaStream_t stream,
                   void (*kernel)(Parameters...), const Arguments&... arguments) noexcept {
  static_assert(parameter_bytes<Parameters...>() <= most_parameter_bytes);
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(threads);
  config.stream = stream;
  if (when == start::overlapping && can_wait(kernel)) {
    config.attrs = &overlap;
    config.numAttrs = 1;
  }
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace omnibal::inline v0::gpu::detail
