// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reads fields of JSON objects written by people, with errors that name the field.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>

#include "files/json.hpp"
#include "files/known_keys.hpp"
#include "options/units.hpp"

namespace omnibal::cli {

/// Reads the fields of one JSON object, with errors that name them.
class object_reader {
 public:
  object_reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) throw invalid_input(where_, json_text(object), "must be an object");
  }

  [[nodiscard]] const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  [[nodiscard]] const json& at(const char* key) const {
    const json* const found = find(key);
    if (found == nullptr) throw invalid_input(where_ + "." + key, "nothing", "is missing");
    return *found;
  }
  [[nodiscard]] std::int64_t integer(const char* key,
                                     std::optional<std::int64_t> otherwise = std::nullopt) const {
    if (otherwise && find(key) == nullptr) return *otherwise;
    const json& value = at(key);
    if (!value.is_number_integer())
      throw invalid_input(where_ + "." + key, json_text(value), "must be an integer");
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX})
      throw invalid_input(where_ + "." + key, json_text(value), "must be less than 2^63");
    return value.get<std::int64_t>();
  }
  [[nodiscard]] double number(const char* key) const {
    const json& value = at(key);
    if (!value.is_number())
      throw invalid_input(where_ + "." + key, json_text(value), "must be a number");
    return value.get<double>();
  }
  [[nodiscard]] std::optional<double> optional_number(const char* key) const {
    const json* const value = find(key);
    if (value == nullptr || value->is_null()) return std::nullopt;
    return number(key);
  }
  [[nodiscard]] bool flag(const char* key, bool otherwise) const {
    const json* const value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean())
      throw invalid_input(where_ + "." + key, json_text(*value), "must be true or false");
    return value->get<bool>();
  }
  [[nodiscard]] std::string text(const char* key, const std::string& otherwise) const {
    const json* const value = find(key);
    return value != nullptr && value->is_string() ? value->get<std::string>() : otherwise;
  }
  [[nodiscard]] object_reader object(const char* key) const {
    return {at(key), where_ + "." + key};
  }
  /// The objects of a list.
  [[nodiscard]] std::vector<object_reader> objects(const char* key) const {
    const json& list = at(key);
    if (!list.is_array())
      throw invalid_input(where_ + "." + key, json_text(list).substr(0, 80), "must be a list");
    std::vector<object_reader> readers;
    for (const json& element : list)
      readers.emplace_back(element,
                           where_ + "." + key + "[" + std::to_string(readers.size()) + "]");
    return readers;
  }
  /// Refuses keys other than these, suggesting the nearest: for files that programs write.
  void expect_keys(std::span<const std::string> known) const {
    for (const auto& [key, value] : object_.items())
      if (std::find(known.begin(), known.end(), key) == known.end())
        throw_not_among(where_, key, known);
  }
  /// As expect_keys(), but leaves annotations to their readers.
  void expect_known_keys(std::initializer_list<std::string_view> known) const {
    cli::expect_known_keys(object_, where_, known);
  }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }

 private:
  const json& object_;
  std::string where_;
};

}  // namespace omnibal::cli
