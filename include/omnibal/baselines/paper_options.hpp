// SPDX-License-Identifier: Apache-2.0
/// @file
/// The extent of the search of the OmniBal paper's planning method (baselines/paper_plan.hpp).
#pragma once

#include <cstddef>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct paper_options {
  std::size_t radius = 2;  ///< First radius around the anchor; doubled until a partition fits.
  std::size_t top = 10;    ///< How many partitions are simulated.
};

}  // namespace omnibal::inline v0
