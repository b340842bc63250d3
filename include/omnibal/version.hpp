// SPDX-License-Identifier: Apache-2.0
/// @file
/// The version, once as macros for the preprocessor (CMake reads them too) and once as a string.
#pragma once

#include <string_view>

#include <omnibal/config.hpp>

#define OMNIBAL_VERSION_MAJOR 0
#define OMNIBAL_VERSION_MINOR 1
#define OMNIBAL_VERSION_PATCH 0

/// Everything lives in an inline namespace that changes with every incompatible release, so that
/// two versions can be linked into one program.
namespace omnibal::inline v0 {

inline constexpr std::string_view version = "0.1.0";

}  // namespace omnibal::inline v0
