// SPDX-License-Identifier: Apache-2.0
/// @file
/// Length tables for tests: made up ones shaped like those of vision-language data, and published
/// ones where they lie beside the project.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <omnibal/core/random.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Image tiles and text tokens of samples.
using length_table = std::vector<std::array<std::int64_t, 2>>;

/// Samples of 1, 3, 4 or 5 tiles with 256 tokens a tile and some text.
inline length_table tiled_table(std::size_t samples, std::uint64_t seed) {
  constexpr std::array<std::int64_t, 8> tiles{1, 3, 3, 3, 4, 5, 5, 5};
  omnibal::random_stream random(seed);
  length_table table(samples);
  for (auto& sample : table) {
    sample[0] = tiles[omnibal::uniform_below(random, tiles.size())];
    sample[1] = 256 * sample[0] + 30 + omnibal::uniform_below(random, 200);
  }
  return table;
}

/// Where material lies that is not part of the project: $OMNIBAL_SHARED, or beside the project.
inline std::filesystem::path shared_folder() {
  if (const char* given = std::getenv("OMNIBAL_SHARED")) return given;
  return std::filesystem::path(__FILE__).parent_path() / "../../../shared";
}

/// A published table (a JSON list of objects with vit_num and token_num), or nothing where it is
/// not there.
inline std::optional<length_table> published_table(const std::string& name) {
  std::ifstream file(shared_folder() / "data/lengths" / (name + ".json"));
  if (!file) return std::nullopt;
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto number_after = [&](std::size_t from, std::string_view key) {
    const std::size_t begin = text.find_first_of("0123456789", text.find(key, from) + key.size());
    std::int64_t number = 0;
    std::from_chars(text.data() + begin, text.data() + text.size(), number);
    return number;
  };
  length_table table;
  for (std::size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1))
    table.push_back({number_after(at, "\"vit_num\":"), number_after(at, "\"token_num\":")});
  return table;
}

/// Published tables one after the other, or nothing where one is not there.
inline std::optional<length_table> published_tables(const std::vector<std::string>& names) {
  length_table all;
  for (const std::string& name : names) {
    const auto table = published_table(name);
    if (!table) return std::nullopt;
    all.insert(all.end(), table->begin(), table->end());
  }
  return all;
}
