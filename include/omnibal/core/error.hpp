// SPDX-License-Identifier: Apache-2.0
/// @file
/// The exception for bad input. It names what is wrong and what would be right, so that a person
/// can correct it.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Thrown when a problem or an option violates a precondition. `what()` is one line naming the
/// field, its indices, the value, and what would be right: `tokens[17] = -5: must not be negative`.
/// The field is a parameter of the function that throws, or a member of one. Places of indices are
/// written `[]`: field `layers[].forward_time` with index 3 is `layers[3].forward_time` in
/// `what()`.
///
/// An infeasible problem is not an error: searches report it in their result.
class invalid_input : public std::invalid_argument {
 public:
  invalid_input(std::string_view field, std::string_view value, std::string_view advice)
      : invalid_input(in_full(), field, {}, value, advice) {}

  template <std::integral Value>
  invalid_input(std::string_view field, Value value, std::string_view advice)
      : invalid_input(in_full(), field, {}, std::to_string(value), advice) {}

  invalid_input(std::string_view field, std::size_t index, std::string_view value,
                std::string_view advice)
      : invalid_input(in_full(), field, {index}, value, advice) {}

  template <std::integral Value>
  invalid_input(std::string_view field, std::size_t index, Value value, std::string_view advice)
      : invalid_input(in_full(), field, {index}, std::to_string(value), advice) {}

  /// An index for each `[]` of the field, and more that follow it.
  invalid_input(std::string_view field, const std::vector<std::size_t>& indices,
                std::string_view value, std::string_view advice)
      : invalid_input(in_full(), field, indices, value, advice) {}

  template <std::integral Value>
  invalid_input(std::string_view field, const std::vector<std::size_t>& indices, Value value,
                std::string_view advice)
      : invalid_input(in_full(), field, indices, std::to_string(value), advice) {}

  /// As given, without the indices.
  [[nodiscard]] const std::string& field() const noexcept { return field_; }
  [[nodiscard]] const std::vector<std::size_t>& indices() const noexcept { return indices_; }
  /// The first one.
  [[nodiscard]] std::optional<std::size_t> index() const noexcept {
    return indices_.empty() ? std::nullopt : std::optional(indices_.front());
  }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }
  /// What would be right.
  [[nodiscard]] const std::string& advice() const noexcept { return advice_; }

 private:
  // The first parameter keeps public calls from selecting this overload.
  struct in_full {};

  invalid_input(in_full, std::string_view field, const std::vector<std::size_t>& indices,
                std::string_view value, std::string_view advice)
      : std::invalid_argument(
            with_indices(field, indices).append(" = ").append(value).append(": ").append(advice)),
        field_(field),
        indices_(indices),
        value_(value),
        advice_(advice) {}

  static std::string with_indices(std::string_view field, const std::vector<std::size_t>& indices) {
    std::string text(field);
    std::size_t from = 0;
    for (const std::size_t index : indices) {
      const std::size_t place = text.find("[]", from);
      std::string number = std::to_string(index).append("]");
      number.insert(number.begin(), 1, '[');
      if (place == std::string::npos) {
        text += number;
      } else {
        text.replace(place, 2, number);
        from = place + number.size();
      }
    }
    return text;
  }

  std::string field_;
  std::vector<std::size_t> indices_;
  std::string value_;
  std::string advice_;
};

}  // namespace omnibal::inline v0
