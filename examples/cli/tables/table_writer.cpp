// SPDX-License-Identifier: Apache-2.0
#include "tables/table_writer.hpp"

#include <string_view>

#include <omnibal/core/error.hpp>

#include "files/given_files.hpp"
#include "files/json.hpp"

namespace omnibal::cli {
namespace {

/// `{"vit_num":5,"token_num":1359}`, with the text before each value made once.
class object_writer {
 public:
  explicit object_writer(const std::vector<std::string>& columns) {
    for (const std::string& column : columns) {
      std::string& before = before_.emplace_back(before_.empty() ? "{" : ",");
      before += json_text(column);
      before += ':';
    }
  }

  void write(std::span<const std::int64_t> row, std::string& text) const {
    for (std::size_t c = 0; c < row.size(); ++c) text += before_[c] + std::to_string(row[c]);
    text += '}';
  }

 private:
  std::vector<std::string> before_;
};

std::string to_json_list(const integer_table& table) {
  const object_writer writer(table.columns);
  std::string text = "[";
  for (std::size_t i = 0; i < table.rows(); ++i) {
    text += i == 0 ? "\n" : ",\n";
    writer.write(table.row(i), text);
  }
  text += "\n]\n";
  return text;
}

std::string to_json_lines(const integer_table& table) {
  const object_writer writer(table.columns);
  std::string text;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    writer.write(table.row(i), text);
    text += '\n';
  }
  return text;
}

/// A CSV field, quoted where it must be.
std::string csv_field(const std::string& name) {
  if (name.find_first_of(",\"\r\n") == std::string::npos) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
  quoted += '"';
  return quoted;
}

std::string to_csv(const integer_table& table) {
  std::string text;
  for (const std::string& column : table.columns) {
    if (!text.empty()) text += ',';
    text += csv_field(column);
  }
  text += '\n';
  for (std::size_t i = 0; i < table.rows(); ++i)
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      text += std::to_string(table.row(i)[c]) + (c + 1 == table.columns.size() ? '\n' : ',');
  return text;
}

std::string to_npy(const integer_table& table) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (" +
                       std::to_string(table.rows()) + ", " + std::to_string(table.columns.size()) +
                       "), }";
  constexpr std::size_t preamble = 10;
  constexpr std::size_t alignment = 64;
  while ((preamble + header.size() + 1) % alignment != 0) header += ' ';
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  for (const std::int64_t value : table.values)
    for (unsigned shift = 0; shift < 64; shift += 8)
      bytes += static_cast<char>(static_cast<std::uint64_t>(value) >> shift & 0xFF);
  return bytes;
}

using table_format = std::string (*)(const integer_table&);

table_format format_of(const std::string& path) {
  if (path == standard_stream) return to_json_list;
  if (path.ends_with(".json")) return to_json_list;
  if (path.ends_with(".jsonl")) return to_json_lines;
  if (path.ends_with(".csv")) return to_csv;
  if (path.ends_with(".npy")) return to_npy;
  throw invalid_input("--out", path, "must end in .json, .jsonl, .csv or .npy, or be -");
}

}  // namespace

void expect_table_format(const std::string& path) { (void)format_of(path); }

std::string table_bytes(const integer_table& table, const std::string& path) {
  return format_of(path)(table);
}

}  // namespace omnibal::cli
