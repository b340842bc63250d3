// SPDX-License-Identifier: Apache-2.0
// Reads JSON tables of any layout with a vectorised parser that goes over the text once. Valid
// JSON that is no table is refused here; where the text is not JSON, table_json_syntax.cpp finds
// out why.
#include <array>
#include <optional>

#include <simdjson.h>

#include <omnibal/core/error.hpp>

#include "files/files.hpp"
#include "files/json.hpp"
#include "tables/json_lines.hpp"
#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

namespace ondemand = simdjson::ondemand;
using ondemand::json_type;

static_assert(file_bytes::padding >= simdjson::SIMDJSON_PADDING);

[[noreturn]] void fail() { throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE); }

void read_through(ondemand::value value, int depth = 0);

/// Where values are nested deeper than the stack should be, another parser checks the rest.
constexpr int deepest = 100;

void read_through(ondemand::array list, int depth) {
  if (depth == deepest) {
    if (!json::accept(list.raw_json().value())) fail();
    return;
  }
  for (ondemand::value element : list) read_through(element, depth + 1);
}

void read_through(ondemand::object object, int depth) {
  if (depth == deepest) {
    if (!json::accept(object.raw_json().value())) fail();
    return;
  }
  for (ondemand::field field : object) {
    (void)field.unescaped_key().value();
    read_through(field.value(), depth + 1);
  }
}

/// Reads every part of an unused value: the parser checks only what is read.
void read_through(ondemand::value value, int depth) {
  switch (value.type().value()) {
    case json_type::array: return read_through(value.get_array().value(), depth);
    case json_type::object: return read_through(value.get_object().value(), depth);
    case json_type::string: (void)value.get_string().value(); break;
    case json_type::number: (void)value.get_double().value(); break;
    case json_type::boolean: (void)value.get_bool().value(); break;
    case json_type::null:
      if (!value.is_null().value()) fail();
      break;
  }
}

/// A number as it is written.
std::string_view number_text(ondemand::value number) {
  const std::string_view token = number.raw_json_token();
  return token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
}

/// Where a record is, for messages.
struct record_place {
  const table_text& table;
  std::size_t index;  ///< Counted from 0 in its file.
  const char* begin;

  [[nodiscard]] std::string field_at(const char* where, std::string_view field) const {
    return table.field_at(table.line_of(offset_of(where)), field);
  }
  [[noreturn]] void refuse(const std::string& advice) const {
    throw invalid_input(field_at(begin, "record"), index,
                        excerpt(table.bytes.substr(offset_of(begin))), advice);
  }

 private:
  [[nodiscard]] std::size_t offset_of(const char* where) const {
    return static_cast<std::size_t>(where - table.bytes.data());
  }
};

simdjson::padded_string_view padded(std::string_view text) {
  return simdjson::padded_string_view(text.data(), text.size(), text.size() + file_bytes::padding);
}

void expect_end(ondemand::document& document) {
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) fail();
}

/// Calls visit(object, place) for each record of a table, which is all that it holds.
template <typename Visit>
void for_each_record(json_kind kind, const table_text& table, const Visit& visit) {
  ondemand::parser parser;
  std::size_t index = 0;
  const auto take = [&](auto& record, const char* begin) {
    const record_place place{table, index++, begin};
    ondemand::object fields;
    const simdjson::error_code error = record.get_object().get(fields);
    if (error == simdjson::INCORRECT_TYPE) place.refuse("must be an object of named numbers");
    if (error != simdjson::SUCCESS) throw simdjson::simdjson_error(error);
    visit(fields, place);
  };
  if (kind == json_kind::lines)
    return for_each_line(table.bytes, [&](std::string_view line) {
      ondemand::document document = parser.iterate(padded(line));
      take(document, line.data());
      expect_end(document);
    });
  ondemand::document document = parser.iterate(padded(table.bytes));
  if (document.type().value() != json_type::array)
    throw invalid_input(table.name, excerpt(table.bytes), "must be a list of objects");
  for (ondemand::value record : document.get_array()) take(record, record.raw_json_token().data());
  expect_end(document);
}

/// Does work on a table, with an error that says why where that fails. `records` is how many were
/// read by then.
template <typename Work>
void explain_failure(json_kind kind, const table_text& table, const std::size_t& records,
                     const Work& work) {
  try {
    work();
  } catch (const invalid_input&) {
    expect_json(kind, table, records);
    throw;
  } catch (const simdjson::simdjson_error& error) {
    expect_json(kind, table, table.bytes.size());
    throw invalid_input(table.name, excerpt(table.bytes),
                        std::string("cannot be read as JSON: ") + error.what());
  }
}

