// SPDX-License-Identifier: Apache-2.0
/// @file
/// The machine that is a GPU: a stream, cuBLAS's products, and groups of the 32 lanes of a warp.
/// What it is asked for is done in this order, beside the host.
///
/// With OMNIBAL_TRAINER_EMULATED kernels run in the emulator of examples/emulator, whose memory is
/// the host's, and products are OpenBLAS's: the tests then run everywhere.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <cuda_runtime.h>

#if defined(OMNIBAL_TRAINER_EMULATED)
#include "openblas.hpp"
#else
#include <cublas_v2.h>
#endif

#include <omnibal/config.hpp>
#include <omnibal/gpu/error.cuh>

#include "product.hpp"

#if defined(OMNIBAL_TRAINER_CUDNN)
#include "cudnn_attention.hpp"
#endif

// A view of constant numbers has the conversion to itself as well, which is never called.
#if defined(__NVCC__)
#pragma nv_diag_suppress 554
#endif

/// Marks what lanes run.
#define OMNIBAL_ON_LANES __device__

namespace omnibal::trainer {

/// Chooses the GPU of the calling thread: ranks take turns. Throws gpu::cuda_error where there is
/// none.
inline void use_device(std::size_t rank) {
  int devices = 0;
  gpu::require(cudaGetDeviceCount(&devices), "machine: GPUs");
  gpu::require(cudaSetDevice(static_cast<int>(rank) % devices), "machine: GPU");
}

/// Of the GPU of the calling thread.
[[nodiscard]] inline std::string device_name() {
  int which = 0;
  cudaDeviceProp properties{};
  gpu::require(cudaGetDevice(&which), "machine: GPU");
  gpu::require(cudaGetDeviceProperties(&properties, which), "machine: GPU");
  return properties.name;
}

/// Memory and order of work of one stage. Throws gpu::cuda_error.
class device {
 public:
  device() {
    gpu::require(cudaStreamCreate(&stream_), "machine: stream");
    open();
  }
  device(const device&) = delete;
  device& operator=(const device&) = delete;
  ~device() {
    close();
    static_cast<void>(cudaStreamDestroy(stream_));
  }

  /// Zeros. Memory that the host reads is managed: both sides use the same addresses.
  [[nodiscard]] void* allocate(std::size_t bytes, bool host_reads) {
    void* memory = nullptr;
    const std::size_t at_least_one = bytes > 0 ? bytes : 1;
    gpu::require(host_reads ? cudaMallocManaged(&memory, at_least_one)
                            : cudaMallocAsync(&memory, at_least_one, stream_),
                 "machine: memory");
    set_zero(memory, bytes);
    if (host_reads) finish();
    return memory;
  }
  void release(void* memory, bool host_reads) noexcept {
    static_cast<void>(host_reads ? cudaFree(memory) : cudaFreeAsync(memory, stream_));
  }
  void set_zero(void* memory, std::size_t bytes) {
    gpu::require(cudaMemsetAsync(memory, 0, bytes, stream_), "machine: zeros");
  }
  /// From the machine's memory to the machine's memory.
  void copy(void* to, const void* from, std::size_t bytes) {
    gpu::require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_),
                 "machine: copy");
  }
  /// From the machine to the host or back; done when it returns.
  void transfer(void* to, const void* from, std::size_t bytes) {
    gpu::require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "machine: transfer");
    finish();
  }
  void finish() { gpu::require(cudaStreamSynchronize(stream_), "machine: work"); }

  [[nodiscard]] cudaStream_t stream() const noexcept { return stream_; }

#if defined(OMNIBAL_TRAINER_EMULATED)

 private:
  void open() { detail::use_one_thread(); }
  void close() noexcept {}
#else
  [[nodiscard]] cublasHandle_t products() const noexcept { return products_; }
#if defined(OMNIBAL_TRAINER_CUDNN)
  [[nodiscard]] detail::cudnn_attention& attention() {
    if (!attention_) attention_ = std::make_unique<detail::cudnn_attention>(stream_);
    return *attention_;
  }
#endif

  static void require(cublasStatus_t status) {
    if (status != CUBLAS_STATUS_SUCCESS)
      throw std::runtime_error(std::string("machine: product: ") + cublasGetStatusString(status));
  }

 private:
  void open() {
    require(cublasCreate(&products_));
    require(cublasSetStream(products_, stream_));
    // Where a product is split, its parts are added as floats.
    require(cublasSetMathMode(
        products_, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                             CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)));
    keep_freed_memory();
  }
  /// For the next allocations: otherwise every finish() gives it back to the driver.
  static void keep_freed_memory() {
    int which = 0;
    cudaMemPool_t pool{};
    gpu::require(cudaGetDevice(&which), "machine: device");
    gpu::require(cudaDeviceGetDefaultMemPool(&pool, which), "machine: memory pool");
    std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    gpu::require(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
                 "machine: memory pool");
  }
  void close() noexcept {
#if defined(OMNIBAL_TRAINER_CUDNN)
    attention_.reset();
#endif
    static_cast<void>(cublasDestroy(products_));
  }

  cublasHandle_t products_ = nullptr;
#if defined(OMNIBAL_TRAINER_CUDNN)
  std::unique_ptr<detail::cudnn_attention> attention_;
