// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs Catch2 cases where there is a GPU; exits with 77, which ctest reads as skipped, where not.
#define CATCH_CONFIG_RUNNER
#include <cstdio>

#include <cuda_runtime_api.h>

#include "catch.hpp"

int main(int argc, char** argv) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: there is no GPU");
    return 77;
  }
  // Catch2 gives the number of failures, which may be 77 too.
  return Catch::Session().run(argc, argv) == 0 ? 0 : 1;
}
