// SPDX-License-Identifier: Apache-2.0
// thrust_answers CASES.json: what omnibal-indices prints, through Thrust. Exits with 77 where it is
// compiled for GPUs and there is none.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>

#include "operations.hpp"
#include "thrust_forms.hpp"

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: thrust_answers CASES.json\n");
    return 2;
  }
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return 77;
#endif
  try {
    std::ifstream file(arguments[1]);
    const auto cases = omnibal::examples::json::parse(file);
    std::cout << omnibal::examples::answer_cases(thrust_forms::forms(), cases).answer.dump()
              << '\n';
    return std::cout ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "thrust_answers: %s: %s\n", arguments[1], error.what());
    return 1;
  }
}
