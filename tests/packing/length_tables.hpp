// SPDX-License-Identifier: Apache-2.0
/// @file
/// Length tables for tests, made up in the shape of those of vision-language data.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/core/random.hpp>

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

/// A table of two sources; the first has `first_source` samples.
struct two_sources {
  length_table samples;
  std::size_t first_source = 0;
};

/// Samples of two sources in the proportions of published ones: four in ten of diagrams, half of
/// them of a single tile, before six in ten of charts, nine in ten of them of five tiles.
inline two_sources two_source_table(std::size_t samples, std::uint64_t seed) {
  two_sources table{.samples = length_table(samples), .first_source = samples * 310 / 768};
  omnibal::random_stream random(seed);
  for (std::size_t k = 0; k < samples; ++k) {
    const std::uint32_t draw = omnibal::uniform_below(random, 100);
    const std::int64_t tiles = k < table.first_source ? (draw < 47   ? 1
                                                         : draw < 77 ? 3
                                                         : draw < 82 ? 4
                                                                     : 5)
                                                      : (draw < 3   ? 1
                                                         : draw < 9 ? 3
                                                                    : 5);
    table.samples[k] = {tiles, 256 * tiles + 37 + omnibal::uniform_below(random, 120)};
  }
  return table;
}

/// Tokens of text: 350 in the middle, doubled or halved by chance, a long tail above.
inline std::int64_t text_tokens(omnibal::random_stream& random) {
  std::int64_t tokens = 350 * (800 + omnibal::uniform_below(random, 400)) / 1000;
  for (int k = 0; k < 8; ++k)
    tokens = omnibal::uniform_below(random, 2) == 0 ? tokens * 10 / 14 : tokens * 14 / 10;
  return std::clamp<std::int64_t>(tokens, 20, 4000);
}

/// The tokens that a pack takes beside so many images, as in the paper's settings.
inline std::int64_t token_capacity(std::int64_t images) {
  return images <= 12 ? 4096 : 4096 + 320 * (images - 12);
}
