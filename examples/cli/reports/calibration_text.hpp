// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal calibrate` as text for people.
#pragma once

#include <string>

#include "files/profile_file.hpp"

namespace omnibal::cli {

[[nodiscard]] std::string to_text(const profile_file& file);

}  // namespace omnibal::cli
