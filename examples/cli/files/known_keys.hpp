// SPDX-License-Identifier: Apache-2.0
/// @file
/// Files that people write have no key that nothing reads: a mistyped one would be ignored.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "files/json.hpp"

namespace omnibal::cli {

/// Whether any object may have this key, for its readers: id, kind, name, type, note, source,
/// checks, expected, reference_point, n_opt, and whatever begins with x_.
[[nodiscard]] bool is_annotation(std::string_view key);

/// Throws invalid_input naming the object and the first key that is neither among these nor an
/// annotation, and suggests the nearest. Values that are no objects are left to their readers.
void expect_known_keys(const json& object, const std::string& where,
                       std::initializer_list<std::string_view> known);

}  // namespace omnibal::cli
