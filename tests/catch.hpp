// SPDX-License-Identifier: Apache-2.0
/// @file
/// Catch2, whichever major version is installed. Tests include this instead of Catch2's headers.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>

namespace Catch::Matchers {

/// The name that version 3 gives to what version 2 calls Contains.
[[nodiscard]] inline auto ContainsSubstring(const std::string& part) { return Contains(part); }

}  // namespace Catch::Matchers
#endif
