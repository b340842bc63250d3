// SPDX-License-Identifier: Apache-2.0
/// @file
/// Stands in for the header of the CUDA toolkit of this name: the part of the runtime that the
/// kernels and their tests use, over the emulator. Names, arguments and results are the toolkit's.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "emulator/device.hpp"
#include "emulator/vector_types.h"

#define __host__
#define __device__
#define __global__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevice = 101,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault,
};
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed,
};
enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone,
  cudaStreamCaptureStatusActive,
};
enum cudaLaunchAttributeID {
  cudaLaunchAttributeIgnore = 0,
  cudaLaunchAttributeProgrammaticStreamSerialization = 6,
};
union cudaLaunchAttributeValue {
  int programmaticStreamSerializationAllowed;
};
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  cudaLaunchAttributeValue val;
};

using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;

/// What the code of a kernel was compiled for, as for a device of compute capability 9.0.
struct cudaFuncAttributes {
  int ptxVersion;
  int binaryVersion;
};
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {.ptxVersion = 90, .binaryVersion = 90};
  return cudaSuccess;
}

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};

namespace emulator {

[[nodiscard]] inline std::unique_lock<std::recursive_mutex> lock() {
  return std::unique_lock(the_device.mutex);
}

/// What a call returns that may be the first to hear of an error of earlier work.
[[nodiscard]] inline cudaError_t state() {
  return the_device.finding().empty() ? cudaSuccess : cudaErrorLaunchFailure;
}

/// Waits for all work, which is an error while a stream is being captured.
[[nodiscard]] inline cudaError_t synchronize() {
  if (the_device.captures != 0) return cudaErrorStreamCaptureUnsupported;
  the_device.drain();
  return state();
}

[[nodiscard]] inline cudaError_t enqueue(cudaStream_t stream, std::function<void()> other) {
  the_device.enqueue(stream, {.kernel = {}, .other = std::move(other)});
  return state();
}

}  // namespace emulator

inline const char* cudaGetErrorName(cudaError_t code) {
  switch (code) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
  }
  return "unrecognized error code";
}
/// A launch failure is what the emulator found.
inline const char* cudaGetErrorString(cudaError_t code) {
  if (code == cudaErrorLaunchFailure) return emulator::the_device.finding().c_str();
  return cudaGetErrorName(code);
}
inline cudaError_t cudaGetLastError() { return emulator::state(); }
inline cudaError_t cudaPeekAtLastError() { return emulator::state(); }

inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}
struct cudaDeviceProp {
  char name[256];
};
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated GPU"};
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() {
  const auto locked = emulator::lock();
  return emulator::synchronize();
}
inline cudaError_t cudaDeviceReset() {
  const auto locked = emulator::lock();
  emulator::the_device.reset();
  return cudaSuccess;
}

// Memory.

inline cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const auto locked = emulator::lock();
  // Kernels run more than once from the memory that is there when they are launched.
  if (const cudaError_t error = emulator::synchronize(); error != cudaSuccess) return error;
  *memory = bytes == 0 ? nullptr : emulator::the_device.memory.allocate(bytes);
  return *memory == nullptr && bytes != 0 ? cudaErrorMemoryAllocation : cudaSuccess;
}
template <typename Value>
cudaError_t cudaMalloc(Value** memory, std::size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(memory), bytes);
}
inline cudaError_t cudaFree(void* memory) {
  const auto locked = emulator::lock();
  const cudaError_t error = emulator::synchronize();
  if (memory != nullptr && !emulator::the_device.memory.free(memory)) return cudaErrorInvalidValue;
  return error;
}
/// Device memory is the host's as well.
inline cudaError_t cudaMallocManaged(void** memory, std::size_t bytes, unsigned = 1) {
  return cudaMalloc(memory, bytes);
}
inline cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
  return cudaMalloc(memory, bytes);
}
template <typename Value>
cudaError_t cudaMallocAsync(Value** memory, std::size_t bytes, cudaStream_t stream) {
  return cudaMallocAsync(reinterpret_cast<void**>(memory), bytes, stream);
}
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { return cudaFree(memory); }

