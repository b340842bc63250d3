// SPDX-License-Identifier: Apache-2.0
// The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include <algorithm>
#include <array>
#include <limits>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

[[noreturn]] void refuse(const table_text& table, std::string_view field, std::string_view value,
                         std::string_view advice) {
  throw invalid_input(table.name + ": " + std::string(field), value, advice);
}

/// The unsigned integer in the first `size` bytes.
std::uint64_t read_unsigned(const char* bytes, std::size_t size, bool big_endian) {
  std::uint64_t value = 0;
  for (std::size_t k = 0; k < size; ++k) {
    const auto byte = static_cast<unsigned char>(bytes[big_endian ? k : size - 1 - k]);
    value = value << 8 | byte;
  }
  return value;
}

/// The layout of the array, from the header of the file.
struct array_layout {
  std::size_t item_size = 0;
  bool is_signed = false;
  bool big_endian = false;
  bool column_major = false;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::string_view items = {};
};

/// Removes the header from the front of a file and returns it.
std::string_view take_header(const table_text& table, std::string_view& bytes) {
  constexpr std::string_view magic = "\x93NUMPY";
  if (!bytes.starts_with(magic) || bytes.size() < 12)
    refuse(table, "start", excerpt(bytes), "is not that of a NumPy file");
  const auto version = static_cast<unsigned>(static_cast<unsigned char>(bytes[6]));
  if (version < 1 || version > 3)
    refuse(table, "version", std::to_string(version), "must be 1, 2 or 3");
  const std::size_t length_size = version == 1 ? 2 : 4;
  const std::uint64_t length = read_unsigned(bytes.data() + 8, length_size, false);
  bytes.remove_prefix(8 + length_size);
  if (length > bytes.size())
    refuse(table, "header length", std::to_string(length), "is more than the file holds");
  const std::string_view header = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return header;
}

/// The text after a key of the header: a Python dictionary of three entries.
std::string_view header_entry(const table_text& table, std::string_view header,
                              std::string_view key) {
  const std::string quoted = "'" + std::string(key) + "':";
  const std::size_t found = header.find(quoted);
  if (found == std::string_view::npos) refuse(table, "header", excerpt(header), "lacks " + quoted);
  std::string_view entry = header.substr(found + quoted.size());
  entry.remove_prefix(std::min(entry.find_first_not_of(' '), entry.size()));
  return entry;
}

/// The item type, written like '<i8'.
void read_item_type(const table_text& table, std::string_view entry, array_layout& layout) {
  const bool known = entry.size() >= 5 && entry[0] == '\'' && entry[4] == '\'' &&
                     std::string_view("<>|=").find(entry[1]) != std::string_view::npos &&
                     (entry[2] == 'i' || entry[2] == 'u') &&
                     std::string_view("1248").find(entry[3]) != std::string_view::npos;
  if (!known)
    refuse(table, "item type", excerpt(entry.substr(0, entry.find(','))),
           "must be an integer type of 1, 2, 4 or 8 bytes");
  layout.big_endian = entry[1] == '>';
  layout.is_signed = entry[2] == 'i';
  layout.item_size = static_cast<std::size_t>(entry[3] - '0');
}

/// The shape, written like (rows, columns) or (rows,).
void read_shape(const table_text& table, std::string_view entry, array_layout& layout) {
  const std::string_view shape = entry.substr(0, entry.find(')') + 1);
  std::vector<std::uint64_t> extents;
  std::string_view rest = shape;
  while (rest.find_first_of("0123456789") != std::string_view::npos) {
    rest.remove_prefix(rest.find_first_of("0123456789"));
    const std::string_view digits = rest.substr(0, rest.find_first_not_of("0123456789"));
    const auto extent = parse_load(digits);
    if (!extent) refuse(table, "shape", excerpt(shape), "is too large");
    extents.push_back(static_cast<std::uint64_t>(*extent));
    rest.remove_prefix(digits.size());
  }
  if (extents.empty() || extents.size() > 2)
    refuse(table, "shape", excerpt(shape), "must be (samples, resources)");
  layout.rows = extents[0];
  layout.columns = extents.size() == 2 ? extents[1] : 1;
}

