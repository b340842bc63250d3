// SPDX-License-Identifier: Apache-2.0
/// @file
/// The file formats of length tables, one reader each. All throw invalid_input naming file, line
/// where there are lines, record, field and value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/loads.hpp>

#include "tables/tables.hpp"

namespace omnibal::cli {

/// A file to be read: its bytes are followed by file_bytes::padding more.
struct table_text {
  std::string name;
  std::string_view bytes;
  std::span<const resource_column> resources;  ///< One per resource.

  /// The line of the byte at this offset, counted from 1. O(offset).
  [[nodiscard]] std::size_t line_of(std::size_t offset) const;
  /// "name:line: field", the name of a field in errors.
  [[nodiscard]] std::string field_at(std::size_t line, std::string_view field) const;
};

template <std::size_t Resources>
using load_table = std::vector<loads<Resources>>;

enum class json_kind {
  list,   ///< One list of objects, pretty-printed or compact.
  lines,  ///< JSON Lines: one object per line. Blank lines are skipped.
};

/// JSON of any layout. Fields that are no resource may hold anything; a resource given twice in an
/// object is an error. Tries the two readers below in turn.
template <std::size_t Resources>
void append_json(json_kind kind, const table_text& table, load_table<Resources>& samples);

/// Reads JSON where every record has the layout of the first, byte for byte but for the digits, as
/// in tables that programs write: several times as fast as any parser. Returns false, with
/// `samples` as before, where a table is not of this form, whether or not it is valid.
template <std::size_t Resources>
[[nodiscard]] bool append_uniform_json(json_kind kind, const table_text& table,
                                       load_table<Resources>& samples);

/// Reads JSON of any layout with a vectorised parser. A list may have up to 4 GB.
template <std::size_t Resources>
void append_any_json(json_kind kind, const table_text& table, load_table<Resources>& samples);

/// Throws where the text is not valid JSON, if that is in this record or one before it.
void expect_json(json_kind kind, const table_text& table, std::size_t last_record);

/// Comma-separated values with a heading; fields may be quoted as in RFC 4180. Every row must have
/// as many fields as the heading.
template <std::size_t Resources>
void append_csv(const table_text& table, load_table<Resources>& samples);

/// A NumPy array of integers of shape (samples, resources), or (samples) for one resource. Columns
/// are taken in the order of the resources, or by number where all resources name a number.
template <std::size_t Resources>
void append_npy(const table_text& table, load_table<Resources>& samples);

/// The requirement on a key, for messages.
inline constexpr const char* key_advice =
    "must be a text in UTF-8 or an integer that names the sample";

/// The texts and integers, as text, of one field of a JSON table that append_json() took.
void append_json_keys(json_kind kind, const table_text& table, const std::string& column,
                      std::vector<std::string>& keys);

/// One column of comma-separated values that append_csv() took, as text.
void append_csv_keys(const table_text& table, const std::string& column,
                     std::vector<std::string>& keys);

/// The integer from 0 to 2^63 - 1 that these characters are, whole and nothing else.
[[nodiscard]] std::optional<std::int64_t> parse_load(std::string_view characters);

/// Throws invalid_input saying why parse_load refused the value of `field` in a record.
[[noreturn]] void refuse_load(std::string_view characters, std::string_view field,
                              std::size_t record);

/// At most forty bytes from the position of an error, to show in a message.
[[nodiscard]] std::string excerpt(std::string_view text);

}  // namespace omnibal::cli
