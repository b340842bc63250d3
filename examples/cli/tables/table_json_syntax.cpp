// SPDX-License-Identifier: Apache-2.0
// Reads JSON tables event by event, which is slow, but knows at each step what should be there.
#include <array>
#include <iterator>
#include <optional>

#include <omnibal/core/error.hpp>

#include "files/json.hpp"
#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

/// Walks over bytes and leaves behind how far it came: the parser does not say.
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

/// Receives the parser's events and turns objects into loads.
template <std::size_t Resources>
class table_reader final : public nlohmann::json_sax<json> {
 public:
  table_reader(json_kind kind, const table_text& table, load_table<Resources>& samples)
      : record_depth_(kind == json_kind::list ? 1 : 0),
        table_(table),
        samples_(samples),
        before_(samples.size()) {}

  /// Reads one JSON value, the whole table or a line of it.
  void read(std::string_view text) {
    record_begin_ = reached_ = text.data();
    const tracked_iterator begin(text.data(), &reached_);
    const tracked_iterator end(text.data() + text.size(), &reached_);
    json::sax_parse(begin, end, this);
  }

  bool null() override { return scalar(); }
  bool boolean(bool) override { return scalar(); }
  bool string(std::string&) override { return scalar(); }
  bool binary(json::binary_t&) override { return scalar(); }
  bool number_integer(std::int64_t value) override { return number(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) override { return number(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return number(text); }

  bool start_object(std::size_t) override {
    if (depth_ < record_depth_) refuse_table();
    if (depth_ == record_depth_) {
      record_begin_ = reached_ - 1;
      found_.fill(std::nullopt);
    }
    return start();
  }

  bool start_array(std::size_t) override {
    if (depth_ == record_depth_) refuse_record(reached_ - 1, "must be an object of named numbers");
    return start();
  }

  bool key(std::string& name) override {
    if (depth_ != record_depth_ + 1) return true;
    for (resource_ = 0; resource_ < Resources; ++resource_)
      if (table_.resources[resource_].column == name) break;
    if (resource_ < Resources && found_[resource_])
      refuse_record(record_begin_, "says " + name + " twice");
    return true;
  }

  bool end_array() override {
    --depth_;
    return true;
  }

  bool end_object() override {
    if (--depth_ == record_depth_) finish_record();
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    constexpr std::ptrdiff_t shown = 40;
    const char* const begin = std::max(record_begin_, reached_ - shown);
    throw invalid_input(field_at(reached_, "record"), record(),
                        excerpt({begin, static_cast<std::size_t>(reached_ - begin)}),
                        "is not JSON: " + parser_words(error));
  }

 private:
  bool scalar() {
    if (depth_ < record_depth_) refuse_table();
    if (depth_ == record_depth_) refuse_record(reached_, "must be an object of named numbers");
    if (at_resource()) refuse_value();
    return true;
  }

  bool number(const std::string& text) {
    if (depth_ <= record_depth_) return scalar();
    if (!at_resource()) return true;
    found_[resource_] = parse_load(text);
    if (!found_[resource_])
      refuse_load(text, field_at(reached_ - 1, table_.resources[resource_].column), record());
    return true;
  }

  bool start() {
    if (at_resource()) refuse_value();
    ++depth_;
    return true;
  }

  void finish_record() {
    loads<Resources> sample;
    for (std::size_t r = 0; r < Resources; ++r) {
      if (!found_[r]) refuse_record(record_begin_, "lacks " + table_.resources[r].column);
      sample[r] = *found_[r];
    }
    samples_.push_back(sample);
  }

  /// Whether what comes now is the value of a resource.
  [[nodiscard]] bool at_resource() const {
    return depth_ == record_depth_ + 1 && resource_ < Resources;
  }

  /// The record at hand, counted from 0 in its file.
  [[nodiscard]] std::size_t record() const { return samples_.size() - before_; }

  [[nodiscard]] std::string field_at(const char* where, std::string_view field) const {
    return table_.field_at(table_.line_of(static_cast<std::size_t>(where - table_.bytes.data())),
                           field);
  }

  [[noreturn]] void refuse_table() const {
    throw invalid_input(table_.name, excerpt(table_.bytes), "must be a list of objects");
  }

  [[noreturn]] void refuse_record(const char* where, const std::string& advice) const {
    const auto offset = static_cast<std::size_t>(where - table_.bytes.data());
    throw invalid_input(field_at(where, "record"), record(), excerpt(table_.bytes.substr(offset)),
                        advice);
  }

  [[noreturn]] void refuse_value() const {
    const std::string& column = table_.resources[resource_].column;
    refuse_record(record_begin_, "must hold an integer as " + column);
  }

  int record_depth_;  ///< How many lists are open around a record.
  const table_text& table_;
  load_table<Resources>& samples_;
  std::size_t before_;

  int depth_ = 0;                     ///< How many lists and objects are open.
  std::size_t resource_ = Resources;  ///< Of the last key of the record at hand.
  std::array<std::optional<std::int64_t>, Resources> found_ = {};
  const char* reached_ = nullptr;  ///< The parser may be one byte ahead of its events.
  const char* record_begin_ = nullptr;
};

}  // namespace

template <std::size_t Resources>
void append_json_or_explain(json_kind kind, const table_text& table,
                            load_table<Resources>& samples) {
  table_reader<Resources> reader(kind, table, samples);
  if (kind == json_kind::list) return reader.read(table.bytes);
  std::string_view rest = table.bytes;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) reader.read(line);
  }
}

template <std::size_t Resources>
void append_json(json_kind kind, const table_text& table, load_table<Resources>& samples) {
  if (append_uniform_json(kind, table, samples) || append_sound_json(kind, table, samples)) return;
  append_json_or_explain(kind, table, samples);
}

template void append_json(json_kind, const table_text&, load_table<1>&);
template void append_json(json_kind, const table_text&, load_table<2>&);
template void append_json(json_kind, const table_text&, load_table<3>&);

}  // namespace omnibal::cli
