// SPDX-License-Identifier: Apache-2.0
/// @file
/// Samples of a few images each, for tests of whole runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/run/microbatches.hpp>

#include "../planning_problems.hpp"

namespace omnibal::test {

constexpr std::int64_t gibibyte = std::int64_t{1} << 30;

/// 1 to 5 tiles of 256 tokens, and some text.
inline std::vector<vision_language_sample> image_samples(std::size_t count) {
  random_stream random(3);
  std::vector<vision_language_sample> samples;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t tiles = draw(random, 1, 5);
    samples.push_back({tiles, 256 * tiles + draw(random, 30, 250)});
  }
  return samples;
}

}  // namespace omnibal::test
