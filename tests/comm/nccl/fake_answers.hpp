// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every fake NCCL and CUDA runtime answers alike, however strict it is: texts, numbers of
/// ranks and devices, and memory of the device, which is that of the host. Included in the one
/// source of a program that defines the rest.
#pragma once

#include <cstddef>
#include <new>

#include <cuda_runtime_api.h>
#include <nccl.h>

namespace fake {

// Defined by the fake.

/// Of this thread.
int& current_device();
int rank_of(ncclComm_t comm);
int ranks_of(ncclComm_t comm);

}  // namespace fake

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote error" : "another error";
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  *rank = fake::rank_of(comm);
  return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  *count = fake::ranks_of(comm);
  return ncclSuccess;
}

const char* cudaGetErrorString(cudaError_t) { return "a CUDA error"; }
cudaError_t cudaGetDevice(int* device) {
  *device = fake::current_device();
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  fake::current_device() = device;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = ::operator new(bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  ::operator delete(memory);
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
  return cudaMallocHost(memory, bytes);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { return cudaFreeHost(memory); }
}
