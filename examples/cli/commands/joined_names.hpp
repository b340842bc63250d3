// SPDX-License-Identifier: Apache-2.0
/// @file
/// The names of members of a family as a list.
#pragma once

#include <string>
#include <string_view>

namespace omnibal::cli {

/// The names of schedules or objectives, as a list in a sentence or on the command line.
template <typename Members>
std::string joined_names(Members&& members, std::string_view separator) {
  std::string names;
  for (const auto& one : members) {
    if (!names.empty()) names += separator;
    names += one.name();
  }
  return names;
}

}  // namespace omnibal::cli
