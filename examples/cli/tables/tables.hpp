// SPDX-License-Identifier: Apache-2.0
/// @file
/// Length tables: the loads of every sample of a data set, read from JSON, JSON Lines, CSV or NumPy
/// files. Files are concatenated in the order given and sample ids run on.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <omnibal/core/loads.hpp>

#include "files/given_files.hpp"
#include "files/json.hpp"

namespace CLI {
class App;
}

namespace omnibal::cli {

/// A resource and the place of it in tables: the key of an object, the heading of a column, or in a
/// NumPy file the number of a column.
struct resource_column {
  std::string name;
  std::string column;
};

/// The tables to read, and the resources in them.
struct table_options {
  std::string source = "--lengths";  ///< The option that the files came with, for messages.
  std::vector<std::string> files = {};
  std::vector<resource_column> resources = {{"images", "vit_num"}, {"tokens", "token_num"}};
  std::string key = {};  ///< The field that names samples; empty where none does.
};

/// A file that was read, as plans and packs record it.
struct table_input {
  std::string name;  ///< As it was given.
  std::uint64_t samples = 0;
  std::string sha256;

  friend bool operator==(const table_input&, const table_input&) = default;
};

/// The samples of all files. The number of resources is known at run time, but the library needs it
/// at compile time: std::visit on `samples` gives it.
struct length_tables {
  std::vector<std::string> resources;
  std::variant<std::vector<loads<1>>, std::vector<loads<2>>, std::vector<loads<3>>> samples;
  std::vector<table_input> inputs;
  /// The key of each sample; empty without table_options::key.
  std::vector<std::string> keys = {};

  [[nodiscard]] std::size_t size() const {
    return std::visit([](const auto& of_any) { return of_any.size(); }, samples);
  }
};

/// Adds `--lengths` (required) and `--resource`.
void add_table_options(CLI::App& application, given_files& files, table_options& options);

/// Adds `--resource` alone.
void add_resource_option(CLI::App& application, table_options& options);

/// Reads the files. Throws invalid_input naming file, line, record, field and value when one
/// cannot be read or holds anything but non-negative integers where it should. O(bytes).
[[nodiscard]] length_tables read_length_tables(const table_options& options);

/// The inputs as written into plans and packs: [{name, samples, sha256}].
[[nodiscard]] json to_json(const std::vector<table_input>& inputs);

}  // namespace omnibal::cli
