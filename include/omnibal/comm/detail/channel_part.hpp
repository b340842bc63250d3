// SPDX-License-Identifier: Apache-2.0
/// @file
/// A channel that was split off another one: its name and its ranks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Equal on the ranks of the part and of no other channel, so that flight records are neither
/// written to one file nor compared with those of other ranks. `split` counts those before.
[[nodiscard]] inline std::string part_name(const std::string& whole, std::uint64_t split,
                                           int color) {
  return whole + "/" + std::to_string(split) + "/" + std::to_string(color);
}

/// What the errors of a part end with, as it counts ranks anew: " (in a part: ranks 1, 3 of
/// world)".
[[nodiscard]] inline std::string describe_part(std::span<const std::size_t> ranks,
                                               const std::string& whole) {
  constexpr std::size_t most = 8;
  std::string text = " (in a part: " + list_ranks(ranks.first(std::min(most, ranks.size())));
  if (ranks.size() > most) text += ", ... of " + std::to_string(ranks.size());
  return text + " of " + whole + ")";
}

}  // namespace omnibal::inline v0::detail
