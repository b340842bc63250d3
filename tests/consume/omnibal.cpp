// SPDX-License-Identifier: Apache-2.0
/// @file
/// The program of a consumer of the headers alone: uses the library, and exits with 0 when it
/// works.
#include <array>
#include <cstdio>

#include <omnibal/core.hpp>
#include <omnibal/version.hpp>

int main() {
  std::array<int, 4> order = {0, 1, 2, 3};
  omnibal::random_stream random(1);
  omnibal::shuffle_randomly(order, random);
  int sum = 0;
  for (const int element : order) sum += element;
  std::printf("omnibal %s\n", omnibal::version.data());
  return sum == 6 ? 0 : 1;
}
