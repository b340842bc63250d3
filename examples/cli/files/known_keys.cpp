// SPDX-License-Identifier: Apache-2.0
#include "files/known_keys.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "options/units.hpp"

namespace omnibal::cli {

bool is_annotation(std::string_view key) {
  constexpr std::array<std::string_view, 10> annotations = {
      "id",   "kind", "name", "type", "note", "source", "checks", "expected", "reference_point",
      "n_opt"};
  return key.starts_with("x_") || std::ranges::find(annotations, key) != annotations.end();
}

void expect_known_keys(const json& object, const std::string& where,
                       std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return;
  for (const auto& [key, value] : object.items()) {
    if (is_annotation(key) || std::ranges::find(known, key) != known.end()) continue;
    throw_not_among(where + ": key", key, std::vector<std::string>(known.begin(), known.end()));
  }
}

}  // namespace omnibal::cli
