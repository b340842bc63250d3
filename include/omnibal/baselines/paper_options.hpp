// SPDX-License-Identifier: Apache-2.0
/// @file
/// How far the OmniBal paper's method searches.
#pragma once

#include <cstddef>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct paper_options {
  std::size_t radius = 2;  ///< To start with; doubled until some partition fits.
  std::size_t top = 10;    ///< How many partitions are simulated.
};

}  // namespace omnibal::inline v0