[[noreturn]] void refuse_value(ondemand::value value, const std::string& column,
                               const record_place& place) {
  if (value.type().value() != json_type::number) place.refuse("must hold an integer as " + column);
  const std::string_view text = number_text(value);
  refuse_load(text, place.field_at(text.data(), column), place.index);
}

template <std::size_t Resources>
loads<Resources> read_loads(ondemand::object& record, const record_place& place) {
  const auto resources = place.table.resources;
  std::array<std::optional<std::int64_t>, Resources> found;
  for (ondemand::field field : record) {
    const std::string_view key = field.unescaped_key().value();
    std::size_t r = 0;
    while (r < Resources && resources[r].column != key) ++r;
    if (r == Resources) {
      read_through(field.value());
      continue;
    }
    std::int64_t load = 0;
    if (found[r]) place.refuse("gives " + resources[r].column + " twice");
    if (field.value().get_int64().get(load) != simdjson::SUCCESS || load < 0)
      refuse_value(field.value(), resources[r].column, place);
    found[r] = load;
  }
  loads<Resources> sample;
  for (std::size_t r = 0; r < Resources; ++r) {
    if (!found[r]) place.refuse("lacks " + resources[r].column);
    sample[r] = *found[r];
  }
  return sample;
}

/// Reads the field that names samples.
class key_reader {
 public:
  key_reader(const table_text& table, const std::string& column)
      : field_(table.name + ": " + column), column_(column) {}

  std::string read(ondemand::object& record, std::size_t index) const {
    std::string key;
    for (ondemand::field field : record) {
      if (field.unescaped_key().value() != column_) continue;
      if (!key.empty())
        refuse(index, key, "is one of two values: the record gives " + column_ + " twice");
      key = text_of(field.value(), index);
    }
    if (key.empty()) refuse(index, "nothing", "is missing: --key needs it of every sample");
    return key;
  }

 private:
  std::string text_of(ondemand::value value, std::size_t index) const {
    switch (value.type().value()) {
      case json_type::string: {
        std::string text(value.get_string().value());
        if (text.empty()) refuse(index, "nothing", key_advice);
        return text;
      }
      case json_type::number: return integer_of(value, index);
      case json_type::boolean: refuse(index, value.get_bool() ? "true" : "false", key_advice);
      case json_type::null: refuse(index, "null", key_advice);
      case json_type::object: refuse(index, "an object", key_advice);
      case json_type::array: refuse(index, "a list", key_advice);
    }
    fail();
  }

  std::string integer_of(ondemand::value value, std::size_t index) const {
    std::int64_t number = 0;
    if (value.get_int64().get(number) == simdjson::SUCCESS) return std::to_string(number);
    std::uint64_t large = 0;
    if (value.get_uint64().get(large) == simdjson::SUCCESS) return std::to_string(large);
    refuse(index, excerpt(number_text(value)), key_advice);
  }

  [[noreturn]] void refuse(std::size_t index, const std::string& value,
                           const std::string& advice) const {
    throw invalid_input(field_, index, value, advice);
  }

  std::string field_;
  const std::string& column_;
};

}  // namespace

template <std::size_t Resources>
void append_any_json(json_kind kind, const table_text& table, load_table<Resources>& samples) {
  std::size_t records = 0;
  explain_failure(kind, table, records, [&] {
    for_each_record(kind, table, [&](ondemand::object& record, const record_place& place) {
      samples.push_back(read_loads<Resources>(record, place));
      ++records;
    });
  });
}

template void append_any_json(json_kind, const table_text&, load_table<1>&);
template void append_any_json(json_kind, const table_text&, load_table<2>&);
template void append_any_json(json_kind, const table_text&, load_table<3>&);

template <std::size_t Resources>
void append_json(json_kind kind, const table_text& table, load_table<Resources>& samples) {
  if (!append_uniform_json(kind, table, samples)) append_any_json(kind, table, samples);
}

template void append_json(json_kind, const table_text&, load_table<1>&);
template void append_json(json_kind, const table_text&, load_table<2>&);
template void append_json(json_kind, const table_text&, load_table<3>&);

void append_json_keys(json_kind kind, const table_text& table, const std::string& column,
                      std::vector<std::string>& keys) {
  const key_reader reader(table, column);
  std::size_t records = 0;
  explain_failure(kind, table, records, [&] {
    for_each_record(kind, table, [&](ondemand::object& record, const record_place& place) {
      keys.push_back(reader.read(record, place.index));
      ++records;
    });
  });
}

}  // namespace omnibal::cli
