// SPDX-License-Identifier: Apache-2.0
#include "files/json.hpp"

#include <algorithm>
#include <set>
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
constexpr int deepest = 64;
/// Likewise; values look for a key from the first on.
constexpr std::size_t most_keys = 4096;

/// Throws where an object repeats a key or has too many, and where values are nested too deeply.
class parse_guard {
 public:
  explicit parse_guard(const std::string& path) : path_(path) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    using parse_event = json::parse_event_t;
    if (depth > deepest)
      throw usage_error(path_ + ": lists and objects are nested more than " +
                        std::to_string(deepest) + " deep, which no input needs");
    if (event == parse_event::object_start) keys_.emplace_back();
    if (event == parse_event::object_end) keys_.pop_back();
    if (event == parse_event::key) add_key(parsed.get<std::string>());
    return true;
  }

 private:
  void add_key(const std::string& key) {
    if (!keys_.back().insert(key).second)
      throw invalid_input(path_ + ": key", key, "is given twice in an object");
    if (keys_.back().size() > most_keys)
      throw usage_error(path_ + ": an object has more than " + std::to_string(most_keys) +
                        " keys, which no input needs");
  }

  const std::string& path_;
  std::vector<std::set<std::string>> keys_;  ///< Of the objects that are open.
};

}  // namespace

json parse_json(std::string_view source, const std::string& path, std::string_view bytes) {
  try {
    return json::parse(bytes, parse_guard(path));
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
