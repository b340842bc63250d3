// SPDX-License-Identifier: Apache-2.0
/// @file
/// The input of a case: named values, read with errors that name them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>

namespace omnibal::examples {

using json = nlohmann::ordered_json;
using integers = std::vector<std::int64_t>;

/// An input that is missing, unknown or of the wrong kind: a fault of the file, where a value that
/// is not legal is a refusal, which is an answer.
class malformed_case : public invalid_input {
 public:
  using invalid_input::invalid_input;
};

class case_input {
 public:
  /// Throws invalid_input for a name that is not in `known`.
  case_input(const json& values, std::initializer_list<const char*> known);

  /// Whether a value is given and not null.
  [[nodiscard]] bool has(const char* name) const;
  /// Values that are there; throw invalid_input where they are not, or are of another kind.
  [[nodiscard]] std::int64_t integer(const char* name) const;
  [[nodiscard]] std::int64_t integer_or(const char* name, std::int64_t otherwise) const;
  [[nodiscard]] float number_or(const char* name, float otherwise) const;
  [[nodiscard]] bool boolean(const char* name) const;
  [[nodiscard]] std::string text(const char* name) const;
  [[nodiscard]] integers list(const char* name) const;
  [[nodiscard]] std::vector<float> numbers_or_none(const char* name) const;
  [[nodiscard]] std::vector<integers> lists(const char* name) const;
  /// 0 and 1, also as false and true.
  [[nodiscard]] std::vector<std::uint8_t> flags(const char* name) const;
  [[nodiscard]] std::vector<indices::image_grid> grids(const char* name) const;

 private:
  [[nodiscard]] const json& value(const char* name) const;
  const json& values_;
};

/// A whole number that int64 holds.
[[nodiscard]] std::int64_t to_integer(const json& value, const std::string& name);

}  // namespace omnibal::examples
