// SPDX-License-Identifier: Apache-2.0
#include "lengths_file.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>

#include "tables/tables.hpp"

namespace omnibal::trainer {
namespace {

[[nodiscard]] std::string column_of(const cli::table_options& tables, const std::string& name) {
  for (const cli::resource_column& each : tables.resources)
    if (each.name == name) return each.column;
  throw invalid_input("--resource", name, "is missing: give images=COLUMN and tokens=COLUMN");
}

/// A row of a file: its errors name the file and the number of the row in it.
class table_row {
 public:
  table_row(const cli::table_options& tables, const std::string& file, std::size_t row)
      : tables_(tables), file_(file), row_(row) {}

  [[nodiscard]] sample_lengths lengths(const loads<2>& sample, std::int64_t tile_tokens) const {
    const auto [tiles, tokens] = sample;
    require("images", tiles, tiles <= longest_sample.tiles,
            "must be at most " + std::to_string(longest_sample.tiles));
    const std::int64_t of_tiles = tiles * tile_tokens;
    require("tokens", tokens, tokens >= of_tiles,
            "must be at least " + std::to_string(tile_tokens) + " for each of " +
                std::to_string(tiles) + " tiles; --tile-tokens says how many a tile has");
    require("tokens", tokens, tokens - of_tiles <= longest_sample.text,
            "must be at most " + std::to_string(longest_sample.text + of_tiles));
    return {.tiles = tiles, .text = tokens - of_tiles};
  }

 private:
  void require(const char* resource, std::int64_t value, bool holds,
               const std::string& advice) const {
    if (!holds)
      throw invalid_input(file_ + ": " + column_of(tables_, resource), row_, value, advice);
  }

  const cli::table_options& tables_;
  const std::string& file_;
  std::size_t row_;
};

}  // namespace

std::vector<sample_lengths> read_lengths(const lengths_files& from) {
  if (from.tile_tokens < 0 || from.tile_tokens > longest_sample.text)
    throw invalid_input("--tile-tokens", from.tile_tokens,
                        "must be from 0 to " + std::to_string(longest_sample.text));
  cli::table_options tables = from.tables;
  tables.resources = {{"images", column_of(from.tables, "images")},
                      {"tokens", column_of(from.tables, "tokens")}};
  const cli::length_tables read = cli::read_length_tables(tables);
  const auto& samples = std::get<std::vector<loads<2>>>(read.samples);
  std::vector<sample_lengths> lengths;
  lengths.reserve(samples.size());
  for (const cli::table_input& file : read.inputs)
    for (std::uint64_t row = 0; row < file.samples; ++row)
      lengths.push_back(
          table_row(tables, file.name, row).lengths(samples[lengths.size()], from.tile_tokens));
  return lengths;
}

}  // namespace omnibal::trainer
