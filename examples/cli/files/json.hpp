// SPDX-License-Identifier: Apache-2.0
/// @file
/// JSON as the command reads and writes it.
#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace omnibal::cli {

/// Keys stay in the order in which they were read or set.
using json = nlohmann::ordered_json;

/// The JSON value that a file holds. `source` is the option that named the file, such as
/// `--shape`. Throws invalid_input naming source, file and line when the file cannot be read, is
/// not JSON, or repeats a key in an object; usage_error where it is nested more than 64 deep.
[[nodiscard]] json parse_json(std::string_view source, const std::string& path,
                              std::string_view bytes);

/// Reads a file and parses it.
[[nodiscard]] json read_json_file(std::string_view source, const std::string& path);

/// The same for files that hold one object.
[[nodiscard]] json read_json_object(std::string_view source, const std::string& path);

/// The text of a value in one line. Bytes that are not UTF-8, as in file names, are replaced.
[[nodiscard]] std::string json_text(const json& value);

/// Whether a text can be written as JSON as it is.
[[nodiscard]] bool is_utf8(const std::string& text);

/// An object with each value under the name at its place; none for names beyond. It begins as an
/// object: nlohmann-json 3.11.2 ends the process where a null cannot become one for want of memory.
template <typename Value>
[[nodiscard]] json named_values(const std::vector<std::string>& names,
                                const std::vector<Value>& values) {
  json object = json::object();
  for (std::size_t i = 0; i < values.size(); ++i) object[names[i]] = values[i];
  return object;
}

/// The message of a parse error of nlohmann-json, without its number and position.
[[nodiscard]] std::string parser_words(const std::exception& error);

}  // namespace omnibal::cli
