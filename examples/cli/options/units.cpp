// SPDX-License-Identifier: Apache-2.0
#include "options/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

#include "options/nearest.hpp"

namespace omnibal::cli {
namespace {

std::string range_advice(integer_range range) {
  const bool open = range.most == std::numeric_limits<std::int64_t>::max();
  return "must be an integer " +
         (open ? "of at least " + std::to_string(range.least)
               : "from " + std::to_string(range.least) + " to " + std::to_string(range.most));
}

struct byte_unit {
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::array byte_units = {
    byte_unit{"", 1},
    byte_unit{"B", 1},
    byte_unit{"kB", 1'000},
    byte_unit{"MB", 1'000'000},
    byte_unit{"GB", 1'000'000'000},
    byte_unit{"TB", 1'000'000'000'000},
    byte_unit{"KiB", std::int64_t{1} << 10},
    byte_unit{"MiB", std::int64_t{1} << 20},
    byte_unit{"GiB", std::int64_t{1} << 30},
    byte_unit{"TiB", std::int64_t{1} << 40},
};

/// The product when it is a whole number that fits.
std::optional<std::int64_t> whole_product(decimal number, std::int64_t factor) {
  const wide_integer product = wide_integer{number.digits} * factor;
  if (product % number.scale != 0) return std::nullopt;
  const wide_integer whole = product / number.scale;
  if (whole > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return static_cast<std::int64_t>(whole);
}

}  // namespace

std::optional<decimal> parse_decimal(std::string_view text) {
  decimal number;
  bool after_point = false;
  bool any_digit = false;
  for (const char c : text) {
    if (c == '.' && !after_point) {
      after_point = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    any_digit = true;
    const auto shifted = try_multiply<std::int64_t>(number.digits, 10);
    const auto sum = shifted ? try_add<std::int64_t>(*shifted, c - '0') : std::nullopt;
    const auto scale = try_multiply<std::int64_t>(number.scale, after_point ? 10 : 1);
    if (!sum || !scale) return std::nullopt;
    number = {*sum, *scale};
  }
  return any_digit ? std::optional(number) : std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::int64_t parse_integer(std::string_view option, std::string_view text, integer_range range) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < range.least ||
      value > range.most)
    throw invalid_input(option, text, range_advice(range));
  return value;
}

fraction parse_fraction(std::string_view option, std::string_view text) {
  constexpr std::int64_t finest = 1'000'000'000;
  const auto number = parse_decimal(text);
  if (!number || number->digits > number->scale || number->scale > finest)
    throw invalid_input(option, text, "must be a number from 0 to 1 with at most nine decimals");
  return {static_cast<std::uint32_t>(number->digits), static_cast<std::uint32_t>(number->scale)};
}

double parse_share(std::string_view option, std::string_view text) {
  const bool percent = text.ends_with('%');
  const std::optional<decimal> number = parse_decimal(text.substr(0, text.size() - percent));
  const std::int64_t whole = percent ? 100 : 1;
  if (!number || number->digits > whole * number->scale)
    throw invalid_input(option, text, "must be a share from 0 to 1, as in 0.1 or 10%");
  return static_cast<double>(number->digits) / static_cast<double>(number->scale * whole);
}

double parse_ratio(std::string_view option, std::string_view text) {
  const bool percent = text.ends_with('%');
  try {
    return parse_number(option, text.substr(0, text.size() - percent)) / (percent ? 100 : 1);
  } catch (const invalid_input&) {
    throw invalid_input(option, text, "must be a share of at least 0, as in 0.1 or 10%");
  }
}

double parse_number(std::string_view option, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value < 0)
    throw invalid_input(option, text, "must be a number of at least 0");
  return value;
}

std::int64_t parse_bytes(std::string_view option, std::string_view text, std::int64_t least) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view unit_name = text.substr(digits);
  const auto unit = std::find_if(byte_units.begin(), byte_units.end(),
                                 [&](const byte_unit& known) { return known.name == unit_name; });
  const auto number = parse_decimal(text.substr(0, digits));
  if (unit == byte_units.end() || !number)
    throw invalid_input(option, text, "must be bytes like 1024, 80GiB, 1.5GiB or 6GB");
  if (const auto bytes = whole_product(*number, unit->bytes)) {
    if (*bytes < least)
      throw invalid_input(option, text, "must be at least " + std::to_string(least));
    return *bytes;
  }
  throw invalid_input(option, text, "must be a whole number of bytes below 2^63");
}

std::vector<std::optional<std::int64_t>> parse_some_amounts(std::string_view option,
                                                            std::string_view text,
                                                            std::span<const std::string> resources,
                                                            integer_range range) {
  std::vector<std::optional<std::int64_t>> amounts(resources.size());
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos)
      throw invalid_input(option, text, "must be amounts like images=9,tokens=4096");
    const std::string name(part.substr(0, equals));
    const auto resource = std::find(resources.begin(), resources.end(), name);
    if (resource == resources.end())
      throw_not_among(std::string(option) + " " + name, name, resources);
    auto& amount = amounts[static_cast<std::size_t>(resource - resources.begin())];
    if (amount) throw invalid_input(option, text, "names " + name + " twice");
    amount = parse_integer(std::string(option) + " " + name, part.substr(equals + 1), range);
  }
  return amounts;
}

std::vector<std::int64_t> parse_amounts(std::string_view option, std::string_view text,
                                        std::span<const std::string> resources,
                                        integer_range range) {
  const auto some = parse_some_amounts(option, text, resources, range);
  std::vector<std::int64_t> amounts;
  for (std::size_t r = 0; r < some.size(); ++r) {
    if (!some[r]) throw invalid_input(option, text, "must also name " + resources[r]);
    amounts.push_back(*some[r]);
  }
  return amounts;
}

void throw_not_among(std::string_view option, std::string_view text,
                     std::span<const std::string> names) {
  std::string advice = "must be one of ";
  for (std::size_t i = 0; i < names.size(); ++i) advice += (i == 0 ? "" : ", ") + names[i];
  if (const auto near = nearest(text, names)) advice += "; did you mean " + *near + "?";
  throw invalid_input(option, text, advice);
}

}  // namespace omnibal::cli
