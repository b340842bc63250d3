// SPDX-License-Identifier: Apache-2.0
/// @file
/// Checks of what an example claims about its results: the examples are tests as well.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace omnibal::examples {

/// Ends the program with status 1, naming the claim, unless it holds.
inline void claim(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "This does not hold: %s\n", what);
  std::exit(1);
}

}  // namespace omnibal::examples
