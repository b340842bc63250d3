// SPDX-License-Identifier: Apache-2.0
/// @file
/// Tables of one family, all drawn from the same two, and how near its bound the balanced packer
/// comes on each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/packing/balanced.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

namespace omnibal::test {

/// So many samples drawn from a table, with replacement.
inline void draw(const length_table& from, std::size_t samples, random_stream& random,
                 length_table& to) {
  for (std::size_t k = 0; k < samples; ++k)
    to.push_back(from[uniform_below(random, static_cast<std::uint32_t>(from.size()))]);
}

struct named_table {
  std::string name;
  length_table samples;
};

/// Tables drawn from those of two sources in several proportions.
inline std::vector<named_table> family(const length_table& first, const length_table& second,
                                       std::uint64_t seed) {
  random_stream random(seed);
  std::vector<named_table> tables;
  const auto add = [&](const std::string& name, std::size_t of_first, std::size_t of_second) {
    tables.push_back({.name = name, .samples = {}});
    draw(first, of_first, random, tables.back().samples);
    draw(second, of_second, random, tables.back().samples);
  };
  add("first alone", 12000, 0);
  add("second alone", 0, 12000);
  add("3 : 1", 15000, 5000);
  add("1 : 3", 5000, 15000);
  add("5000 in the proportions of the tables", 2020, 2980);
  return tables;
}

/// The balanced packer is within two thousandths of its bound on every table of the family.
inline void check_packs_are_near_their_bound(const length_table& first, const length_table& second,
                                             std::uint64_t seed) {
  for (const auto& [name, samples] : family(first, second, seed))
    for (std::int64_t images = 9; images <= 20; ++images) {
      const auto result =
          pack_balanced(samples, {.capacity = {images, token_capacity(images)}, .seed = seed});
      INFO(name << ", " << images << " images: " << result.objective << " packs, bound "
                << result.bound);
      CHECK(1000 * result.objective <= 1002 * result.bound);
    }
}

}  // namespace omnibal::test
