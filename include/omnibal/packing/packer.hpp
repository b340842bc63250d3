// SPDX-License-Identifier: Apache-2.0
/// @file
/// Options that all packers share: the policy for samples that exceed a capacity, and names of
/// resources for messages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// What a packer does with an oversize sample: one that alone exceeds a capacity.
enum class oversize_policy {
  reject,    ///< Throw invalid_input naming resource, sample and value.
  own_pack,  ///< Put it into a pack of its own, after all others, and list it.
  skip,      ///< Leave it out of the packs and list it.
};

/// Names of the resources in messages, e.g. {"images", "tokens"}. Without a name a resource is
/// called "resource 0", "resource 1", …. Functions read them during the call; objects copy them.
template <std::size_t Resources>
using resource_names = std::array<std::string_view, Resources>;

/// The most samples that a packer accepts: ids have 32 bits, of which one value is reserved.
inline constexpr std::uint64_t max_samples = std::numeric_limits<std::uint32_t>::max();

}  // namespace omnibal::inline v0
