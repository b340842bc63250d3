// SPDX-License-Identifier: Apache-2.0
/// @file
/// Steps as ranks find them after loading data, for benchmarks and tests of rebalancing.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <omnibal/core/random.hpp>
#include <omnibal/rebalance/problem.hpp>

/// Forward cost of a sample in InternVL 6+20B, in MFLOP: 12.0 TF a tile, 38.6 GF a token and 0.59
/// MF a token squared.
inline std::int64_t forward_cost(const std::array<std::int64_t, 2>& sample) {
  const auto [tiles, tokens] = sample;
  return 12'000'000 * tiles + 38'600 * tokens + 59 * tokens * tokens / 100;
}

/// What moving a sample sends: tiles of 448 × 448 pixels, three channels of two bytes each, and
/// token ids of eight bytes.
inline std::int64_t sample_bytes(const std::array<std::int64_t, 2>& sample) {
  const auto [tiles, tokens] = sample;
  return 448 * 448 * 3 * 2 * tiles + 8 * tokens;
}

/// A step in which every rank has drawn so many samples of the table at random.
inline omnibal::rebalance_problem loaded_step(std::span<const std::array<std::int64_t, 2>> table,
                                              std::uint32_t ranks, std::uint32_t samples_per_rank,
                                              omnibal::random_stream& random) {
  omnibal::rebalance_problem problem{.ranks = ranks};
  for (std::uint32_t s = 0; s < ranks * samples_per_rank; ++s) {
    const auto& sample =
        table[omnibal::uniform_below(random, static_cast<std::uint32_t>(table.size()))];
    problem.samples.push_back({.rank = s / samples_per_rank,
                               .cost = forward_cost(sample),
                               .bytes = sample_bytes(sample)});
  }
  return problem;
}
