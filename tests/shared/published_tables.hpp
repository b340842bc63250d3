// SPDX-License-Identifier: Apache-2.0
/// @file
/// Published length tables, which are no part of the project and may lie beside it.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "packing/length_tables.hpp"

/// Where material lies that is no part of the project: $OMNIBAL_SHARED, or beside the checkout.
inline std::filesystem::path shared_folder() {
  if (const char* given = std::getenv("OMNIBAL_SHARED")) return given;
  return std::filesystem::path(OMNIBAL_CHECKOUT) / "../shared";
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

/// Published tables one after the other. Ends the program, with a line that ctest reads as skipped,
/// where one is not there.
inline length_table need_tables(const std::vector<std::string>& names) {
  if (auto tables = published_tables(names)) return *std::move(tables);
  std::printf("skipped: not all published tables are in %s\n",
              (shared_folder() / "data/lengths").c_str());
  std::exit(77);
}
