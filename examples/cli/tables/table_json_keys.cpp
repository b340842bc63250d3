// SPDX-License-Identifier: Apache-2.0
// Reads the field of JSON tables that names samples, from tables whose loads were read before.
#include <algorithm>
#include <optional>

#include <omnibal/core/error.hpp>

#include "files/json.hpp"
#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

/// Receives the parser's events and keeps the keys of records.
class key_reader final : public nlohmann::json_sax<json> {
 public:
  key_reader(json_kind kind, const table_text& table, const std::string& column,
             std::vector<std::string>& keys)
      : record_depth_(kind == json_kind::list ? 1 : 0),
        table_(table),
        column_(column),
        keys_(keys),
        before_(keys.size()) {}

  /// Reads one JSON value, the whole table or a line of it.
  void read(std::string_view text) { json::sax_parse(text.begin(), text.end(), this); }

  bool null() override { return other("null"); }
  bool boolean(bool value) override { return other(value ? "true" : "false"); }
  bool binary(json::binary_t&) override { return other("bytes"); }
  bool number_float(double, const std::string& text) override { return other(text); }
  bool number_integer(std::int64_t value) override { return key_text(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) override { return key_text(std::to_string(value)); }
  bool string(std::string& value) override { return key_text(value); }

  bool start_object(std::size_t) override {
    if (depth_ == record_depth_) found_.reset();
    return start("an object");
  }
  bool start_array(std::size_t) override { return start("a list"); }

  bool key(std::string& name) override {
    if (depth_ != record_depth_ + 1) return true;
    at_key_ = name == column_;
    if (at_key_ && found_) refuse(*found_, "is not all: the record says " + column_ + " twice");
    return true;
  }

  bool end_array() override {
    --depth_;
    return true;
  }

  bool end_object() override {
    if (--depth_ != record_depth_) return true;
    if (!found_) refuse("nothing", "is missing: --key needs it of every sample");
    keys_.push_back(*std::move(found_));
    return true;
  }

  bool parse_error(std::size_t, const std::string& last, const json::exception& error) override {
    refuse(excerpt(last), "is not JSON: " + parser_words(error));
  }

 private:
  [[nodiscard]] bool at_value() const { return depth_ == record_depth_ + 1 && at_key_; }

  bool key_text(std::string text) {
    if (!at_value()) return true;
    if (text.empty()) refuse("nothing", key_advice);
    found_ = std::move(text);
    return true;
  }

  bool other(const std::string& text) {
    if (at_value()) refuse(excerpt(text), key_advice);
    return true;
  }

  bool start(const std::string& what) {
    other(what);
    ++depth_;
    return true;
  }

  [[noreturn]] void refuse(const std::string& value, const std::string& advice) const {
    throw invalid_input(table_.name + ": " + column_, keys_.size() - before_, value, advice);
  }

  int record_depth_;  ///< How many lists are open around a record.
  const table_text& table_;
  const std::string& column_;
  std::vector<std::string>& keys_;
  std::size_t before_;

  int depth_ = 0;  ///< How many lists and objects are open.
  bool at_key_ = false;
  std::optional<std::string> found_ = {};
};

}  // namespace

void append_json_keys(json_kind kind, const table_text& table, const std::string& column,
                      std::vector<std::string>& keys) {
  key_reader reader(kind, table, column, keys);
  if (kind == json_kind::list) return reader.read(table.bytes);
  std::string_view rest = table.bytes;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) reader.read(line);
  }
}

}  // namespace omnibal::cli
