// SPDX-License-Identifier: Apache-2.0
// Finds out where the text of a table is not valid JSON, and why: with a parser that is slow, but
// knows what is expected at every position.
#include <algorithm>
#include <iterator>

#include <omnibal/core/error.hpp>

#include "files/json.hpp"
#include "tables/json_lines.hpp"
#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

/// Iterates over bytes and records how far it came, which the parser does not report.
class tracked_iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  tracked_iterator(const char* at, const char** reached) : at_(at), reached_(reached) {}

  reference operator*() const { return *at_; }
  tracked_iterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  friend bool operator==(const tracked_iterator& left, const tracked_iterator& right) {
    return left.at_ == right.at_;
  }

 private:
  const char* at_;
  const char** reached_;
};

/// Receives the parser's events and counts the records that they belong to.
class syntax_checker final : public nlohmann::json_sax<json> {
 public:
  syntax_checker(json_kind kind, const table_text& table, std::size_t last_record)
      : record_depth_(kind == json_kind::list ? 1 : 0), table_(table), last_record_(last_record) {}

  /// Checks one JSON value, the whole table or a line of it. Returns whether to go on.
  bool check(std::string_view text) {
    record_begin_ = reached_ = text.data();
    const tracked_iterator begin(text.data(), &reached_);
    const tracked_iterator end(text.data() + text.size(), &reached_);
    return json::sax_parse(begin, end, this);
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(json::binary_t&) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool key(std::string&) override { return true; }
  bool start_array(std::size_t) override { return start(); }
  bool end_array() override { return end(); }
  bool start_object(std::size_t) override { return start(); }
  bool end_object() override { return end(); }

  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    constexpr std::ptrdiff_t shown = 40;
    const char* const begin = std::max(record_begin_, reached_ - shown);
    const auto offset = static_cast<std::size_t>(reached_ - table_.bytes.data());
    throw invalid_input(table_.field_at(table_.line_of(offset), "record"), record_,
                        excerpt({begin, static_cast<std::size_t>(reached_ - begin)}),
                        "is not JSON: " + parser_words(error));
  }

 private:
  bool start() {
    // The parser may be one byte ahead of its events, but not at a bracket.
    if (depth_ == record_depth_) record_begin_ = reached_ - 1;
    ++depth_;
    return true;
  }

  bool end() {
    if (--depth_ == record_depth_) ++record_;
    return record_ <= last_record_;
  }

  int record_depth_;  ///< How many lists are open around a record.
  const table_text& table_;
  std::size_t last_record_;

  int depth_ = 0;  ///< How many lists and objects are open.
  std::size_t record_ = 0;
  const char* reached_ = nullptr;
  const char* record_begin_ = nullptr;
};

}  // namespace

void expect_json(json_kind kind, const table_text& table, std::size_t last_record) {
  syntax_checker checker(kind, table, last_record);
  if (kind == json_kind::list) {
    checker.check(table.bytes);
    return;
  }
  bool going_on = true;
  for_each_line(table.bytes,
                [&](std::string_view line) { going_on = going_on && checker.check(line); });
}

}  // namespace omnibal::cli
