// SPDX-License-Identifier: Apache-2.0
#include "tables/tables.hpp"

#include <algorithm>
#include <future>
#include <string_view>

#include <CLI/CLI.hpp>

#include <omnibal/core/error.hpp>

#include "files/files.hpp"
#include "tables/table_formats.hpp"

namespace omnibal::cli {
namespace {

enum class table_format { json, json_lines, csv, npy };

/// By the ending of the name or, for other endings, by the first character.
table_format format_of(std::string_view name, std::string_view bytes) {
  if (name.ends_with(".json")) return table_format::json;
  if (name.ends_with(".jsonl") || name.ends_with(".ndjson")) return table_format::json_lines;
  if (name.ends_with(".csv")) return table_format::csv;
  if (name.ends_with(".npy") || bytes.starts_with('\x93')) return table_format::npy;
  const std::size_t first = std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size());
  if (bytes.substr(first).starts_with('[')) return table_format::json;
  if (bytes.substr(first).starts_with('{')) return table_format::json_lines;
  return table_format::csv;
}

template <std::size_t Resources>
void append(const table_text& table, load_table<Resources>& samples) {
  switch (format_of(table.name, table.bytes)) {
    case table_format::json: return append_json(json_kind::list, table, samples);
    case table_format::json_lines: return append_json(json_kind::lines, table, samples);
    case table_format::csv: return append_csv(table, samples);
    case table_format::npy: return append_npy(table, samples);
  }
}

void append_keys(const table_text& table, const std::string& column,
                 std::vector<std::string>& keys) {
  switch (format_of(table.name, table.bytes)) {
    case table_format::json: return append_json_keys(json_kind::list, table, column, keys);
    case table_format::json_lines: return append_json_keys(json_kind::lines, table, column, keys);
    case table_format::csv: return append_csv_keys(table, column, keys);
    case table_format::npy:
      throw invalid_input("--key", column,
                          "names a field, but NumPy arrays like " + table.name + " have none");
  }
}

std::string_view without_byte_order_mark(std::string_view bytes) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  return bytes.starts_with(mark) ? bytes.substr(mark.size()) : bytes;
}

/// Appends the samples of a file, and their keys where --key is given, and returns its entry in the
/// inputs.
template <std::size_t Resources>
table_input read_file(const table_options& options, const std::string& name,
                      load_table<Resources>& samples, std::vector<std::string>& keys) {
  const file_bytes file(options.source, name);
  const table_text table{name, without_byte_order_mark(file.view()), options.resources};
  if (table.bytes.empty()) throw invalid_input(options.source, name, "is empty");
  // Hashing takes as long as the rest, and needs nothing of it.
  // On this thread, when the result is wanted, where the system grants no other.
  std::future<std::string> digest =
      std::async(std::launch::async | std::launch::deferred, sha256, file.view());
  const std::size_t before = samples.size();
  append(table, samples);
  if (!options.key.empty()) append_keys(table, options.key, keys);
  if (samples.size() == before) throw invalid_input(options.source, name, "holds no samples");
  return {name, samples.size() - before, digest.get()};
}

template <std::size_t Resources>
length_tables read_files(const table_options& options) {
  load_table<Resources> samples;
  length_tables tables;
  for (const std::string& name : options.files)
    tables.inputs.push_back(read_file(options, name, samples, tables.keys));
  for (const resource_column& resource : options.resources)
    tables.resources.push_back(resource.name);
  tables.samples = std::move(samples);
  return tables;
}

resource_column parse_resource(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
    throw invalid_input("--resource", text, "must be NAME=COLUMN like tokens=token_num");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::vector<resource_column> parse_resources(const std::vector<std::string>& texts) {
  std::vector<resource_column> resources;
  for (const std::string& text : texts) {
    const resource_column added = parse_resource(text);
    for (const resource_column& other : resources)
      if (other.name == added.name || other.column == added.column)
        throw invalid_input("--resource", text, "repeats " + other.name + "=" + other.column);
    resources.push_back(added);
  }
  constexpr std::size_t most = 3;
  if (resources.size() > most)
    throw invalid_input("--resource", texts[most], "is one too many: there may be at most 3");
  return resources;
}

}  // namespace

void add_table_options(CLI::App& application, given_files& files, table_options& options) {
  const auto take = [&files, &options](const std::vector<std::string>& paths) {
    options.files = paths;
    for (const std::string& path : paths) files.inputs.push_back({"--lengths", path});
  };
  application
      .add_option_function<std::vector<std::string>>(
          "--lengths", take,
          "Length tables: .json, .jsonl, .csv or .npy; sample ids run on from file to file")
      ->required()
      ->type_name("FILE");
  add_resource_option(application, options);
}

void add_resource_option(CLI::App& application, table_options& options) {
  application
      .add_option_function<std::vector<std::string>>(
          "--resource",
          [&options](const std::vector<std::string>& texts) {
            options.resources = parse_resources(texts);
          },
          "A resource and the field or column of the tables that holds it, in place of "
          "images=vit_num and tokens=token_num; once for each of up to three resources")
      ->type_name("NAME=COLUMN");
}

length_tables read_length_tables(const table_options& options) {
  switch (options.resources.size()) {
    case 1: return read_files<1>(options);
    case 2: return read_files<2>(options);
    default: return read_files<3>(options);
  }
}

json to_json(const std::vector<table_input>& inputs) {
  json list = json::array();
  for (const auto& [name, samples, sha256] : inputs)
    list.push_back({{"name", name}, {"samples", samples}, {"sha256", sha256}});
  return list;
}

}  // namespace omnibal::cli