void check_size(const table_text& table, const array_layout& layout) {
  const auto items = try_multiply(layout.rows, layout.columns);
  const auto bytes = items ? try_multiply<std::uint64_t>(*items, layout.item_size) : std::nullopt;
  if (bytes && *bytes == layout.items.size()) return;
  refuse(table, "data", std::to_string(layout.items.size()) + " bytes",
         "must be " + (bytes ? std::to_string(*bytes) + " bytes" : std::string("far more")) +
             " for this shape");
}

array_layout read_layout(const table_text& table) {
  array_layout layout;
  layout.items = table.bytes;
  const std::string_view header = take_header(table, layout.items);
  read_item_type(table, header_entry(table, header, "descr"), layout);
  layout.column_major = header_entry(table, header, "fortran_order").starts_with("True");
  read_shape(table, header_entry(table, header, "shape"), layout);
  check_size(table, layout);
  return layout;
}

/// Which column holds each resource.
template <std::size_t Resources>
std::array<std::uint64_t, Resources> find_columns(const table_text& table,
                                                  const array_layout& layout) {
  std::array<std::uint64_t, Resources> columns;
  bool numbered = true;
  for (std::size_t r = 0; r < Resources; ++r) {
    const auto number = parse_load(table.resources[r].column);
    numbered = numbered && number;
    columns[r] = static_cast<std::uint64_t>(number.value_or(0));
    if (numbered && columns[r] >= layout.columns)
      refuse(table, "columns", std::to_string(layout.columns),
             "must be more for " + table.resources[r].name + " in column " +
                 table.resources[r].column + " (counted from 0)");
  }
  if (numbered) return columns;
  if (layout.columns != Resources)
    refuse(table, "columns", std::to_string(layout.columns),
           "must be one for each resource, " + std::to_string(Resources));
  for (std::size_t r = 0; r < Resources; ++r) columns[r] = r;
  return columns;
}

/// The item in a row and column. Throws where it is no load.
std::int64_t read_item(const table_text& table, const array_layout& layout, std::uint64_t row,
                       std::uint64_t column, const std::string& resource) {
  const std::uint64_t item =
      layout.column_major ? column * layout.rows + row : row * layout.columns + column;
  const std::uint64_t bits = read_unsigned(layout.items.data() + item * layout.item_size,
                                           layout.item_size, layout.big_endian);
  const std::uint64_t sign = std::uint64_t{1} << (8 * layout.item_size - 1);
  const bool negative = layout.is_signed && (bits & sign) != 0;
  if (!negative && bits <= std::uint64_t{std::numeric_limits<std::int64_t>::max()})
    return static_cast<std::int64_t>(bits);
  // Two's complement: the sign bit counts negative.
  const std::string text =
      negative ? std::to_string(static_cast<std::int64_t>(bits - 2 * sign)) : std::to_string(bits);
  refuse_load(text, table.name + ": " + resource, row);
}

}  // namespace

template <std::size_t Resources>
void append_npy(const table_text& table, load_table<Resources>& samples) {
  const array_layout layout = read_layout(table);
  const auto columns = find_columns<Resources>(table, layout);
  samples.reserve(samples.size() + layout.rows);
  for (std::uint64_t row = 0; row < layout.rows; ++row) {
    loads<Resources> sample;
    for (std::size_t r = 0; r < Resources; ++r)
      sample[r] = read_item(table, layout, row, columns[r], table.resources[r].name);
    samples.push_back(sample);
  }
}

template void append_npy(const table_text&, load_table<1>&);
template void append_npy(const table_text&, load_table<2>&);
template void append_npy(const table_text&, load_table<3>&);

}  // namespace omnibal::cli
