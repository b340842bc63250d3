// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>

#include <omnibal/core/error.hpp>

#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

/// Reads rows from the front of a text, following RFC 4180.
class csv_rows {
 public:
  explicit csv_rows(const table_text& table) : table_(table), rest_(table.bytes) {}

  /// Where the row last read begins.
  [[nodiscard]] std::size_t line() const { return row_line_; }

  /// Reads the next row. Returns false at the end of the text.
  bool next(std::vector<std::string>& fields) {
    if (rest_.empty()) return false;
    row_line_ = next_line_;
    fields.clear();
    do {
      fields.push_back(take_field());
    } while (take(","));
    if (!take("\r\n") && !take("\n") && !rest_.empty())
      throw invalid_input(table_.field_at(next_line_, "field"), fields.size() - 1, excerpt(rest_),
                          "must end with a comma or a new line after the closing quote");
    ++next_line_;
    return true;
  }

 private:
  bool take(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  std::string take_field() {
    if (take("\"")) return take_quoted();
    const std::string_view field = rest_.substr(0, rest_.find_first_of(",\r\n"));
    rest_.remove_prefix(field.size());
    return std::string(field);
  }

  /// The rest of a quoted field, in which two quotes stand for one.
  std::string take_quoted() {
    std::string field;
    for (;;) {
      const std::size_t quote = rest_.find('"');
      if (quote == std::string_view::npos)
        throw invalid_input(table_.field_at(row_line_, "quoted field"), excerpt(rest_),
                            "must end with a quote");
      field += rest_.substr(0, quote);
      rest_.remove_prefix(quote + 1);
      if (!take("\"")) break;
      field += '"';
    }
    next_line_ += static_cast<std::size_t>(std::count(field.begin(), field.end(), '\n'));
    return field;
  }

  const table_text& table_;
  std::string_view rest_;
  std::size_t row_line_ = 1;
  std::size_t next_line_ = 1;
};

std::string joined(const std::vector<std::string>& fields) {
  std::string text;
  for (const std::string& field : fields) text += (text.empty() ? "" : ",") + field;
  return text;
}

/// Where the heading names a column.
std::size_t find_column(const table_text& table, const std::vector<std::string>& heading,
                        const std::string& wanted) {
  const auto refuse = [&](const std::string& advice) {
    throw invalid_input(table.field_at(1, "heading"), excerpt(joined(heading)), advice);
  };
  const auto found = std::find(heading.begin(), heading.end(), wanted);
  if (found == heading.end()) refuse("lacks " + wanted);
  if (std::find(found + 1, heading.end(), wanted) != heading.end())
    refuse("names " + wanted + " twice");
  return static_cast<std::size_t>(found - heading.begin());
}

/// Where the heading names each resource.
template <std::size_t Resources>
std::array<std::size_t, Resources> find_columns(const table_text& table,
                                                const std::vector<std::string>& heading) {
  std::array<std::size_t, Resources> columns;
  for (std::size_t r = 0; r < Resources; ++r)
    columns[r] = find_column(table, heading, table.resources[r].column);
  return columns;
}

}  // namespace

template <std::size_t Resources>
void append_csv(const table_text& table, load_table<Resources>& samples) {
  csv_rows rows(table);
  std::vector<std::string> heading;
  rows.next(heading);
  const auto columns = find_columns<Resources>(table, heading);
  std::vector<std::string> fields;
  for (std::size_t record = 0; rows.next(fields); ++record) {
    if (fields.size() != heading.size())
      throw invalid_input(table.field_at(rows.line(), "row"), record, excerpt(joined(fields)),
                          "must have " + std::to_string(heading.size()) + " fields like the " +
                              "heading, not " + std::to_string(fields.size()));
    loads<Resources> sample;
    for (std::size_t r = 0; r < Resources; ++r) {
      const auto load = parse_load(fields[columns[r]]);
      if (!load)
        refuse_load(fields[columns[r]], table.field_at(rows.line(), table.resources[r].column),
                    record);
      sample[r] = *load;
    }
    samples.push_back(sample);
  }
}

void append_csv_keys(const table_text& table, const std::string& column,
                     std::vector<std::string>& keys) {
  csv_rows rows(table);
  std::vector<std::string> fields;
  rows.next(fields);
  const std::size_t place = find_column(table, fields, column);
  for (std::size_t record = 0; rows.next(fields); ++record) {
    if (fields[place].empty() || !is_utf8(fields[place]))
      throw invalid_input(table.field_at(rows.line(), column), record, excerpt(fields[place]),
                          key_advice);
    keys.push_back(fields[place]);
  }
}

template void append_csv(const table_text&, load_table<1>&);
template void append_csv(const table_text&, load_table<2>&);
template void append_csv(const table_text&, load_table<3>&);

}  // namespace omnibal::cli
