// SPDX-License-Identifier: Apache-2.0
#include "case_input.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include <omnibal/core.hpp>

namespace omnibal::examples {

namespace {

std::string short_text(const json& value) {
  std::string text = value.dump();
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

std::string place(const std::string& name, std::size_t index) {
  return name + "[" + std::to_string(index) + "]";
}

const json& need_list(const json& value, const std::string& name) {
  if (!value.is_array()) throw malformed_case(name, short_text(value), "must be a list");
  return value;
}

integers to_integers(const json& value, const std::string& name) {
  integers numbers;
  for (const json& entry : need_list(value, name))
    numbers.push_back(to_integer(entry, place(name, numbers.size())));
  return numbers;
}

float to_float(const json& value, const std::string& name) {
  if (!value.is_number()) throw malformed_case(name, short_text(value), "must be a number");
  return static_cast<float>(value.get<double>());
}

std::string joined(std::initializer_list<const char*> names) {
  std::string text;
  for (const char* name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

}  // namespace

std::int64_t to_integer(const json& value, const std::string& name) {
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() >
          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw malformed_case(name, short_text(value), "must be less than 2^63");
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (number == std::floor(number) && std::abs(number) <= 9007199254740992.0)
      return static_cast<std::int64_t>(number);
  }
  throw malformed_case(name, short_text(value), "must be a whole number");
}

case_input::case_input(const json& values, std::initializer_list<const char*> known)
    : values_(values) {
  if (!values.is_object()) throw malformed_case("in", short_text(values), "must be an object");
  for (const auto& [name, value] : values.items()) {
    const std::string_view given = name;
    if (std::none_of(known.begin(), known.end(), [&](const char* one) { return given == one; }))
      throw malformed_case(name, short_text(value),
                           "is no input of this operation, which has " + joined(known));
  }
}

bool case_input::has(const char* name) const {
  const auto found = values_.find(name);
  return found != values_.end() && !found->is_null();
}

const json& case_input::value(const char* name) const {
  if (!has(name)) throw malformed_case(name, "null", "must be given");
  return *values_.find(name);
}

std::int64_t case_input::integer(const char* name) const { return to_integer(value(name), name); }

std::int64_t case_input::integer_or(const char* name, std::int64_t otherwise) const {
  return has(name) ? integer(name) : otherwise;
}

float case_input::number_or(const char* name, float otherwise) const {
  return has(name) ? to_float(value(name), name) : otherwise;
}

bool case_input::boolean(const char* name) const {
  if (!value(name).is_boolean())
    throw malformed_case(name, short_text(value(name)), "must be true or false");
  return value(name).get<bool>();
}

std::string case_input::text(const char* name) const {
  if (!value(name).is_string()) throw malformed_case(name, short_text(value(name)), "must be text");
  return value(name).get<std::string>();
}

integers case_input::list(const char* name) const { return to_integers(value(name), name); }

std::vector<float> case_input::numbers_or_none(const char* name) const {
  std::vector<float> numbers;
  if (!has(name)) return numbers;
  for (const json& entry : need_list(value(name), name))
    numbers.push_back(to_float(entry, place(name, numbers.size())));
  return numbers;
}

std::vector<integers> case_input::lists(const char* name) const {
  std::vector<integers> all;
  for (const json& entry : need_list(value(name), name))
    all.push_back(to_integers(entry, place(name, all.size())));
  return all;
}

std::vector<std::uint8_t> case_input::flags(const char* name) const {
  std::vector<std::uint8_t> all;
  for (const json& entry : need_list(value(name), name)) {
    const std::int64_t flag = entry.is_boolean() ? (entry.get<bool>() ? 1 : 0)
                                                 : to_integer(entry, place(name, all.size()));
    if (flag != 0 && flag != 1) throw invalid_input(name, all.size(), flag, "must be 0 or 1");
    all.push_back(static_cast<std::uint8_t>(flag));
  }
  return all;
}

std::vector<indices::image_grid> case_input::grids(const char* name) const {
  std::vector<indices::image_grid> all;
  if (!has(name)) return all;
  for (const integers& grid : lists(name)) {
    if (grid.size() != 3)
      throw invalid_input(name, all.size(), grid.size(), "numbers are given: must be 3, t h w");
    for (const std::int64_t side : grid)
      if (side < 0 || side > std::numeric_limits<std::int32_t>::max())
        throw invalid_input(name, all.size(), side, "must be at least 0 and at most 2147483647");
    all.push_back({static_cast<std::int32_t>(grid[0]), static_cast<std::int32_t>(grid[1]),
                   static_cast<std::int32_t>(grid[2])});
  }
  return all;
}

}  // namespace omnibal::examples
