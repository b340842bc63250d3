// SPDX-License-Identifier: Apache-2.0
#include "tables/table_formats.hpp"

#include <algorithm>
#include <charconv>

#include <omnibal/core/error.hpp>

#include "options/one_line.hpp"

namespace omnibal::cli {

std::size_t table_text::line_of(std::size_t offset) const {
  const auto begin = bytes.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(std::min(offset, bytes.size()));
  return 1 + static_cast<std::size_t>(std::count(begin, end, '\n'));
}

std::string table_text::field_at(std::size_t line, std::string_view field) const {
  return name + ':' + std::to_string(line) + ": " + std::string(field);
}

std::optional<std::int64_t> parse_load(std::string_view characters) {
  std::int64_t load = 0;
  const char* const end = characters.data() + characters.size();
  const auto [stop, error] = std::from_chars(characters.data(), end, load);
  if (error != std::errc() || stop != end || load < 0) return std::nullopt;
  return load;
}

void refuse_load(std::string_view characters, std::string_view field, std::size_t record) {
  const bool negative = characters.starts_with('-') && parse_load(characters.substr(1));
  throw invalid_input(
      field, record, excerpt(characters),
      negative ? "must not be negative" : "must be an integer from 0 to 9223372036854775807");
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t longest = 40;
  if (text.empty()) return "nothing";
  // A message ends at a zero byte, so none may get into it.
  return one_line(text.substr(0, longest)) + (text.size() > longest ? "..." : "");
}

}  // namespace omnibal::cli