#endif
#endif

  cudaStream_t stream_ = nullptr;
};

/// The lanes that share a row: those of a warp. Each function is called by all lanes of the group.
class lanes {
 public:
  /// Calls f(i) for i < count, in one lane each; other lanes see what it wrote.
  template <typename Function>
  __device__ void each(std::size_t count, const Function& f) const {
    for (std::size_t i = own(); i < count; i += size) f(i);
    __syncwarp();
  }

  /// Σ f(i) for i < count, in every lane. The order of the sum depends on count alone.
  template <typename Function>
  [[nodiscard]] __device__ auto sum(std::size_t count, const Function& f) const {
    using number = decltype(f(count));
    number total = 0;
    for (std::size_t i = own(); i < count; i += size) total += f(i);
    for (int bits = size / 2; bits > 0; bits /= 2) total += __shfl_xor_sync(~0U, total, bits);
    return total;
  }

  /// The first i < count with the largest f(i), in every lane; count ≥ 1.
  template <typename Function>
  [[nodiscard]] __device__ std::size_t largest(std::size_t count, const Function& f) const {
    std::size_t best = own() < count ? own() : 0;
    auto most = f(best);
    for (std::size_t i = best + size; i < count; i += size)
      if (f(i) > most) most = f(best = i);
    for (int bits = size / 2; bits > 0; bits /= 2) {
      const auto other_most = __shfl_xor_sync(~0U, most, bits);
      const std::size_t other = __shfl_xor_sync(~0U, static_cast<unsigned long long>(best), bits);
      if (other_most > most || (other_most == most && other < best)) {
        most = other_most;
        best = other;
      }
    }
    return best;
  }

  /// Calls f in one lane.
  template <typename Function>
  __device__ void once(const Function& f) const {
    if (own() == 0) f();
    __syncwarp();
  }

 private:
  static constexpr int size = 32;
  [[nodiscard]] static __device__ std::size_t own() { return threadIdx.x % size; }
};

namespace detail {

inline constexpr unsigned warps_per_block = 4;

template <typename Body>
__global__ void row_kernel(std::size_t rows, Body body) {
  for (std::size_t row = std::size_t{blockIdx.x} * warps_per_block + threadIdx.x / 32; row < rows;
       row += std::size_t{gridDim.x} * warps_per_block)
    body(row, lanes{});
}

template <typename Real>
__global__ void column_sum_kernel(wide<Real>* sums, const Real* x, std::size_t rows,
                                  std::size_t columns) {
  const std::size_t c = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c >= columns) return;
  wide<Real> sum = sums[c];
  for (std::size_t row = 0; row < rows; ++row) sum += x[row * columns + c];
  sums[c] = sum;
}

/// Enough threads for this many, each in a block of warps_per_block warps.
[[nodiscard]] inline cudaLaunchConfig_t launch_for(device& on, std::size_t threads) {
  constexpr std::size_t most_blocks = 65'535;
  constexpr std::size_t block = std::size_t{32} * warps_per_block;
  const std::size_t blocks = (threads + block - 1) / block;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks));
  config.blockDim = dim3(static_cast<unsigned>(block));
  config.stream = on.stream();
  return config;
}

template <typename Body>
void run_rows(device& on, std::size_t rows, const Body& body) {
  const cudaLaunchConfig_t config = launch_for(on, rows * 32);
  gpu::require(cudaLaunchKernelEx(&config, row_kernel<Body>, rows, body), "machine: rows");
}

template <typename Real>
void run_column_sums(device& on, wide<Real>* sums, const Real* x, std::size_t rows,
                     std::size_t columns) {
  const cudaLaunchConfig_t config = launch_for(on, columns);
  gpu::require(cudaLaunchKernelEx(&config, column_sum_kernel<Real>, sums, x, rows, columns),
               "machine: column sums");
}

#if defined(OMNIBAL_TRAINER_EMULATED)

template <typename Out, typename In>
void run_product(device& on, const product_arguments<Out, In>& of) {
  on.finish();
  openblas_product(of);
}

#else

template <typename Real>
[[nodiscard]] constexpr cudaDataType_t data_type_of() {
  if constexpr (std::same_as<Real, bf16_number>) return CUDA_R_16BF;
  return std::same_as<Real, float> ? CUDA_R_32F : CUDA_R_64F;
}

/// cuBLAS stores matrices column by column and so computes outᵀ = rightᵀ · leftᵀ.
template <typename Out, typename In>
void run_product(device& on, const product_arguments<Out, In>& of) {
  constexpr auto sums = std::same_as<In, double> ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;
  const auto order = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  const auto size = [](std::size_t count) { return static_cast<int>(count); };
  const wide<Out> one = 1;
  device::require(cublasGemmEx(on.products(), order(of.right_transposed), order(of.left_transposed),
                               size(of.columns), size(of.rows), size(of.inner), &one, of.right,
                               data_type_of<In>(), size(of.right_columns()), of.left,
                               data_type_of<In>(), size(of.left_columns()), &of.keep, of.out,
                               data_type_of<Out>(), size(of.columns), sums, CUBLAS_GEMM_DEFAULT));
}

#endif

}  // namespace detail

}  // namespace omnibal::trainer
