// SPDX-License-Identifier: Apache-2.0
// A program that writes a table writes every record alike. So the text between the numbers is
// taken from the first record, and all others are compared with it: a few bytes per number, instead
// of a parse.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Reads from the front of a text that is followed by readable bytes which are no digits.
class text_cursor {
 public:
  explicit text_cursor(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  [[nodiscard]] const char* at() const { return at_; }
  [[nodiscard]] bool done() const { return at_ == end_; }

  bool take(std::string_view expected) {
    if (static_cast<std::size_t>(end_ - at_) < expected.size() ||
        std::memcmp(at_, expected.data(), expected.size()) != 0)
      return false;
    at_ += expected.size();
    return true;
  }

  void take_spaces() {
    while (at_ != end_ && is_space(*at_)) ++at_;
  }

  /// A JSON integer of at most 18 digits, which cannot overflow.
  bool take_integer(std::int64_t& value) {
    const char* const begin = at_;
    const char* const longest = at_ + std::min<std::ptrdiff_t>(18, end_ - at_);
    for (value = 0; at_ != longest && *at_ >= '0' && *at_ <= '9'; ++at_)
      value = value * 10 + (*at_ - '0');
    const auto digits = at_ - begin;
    return digits == 1 || (digits > 1 && *begin != '0');
  }

  /// A JSON string of plain characters, without its quotes.
  std::optional<std::string_view> take_plain_string() {
    if (!take("\"")) return std::nullopt;
    const char* const begin = at_;
    while (at_ != end_ && *at_ >= ' ' && *at_ <= '~' && *at_ != '"' && *at_ != '\\') ++at_;
    const std::string_view text(begin, static_cast<std::size_t>(at_ - begin));
    return take("\"") ? std::optional(text) : std::nullopt;
  }

 private:
  const char* at_;
  const char* end_;
};

/// A number of a record: the text before it, and the resource it is of, if any.
struct number_slot {
  std::string_view before;
  std::size_t resource;
};

/// The layout that all records of a table share.
struct record_layout {
  std::vector<number_slot> numbers = {};
  std::string_view after = {};  ///< From the last number to the closing brace.
  std::string_view joint = {};  ///< From there to the first number of the next record.
};

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

std::size_t resource_of(std::string_view key, std::span<const resource_column> resources) {
  const auto found = std::find_if(resources.begin(), resources.end(),
                                  [&](const auto& resource) { return resource.column == key; });
  return static_cast<std::size_t>(found - resources.begin());
}

/// Every resource has one number, and no two.
bool complete(const record_layout& layout, std::size_t resources) {
  std::vector<int> seen(resources + 1);
  for (const number_slot& number : layout.numbers) ++seen[number.resource];
  return std::all_of(seen.begin(), seen.end() - 1, [](int count) { return count == 1; });
}

/// The layout of the record at the cursor, which is moved past it.
std::optional<record_layout> learn_layout(text_cursor& cursor,
                                          std::span<const resource_column> resources) {
  record_layout layout;
  const char* begin = cursor.at();
  if (!cursor.take("{")) return std::nullopt;
  do {
    cursor.take_spaces();
    const auto key = cursor.take_plain_string();
    cursor.take_spaces();
    if (!key || !cursor.take(":")) return std::nullopt;
    cursor.take_spaces();
    layout.numbers.push_back({between(begin, cursor.at()), resource_of(*key, resources)});
    if (std::int64_t number; !cursor.take_integer(number)) return std::nullopt;
    begin = cursor.at();
    cursor.take_spaces();
  } while (cursor.take(","));
  if (!cursor.take("}") || !complete(layout, resources.size())) return std::nullopt;
  layout.after = between(begin, cursor.at());
  return layout;
}

/// Moves from the end of a record to the start of the next. Returns whether there is one.
bool take_separator(json_kind kind, text_cursor& cursor) {
  const char* const begin = cursor.at();
  cursor.take_spaces();
  if (kind == json_kind::lines)
    return between(begin, cursor.at()).find('\n') != std::string_view::npos && !cursor.done();
  if (!cursor.take(",")) return false;
  cursor.take_spaces();
  return true;
}

/// The joint of two records, the first of which ends at the cursor. Empty where there is only one.
std::string_view learn_joint(json_kind kind, text_cursor cursor, const record_layout& layout) {
  const char* const begin = cursor.at() - layout.after.size();
  if (!take_separator(kind, cursor) || !cursor.take(layout.numbers.front().before)) return {};
  return between(begin, cursor.at());
}

bool take_end(json_kind kind, text_cursor& cursor) {
  cursor.take_spaces();
  if (kind == json_kind::list && !cursor.take("]")) return false;
  cursor.take_spaces();
  return cursor.done();
}

/// The least number of bytes that a further record takes.
std::size_t shortest_record(const record_layout& layout) {
  std::size_t bytes = layout.joint.size() + layout.numbers.size();
  for (std::size_t k = 1; k < layout.numbers.size(); ++k) bytes += layout.numbers[k].before.size();
  return bytes;
}

/// Reads the rest of a record whose first number is at the cursor, up to its last number.
template <std::size_t Resources>
bool take_numbers(const record_layout& layout, text_cursor& cursor, loads<Resources>& sample) {
  std::array<std::int64_t, Resources + 1> values;  // the last is for what is no resource
  for (std::size_t k = 0; k < layout.numbers.size(); ++k) {
    const number_slot& number = layout.numbers[k];
    if (k > 0 && !cursor.take(number.before)) return false;
    if (!cursor.take_integer(values[number.resource])) return false;
  }
  std::copy_n(values.begin(), Resources, sample.begin());
  return true;
}

/// Reads all records from the first, at the cursor, to the end of the text.
template <std::size_t Resources>
bool take_records(json_kind kind, const record_layout& layout, text_cursor& cursor,
                  load_table<Resources>& samples) {
  if (!cursor.take(layout.numbers.front().before)) return false;
  loads<Resources> sample;
  do {
    if (!take_numbers(layout, cursor, sample)) return false;
    samples.push_back(sample);
  } while (!layout.joint.empty() && cursor.take(layout.joint));
  return cursor.take(layout.after) && take_end(kind, cursor);
}

}  // namespace

template <std::size_t Resources>
bool append_uniform_json(json_kind kind, const table_text& table, load_table<Resources>& samples) {
  text_cursor cursor(table.bytes);
  cursor.take_spaces();
  if (kind == json_kind::list && !cursor.take("[")) return false;
  cursor.take_spaces();
  text_cursor after_first = cursor;
  auto layout = learn_layout(after_first, table.resources);
  if (!layout) return false;
  layout->joint = learn_joint(kind, after_first, *layout);
  const std::size_t before = samples.size();
  samples.reserve(before + 1 + table.bytes.size() / shortest_record(*layout));
  if (take_records(kind, *layout, cursor, samples)) return true;
  samples.resize(before);
  return false;
}

template bool append_uniform_json(json_kind, const table_text&, load_table<1>&);
template bool append_uniform_json(json_kind, const table_text&, load_table<2>&);
template bool append_uniform_json(json_kind, const table_text&, load_table<3>&);

}  // namespace omnibal::cli
