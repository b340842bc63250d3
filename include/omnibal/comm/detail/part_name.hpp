// SPDX-License-Identifier: Apache-2.0
/// @file
/// The name of a channel that was split off another one.
#pragma once

#include <cstdint>
#include <string>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Equal on the ranks of the part and of no other channel, so that flight records are neither
/// written to one file nor compared with those of other ranks. `split` counts those before.
[[nodiscard]] inline std::string part_name(const std::string& whole, std::uint64_t split,
                                           int color) {
  return whole + "/" + std::to_string(split) + "/" + std::to_string(color);
}

}  // namespace omnibal::inline v0::detail
