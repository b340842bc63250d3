// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which random streams packing and dispatch draw from, so that no two purposes share one under
/// the same seed.
#pragma once

#include <cstdint>
#include <omnibal/config.hpp>
#include <omnibal/core/random.hpp>

namespace omnibal::inline v0::detail {

enum class random_purpose : std::uint64_t {
  isf_pass = 1,
  balanced_epoch = 2,
  dispatch_epoch = 3,
  sequence_parallel_epoch = 4,
};

/// The stream of a purpose's pass or epoch.
[[nodiscard]] constexpr random_stream stream_for(std::uint64_t seed, random_purpose purpose,
                                                 std::uint64_t index) noexcept {
  return random_stream(seed, (static_cast<std::uint64_t>(purpose) << 56) ^ index);
}

}  // namespace omnibal::inline v0::detail
