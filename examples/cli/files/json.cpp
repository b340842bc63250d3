// SPDX-License-Identifier: Apache-2.0
#include "files/json.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>

#include "errors.hpp"
#include "files/files.hpp"

namespace omnibal::cli {
namespace {

std::size_t line_of(std::string_view text, std::size_t offset) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), end, '\n'));
}

/// Far more than any file needs, and few enough for functions that call themselves.
constexpr std::size_t deepest = 64;

/// Builds the value that a parser reads. Throws where an object repeats a key, and where values are
/// nested too deeply. The builder of the parser takes time that grows with the square of a list of
/// objects once it is given a callback to check these.
class value_builder {
 public:
  value_builder(const std::string& path, json& root) : path_(path), root_(root) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(json::number_integer_t value) { return add(value); }
  bool number_unsigned(json::number_unsigned_t value) { return add(value); }
  bool number_float(json::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(json::binary_t& value) { return add(std::move(value)); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_array() { return close(); }
  bool start_object(std::size_t) {
    keys_.emplace_back();
    return open(json::object());
  }
  bool key(std::string& name) {
    if (!keys_.back().insert(name).second)
      throw invalid_input(path_ + ": key", name, "is given twice in an object");
    name_ = std::move(name);
    return true;
  }
  bool end_object() {
    keys_.pop_back();
    return close();
  }
  static bool parse_error(std::size_t, const std::string&, const json::exception& error) {
    if (const auto* const range = dynamic_cast<const json::out_of_range*>(&error)) throw *range;
    throw dynamic_cast<const json::parse_error&>(error);
  }

 private:
  /// Adds a value to the innermost list or object that is open.
  bool add(json value) {
    (void)place(std::move(value));
    return true;
  }
  bool open(json value) {
    open_.push_back(&place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  json& place(json value) {
    if (open_.size() > deepest)
      throw usage_error(path_ + ": lists and objects are nested more than " +
                        std::to_string(deepest) + " deep, which no input needs");
    if (open_.empty()) return root_ = std::move(value);
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return parent.back();
    }
    // The name is a new one: no search for it.
    auto& members = parent.get_ref<json::object_t&>();
    members.push_back({std::move(name_), std::move(value)});
    return members.back().second;
  }

  const std::string& path_;
  json& root_;
  std::vector<json*> open_;                  ///< The lists and objects that are open.
  std::vector<std::set<std::string>> keys_;  ///< Of the objects that are open.
  std::string name_;                         ///< Of the next value in an object.
};

}  // namespace

json parse_json(std::string_view source, const std::string& path, std::string_view bytes) {
  try {
    json value;
    value_builder builder(path, value);
    (void)json::sax_parse(bytes, &builder);
    return value;
  } catch (const json::parse_error& error) {
    throw invalid_input(source, path,
                        "is not JSON: line " + std::to_string(line_of(bytes, error.byte)) + ": " +
                            parser_words(error));
  } catch (const json::out_of_range& error) {
    throw invalid_input(source, path, "is not JSON: " + parser_words(error));
  }
}

json read_json_file(std::string_view source, const std::string& path) {
  return parse_json(source, path, file_bytes(source, path).view());
}

json read_json_object(std::string_view source, const std::string& path) {
  json value = read_json_file(source, path);
  if (!value.is_object())
    throw invalid_input(source, path,
                        "must hold one JSON object, and holds " + std::string(value.type_name()));
  return value;
}

std::string json_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool is_utf8(const std::string& text) {
  try {
    (void)json(text).dump();
    return true;
  } catch (const json::type_error&) {
    return false;
  }
}

std::string parser_words(const std::exception& error) {
  std::string_view words = error.what();
  const auto skip_past = [&words](std::string_view mark) {
    const std::size_t found = words.find(mark);
    if (found != std::string_view::npos) words.remove_prefix(found + mark.size());
  };
  skip_past("] ");
  if (words.starts_with("parse error at")) skip_past(": ");
  return std::string(words);
}

}  // namespace omnibal::cli
