// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a sub-command says: one JSON object, or a text for people made from that same object.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "commands/commands.hpp"
#include "files/json.hpp"

namespace omnibal::cli {

/// A grid of words: a row of headings, then rows of as many cells. The first column is aligned to
/// the left, the others to the right.
struct text_table {
  std::vector<std::string> headings;
  std::vector<std::vector<std::string>> rows = {};

  [[nodiscard]] std::string to_string() const;
};

/// A value for people: numbers with four significant digits at least and thousands apart, words
/// as they are, a list as its values with commas between, "-" for null.
[[nodiscard]] std::string value_text(const json& value);

/// A share of a whole in percent.
[[nodiscard]] std::string percent(double share, int decimals = 0);

/// The plain text of an object: a line "name  value" for each key, nested objects as
/// "key value, key value", objects of objects as a line for each of those. Underscores in keys
/// become spaces.
[[nodiscard]] std::string describe(const json& report);

/// Prints the report on standard output in the format asked for. Throws unwritable_output.
void print_report(const command_context& context, const json& report,
                  const std::function<std::string(const json&)>& to_text = describe);

}  // namespace omnibal::cli
