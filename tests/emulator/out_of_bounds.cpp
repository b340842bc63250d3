// SPDX-License-Identifier: Apache-2.0
/// @file
/// A kernel that writes one element behind its memory, for the address sanitizer to stop.
///
/// usage: emulator_out_of_bounds device | shared | local
#include <cstdio>
#include <string_view>

#include <cuda_runtime.h>

namespace {

constexpr int threads = 64;

__global__ void overrun(int* device, int in_device, int in_shared, int in_local) {
  __shared__ int shared[threads];
  int local[threads] = {};
  const int self = static_cast<int>(threadIdx.x);
  shared[self + in_shared] = self;
  __syncthreads();
  local[self + in_local] = shared[threads - 1 - self];
  device[self + in_device] = local[self];
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view memory = argc == 2 ? argv[1] : "";
  int* device = nullptr;
  if (cudaMalloc(&device, threads * sizeof(int)) != cudaSuccess) return 2;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(2);
  config.blockDim = dim3(threads);
  const auto one_for = [&](std::string_view which) { return memory == which ? 1 : 0; };
  (void)cudaLaunchKernelEx(&config, overrun, device, one_for("device"), one_for("shared"),
                           one_for("local"));
  const cudaError_t error = cudaDeviceSynchronize();
  std::puts("ran to its end");
  return error == cudaSuccess && cudaFree(device) == cudaSuccess ? 0 : 1;
}
