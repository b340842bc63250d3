// SPDX-License-Identifier: Apache-2.0
// >>> README.md
#include <array>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <vector>

#include <omnibal/dispatch.hpp>
#include <omnibal/packing.hpp>

struct training_sample {
  int tiles;   // image tiles
  int tokens;  // of the language model
};

int main() {
  std::vector<training_sample> samples;
  for (int i = 0; i < 1000; ++i) samples.push_back({1 + i % 5, 300 + 256 * (i % 5)});
  const auto loads_of = [](const training_sample& s) { return std::array{s.tiles, s.tokens}; };

  // Group samples into packs of at most 12 tiles and 4096 tokens, as few as possible.
  const auto packing = omnibal::pack_balanced(samples, {.capacity = {12, 4096}}, loads_of);
  const auto packs = omnibal::pack_loads(packing.packs, samples, loads_of);

  // Assign packs to steps of eight ranks with four micro-batches each, balanced by cost.
  const auto plan = omnibal::dispatch_packs(
      packs.size(), [&](std::size_t k) { return 300 * packs[k][0] + packs[k][1]; },
      {.ranks = 8, .microbatches = 4});

  std::cout << packs.size() << " packs; proven lower bound " << packing.bound << '\n';
  for (const std::uint32_t pack : plan.packs(0, 3))  // of step 0, rank 3
    std::cout << "micro-batch of " << packing.packs[pack].size() << " samples\n";
}
// <<<
