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
#include <utility>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Thrown when a problem or an option violates a precondition. `what()` is one line naming the
/// field, the index where there is one, the value, and what would be right:
/// `tokens[17] = -5: must not be negative`.
///
/// An infeasible problem is not an error: searches report it in their result.
class invalid_input : public std::invalid_argument {
 public:
  invalid_input(std::string_view field, std::string_view value, std::string_view advice)
      : invalid_input(std::nullopt, std::string(field), value, advice) {}

  template <std::integral Value>
  invalid_input(std::string_view field, Value value, std::string_view advice)
      : invalid_input(std::nullopt, std::string(field), std::to_string(value), advice) {}

  invalid_input(std::string_view field, std::size_t index, std::string_view value,
                std::string_view advice)
      : invalid_input(std::optional(index), std::string(field), value, advice) {}

  template <std::integral Value>
  invalid_input(std::string_view field, std::size_t index, Value value, std::string_view advice)
      : invalid_input(std::optional(index), std::string(field), std::to_string(value), advice) {}

  [[nodiscard]] const std::string& field() const noexcept { return field_; }
  [[nodiscard]] std::optional<std::size_t> index() const noexcept { return index_; }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }

 private:
  // The index is the first parameter so that no public call can select this overload.
  invalid_input(std::optional<std::size_t> index, std::string field, std::string_view value,
                std::string_view advice)
      : std::invalid_argument(line(field, index, value, advice)),
        field_(std::move(field)),
        index_(index),
        value_(value) {}

  static std::string line(const std::string& field, std::optional<std::size_t> index,
                          std::string_view value, std::string_view advice) {
    std::string text = field;
    if (index) text.append("[").append(std::to_string(*index)).append("]");
    return text.append(" = ").append(value).append(": ").append(advice);
  }

  std::string field_;
  std::optional<std::size_t> index_;
  std::string value_;
};

}  // namespace omnibal::inline v0
