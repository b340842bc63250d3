// SPDX-License-Identifier: Apache-2.0
#include "reports/text.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace omnibal::cli {
namespace {

/// The width of a word on a terminal: UTF-8 continuation bytes take none.
std::size_t width(std::string_view word) {
  return static_cast<std::size_t>(std::count_if(word.begin(), word.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string padding(std::string_view word, std::size_t wanted) {
  return std::string(wanted - std::min(wanted, width(word)), ' ');
}

std::string aligned(const std::vector<std::string>& row, const std::vector<std::size_t>& widths) {
  std::string line = row[0] + padding(row[0], widths[0]);
  for (std::size_t c = 1; c < row.size(); ++c) {
    line += "  ";
    line += padding(row[c], widths[c]);
    line += row[c];
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

/// Separates thousands before the decimal point.
std::string grouped(std::string_view digits) {
  const std::size_t end = std::min(digits.find('.'), digits.size());
  std::string text;
  for (std::size_t k = 0; k < digits.size(); ++k) {
    const bool after_digit = k > 0 && digits[k - 1] != '-';
    if (after_digit && k < end && (end - k) % 3 == 0) text += ',';
    text += digits[k];
  }
  return text;
}

/// Four significant digits, or all before the decimal point where they are more.
std::string float_text(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  const int magnitude = size > 0 ? static_cast<int>(std::floor(std::log10(size))) : 0;
  if (magnitude < -4 || magnitude > 14) return fmt::format("{:.3e}", value);
  return grouped(fmt::format("{:.{}f}", value, std::max(0, 3 - magnitude)));
}

std::string spaced(std::string key) {
  std::replace(key.begin(), key.end(), '_', ' ');
  return key;
}

struct text_line {
  std::string name;
  std::string value;
};

/// A line for each key; objects of objects become the lines of those.
void append_lines(const json& object, const std::string& prefix, std::vector<text_line>& lines) {
  for (const auto& [key, value] : object.items()) {
    const std::string name = prefix + spaced(key);
    const bool nested = value.is_object() && !value.empty() &&
                        std::all_of(value.begin(), value.end(),
                                    [](const json& element) { return element.is_object(); });
    if (nested)
      append_lines(value, name + ' ', lines);
    else
      lines.push_back({name, value_text(value)});
  }
}

}  // namespace

std::string text_table::to_string() const {
  std::vector<std::size_t> widths;
  for (const std::string& heading : headings) widths.push_back(width(heading));
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  std::string text = aligned(headings, widths);
  for (const auto& row : rows) text += aligned(row, widths);
  return text;
}

std::string value_text(const json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_float()) return float_text(value.get<double>());
  if (value.is_number()) return grouped(value.dump());
  if (value.is_string()) return value.get<std::string>();
  std::string text;
  for (const auto& [key, element] : value.items()) {
    if (!text.empty()) text += ", ";
    if (value.is_object()) text += spaced(key) + ' ';
    text += value_text(element);
  }
  return text.empty() ? "none" : text;
}

std::string percent(double share, int decimals) {
  return fmt::format("{:.{}f} %", 100 * share, decimals);
}

std::string describe(const json& report) {
  std::vector<text_line> lines;
  append_lines(report, "", lines);
  std::size_t widest = 0;
  for (const auto& [name, value] : lines) widest = std::max(widest, width(name));
  std::string text;
  for (const auto& [name, value] : lines) {
    text += name;
    text += padding(name, widest + 2);
    text += value + '\n';
  }
  return text;
}

}  // namespace omnibal::cli
