// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <optional>

#include <simdjson.h>

#include "files/files.hpp"
#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

namespace ondemand = simdjson::ondemand;

static_assert(file_bytes::padding >= simdjson::SIMDJSON_PADDING);

constexpr int deepest_nesting = 100;

[[noreturn]] void fail() { throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE); }

/// Reads every part of a value nobody wants: the parser checks only what is read.
void read_through(ondemand::value value, int depth = 0) {
  if (depth > deepest_nesting) fail();
  switch (value.type().value()) {
    case ondemand::json_type::array:
      for (ondemand::value element : value.get_array()) read_through(element, depth + 1);
      break;
    case ondemand::json_type::object:
      for (ondemand::field field : value.get_object()) {
        (void)field.unescaped_key().value();
        read_through(field.value(), depth + 1);
      }
      break;
    case ondemand::json_type::string: (void)value.get_string().value(); break;
    case ondemand::json_type::number: (void)value.get_double().value(); break;
    case ondemand::json_type::boolean: (void)value.get_bool().value(); break;
    case ondemand::json_type::null:
      if (!value.is_null().value()) fail();
      break;
  }
}

template <std::size_t Resources>
using found_loads = std::array<std::optional<std::int64_t>, Resources>;

template <std::size_t Resources>
void read_field(ondemand::field field, std::span<const resource_column> resources,
                found_loads<Resources>& found) {
  const std::string_view key = field.unescaped_key().value();
  for (std::size_t r = 0; r < Resources; ++r)
    if (resources[r].column == key) {
      const std::int64_t load = field.value().get_int64().value();
      if (found[r] || load < 0) fail();
      found[r] = load;
      return;
    }
  read_through(field.value());
}

template <std::size_t Resources>
loads<Resources> read_record(ondemand::object record, std::span<const resource_column> resources) {
  found_loads<Resources> found;
  for (ondemand::field field : record) read_field(field, resources, found);
  loads<Resources> sample;
  for (std::size_t r = 0; r < Resources; ++r) {
    if (!found[r]) fail();
    sample[r] = *found[r];
  }
  return sample;
}

simdjson::padded_string_view padded(std::string_view text) {
  return simdjson::padded_string_view(text.data(), text.size(), text.size() + file_bytes::padding);
}

void expect_end(ondemand::document& document) {
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) fail();
}

template <std::size_t Resources>
void read_list(const table_text& table, load_table<Resources>& samples) {
  ondemand::parser parser;
  ondemand::document document = parser.iterate(padded(table.bytes));
  for (ondemand::object record : document.get_array())
    samples.push_back(read_record<Resources>(record, table.resources));
  expect_end(document);
}

template <std::size_t Resources>
void read_lines(const table_text& table, load_table<Resources>& samples) {
  ondemand::parser parser;
  std::string_view rest = table.bytes;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    ondemand::document document = parser.iterate(padded(line));
    samples.push_back(read_record<Resources>(document.get_object(), table.resources));
    expect_end(document);
  }
}

}  // namespace

template <std::size_t Resources>
bool append_sound_json(json_kind kind, const table_text& table, load_table<Resources>& samples) {
  const std::size_t before = samples.size();
  try {
    kind == json_kind::list ? read_list(table, samples) : read_lines(table, samples);
    return true;
  } catch (const simdjson::simdjson_error&) {
    samples.resize(before);
    return false;
  }
}

template bool append_sound_json(json_kind, const table_text&, load_table<1>&);
template bool append_sound_json(json_kind, const table_text&, load_table<2>&);
template bool append_sound_json(json_kind, const table_text&, load_table<3>&);

}  // namespace omnibal::cli