inline cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes,
                                   cudaStream_t stream = nullptr) {
  const auto locked = emulator::lock();
  return emulator::enqueue(stream, [=] {
    if (bytes != 0) std::memset(memory, value, bytes);
  });
}
inline cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  return cudaMemsetAsync(memory, value, bytes);
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                                   cudaStream_t stream = nullptr) {
  const auto locked = emulator::lock();
  return emulator::enqueue(stream, [=] {
    if (bytes != 0) std::memmove(to, from, bytes);
  });
}
inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const auto locked = emulator::lock();
  if (emulator::the_device.captures != 0) return cudaErrorStreamCaptureUnsupported;
  (void)cudaMemcpyAsync(to, from, bytes, kind);
  return emulator::synchronize();
}

// Streams and events.

inline cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaDeviceSynchronize(); }
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const cudaError_t error = cudaDeviceSynchronize();
  delete stream;
  return error;
}
inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream != nullptr && stream->captured != nullptr ? cudaStreamCaptureStatusActive
                                                             : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t = nullptr) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaDeviceSynchronize(); }
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

// Graphs.

inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const auto locked = emulator::lock();
  if (stream == nullptr || stream->captured != nullptr) return cudaErrorStreamCaptureUnsupported;
  stream->captured = new CUgraph_st;
  ++emulator::the_device.captures;
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const auto locked = emulator::lock();
  if (stream == nullptr || stream->captured == nullptr) return cudaErrorInvalidValue;
  *graph = std::exchange(stream->captured, nullptr);
  --emulator::the_device.captures;
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                        unsigned long long = 0) {
  *executable = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}
/// Sets *count to the number of nodes. The nodes themselves cannot be had.
inline cudaError_t cudaGraphGetNodes(cudaGraph_t graph, void* nodes, std::size_t* count) {
  if (nodes != nullptr) return cudaErrorInvalidValue;
  *count = graph->nodes.size();
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const auto locked = emulator::lock();
  for (const emulator::work& node : executable->nodes) emulator::the_device.enqueue(stream, node);
  return emulator::state();
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

// Launches.

namespace emulator {

/// The limits of every device that CUDA 13 knows.
[[nodiscard]] inline bool is_valid(const cudaLaunchConfig_t& config) {
  const auto within = [](dim3 size, unsigned x, unsigned y, unsigned z) {
    return size.x != 0 && size.y != 0 && size.z != 0 && size.x <= x && size.y <= y && size.z <= z;
  };
  const dim3 block = config.blockDim;
  return within(config.gridDim, 0x7FFFFFFF, 65535, 65535) && within(block, 1024, 1024, 64) &&
         block.x * block.y * block.z <= 1024;
}

/// Static shared memory of a kernel, and parameters.
inline constexpr std::size_t max_shared_bytes = std::size_t{48} << 10;
inline constexpr std::size_t max_parameter_bytes = 32764;

[[nodiscard]] inline std::size_t shared_bytes(const void* kernel) {
  if (EMULATOR_ADDRESS_SANITIZER) return 0;  // it adds to what variables take
  std::size_t bytes = 0;
  for (const auto& variable : the_device.grids.symbols(kernel).shared_variables)
    bytes += variable.size();
  return bytes;
}

[[nodiscard]] inline bool is_programmatic(const cudaLaunchConfig_t& config) {
  for (unsigned i = 0; i < config.numAttrs; ++i)
    if (config.attrs[i].id == cudaLaunchAttributeProgrammaticStreamSerialization)
      return config.attrs[i].val.programmaticStreamSerializationAllowed != 0;
  return false;
}

}  // namespace emulator

/// Parameters are copied, as the launch of a kernel copies them.
template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  const auto locked = emulator::lock();
  const auto address = reinterpret_cast<const void*>(kernel);
  if (!emulator::is_valid(*config) || config->dynamicSmemBytes != 0 ||
      emulator::shared_bytes(address) > emulator::max_shared_bytes)
    return cudaErrorInvalidConfiguration;
  static_assert((sizeof(Parameters) + ... + 0) <= emulator::max_parameter_bytes);
  emulator::the_device.enqueue(
      config->stream,
      {.kernel =
           emulator::kernel_launch{
               .kernel = address,
               .grid = config->gridDim,
               .block = config->blockDim,
               .body = std::bind_front(kernel, Parameters(std::forward<Arguments>(arguments))...),
               .is_programmatic = emulator::is_programmatic(*config)},
       .other = {}});
  return emulator::state();
}
