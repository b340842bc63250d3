// SPDX-License-Identifier: Apache-2.0
/// @file
/// Values, tables and objects as text for people.
#pragma once

#include <string>
#include <vector>

#include "files/json.hpp"

namespace omnibal::cli {

/// A grid of words: a row of headings, then rows of as many cells. The first column is aligned to
/// the left, the others to the right.
struct text_table {
  std::vector<std::string> headings;
  std::vector<std::vector<std::string>> rows = {};

  [[nodiscard]] std::string to_string() const;
};

/// A value for people: numbers with at least four significant digits and thousands separated, words
/// as they are, a list as its values with commas between, "-" for null.
[[nodiscard]] std::string value_text(const json& value);

/// A share of a whole in percent.
[[nodiscard]] std::string percent(double share, int decimals = 0);

/// The plain text of an object: a line "name  value" for each key, nested objects as
/// "key value, key value", objects of objects as a line for each of those. Underscores in keys
/// become spaces.
[[nodiscard]] std::string describe(const json& report);

}  // namespace omnibal::cli
