// SPDX-License-Identifier: Apache-2.0
// Packs samples of images and text into micro-batches, and assigns the packs to steps and ranks
// with balanced costs.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include <omnibal/dispatch.hpp>
#include <omnibal/packing.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

// A sample may be of any type; the library asks for its loads, one integer per resource.
struct training_sample {
  int tiles;   // image tiles for the vision encoder
  int tokens;  // tokens for the language model
};

std::vector<training_sample> make_samples() {
  std::vector<training_sample> samples;
  for (int i = 0; i < 10'000; ++i)
    samples.push_back({.tiles = 1 + i % 5, .tokens = 300 + 256 * (i % 5) + i % 97});
  return samples;
}

int main() {
  const std::vector<training_sample> samples = make_samples();
  const auto loads_of = [](const training_sample& one) {
    return std::array{one.tiles, one.tokens};
  };

  // Packs of at most 12 tiles and 4096 tokens, as few as possible.
  const auto packing = omnibal::pack_balanced(samples, {.capacity = {12, 4096}}, loads_of);
  std::printf("%zu samples in %zu packs; proven lower bound %llu\n", samples.size(),
              packing.packs.size(), static_cast<unsigned long long>(packing.bound));

  // You define the cost of a pack, in any unit: here one tile takes as long as 300 tokens.
  const auto loads = omnibal::pack_loads(packing.packs, samples, loads_of);
  const auto cost = [&](std::size_t k) { return 300 * loads[k][0] + loads[k][1]; };

  // In each step eight ranks run four packs each, with nearly equal costs per rank.
  const auto plan = omnibal::dispatch_packs(loads.size(), cost, {.ranks = 8, .microbatches = 4});
  for (std::uint32_t rank = 0; rank < plan.ranks; ++rank) {
    std::printf("step 0, rank %u:", rank);
    for (const std::uint32_t pack : plan.packs(0, rank))
      std::printf("  pack %u of %zu samples", pack, packing.packs[pack].size());
    std::printf("\n");
  }

  std::vector<std::int64_t> costs;
  for (std::size_t k = 0; k < loads.size(); ++k) costs.push_back(cost(k));
  const double ratio = omnibal::full_steps_cost_ratio(plan, std::span<const std::int64_t>(costs));
  std::printf("in a full step the slowest rank takes %.4f times as long as the mean\n", ratio);

  std::vector<int> times_packed(samples.size()), times_run(loads.size());
  for (const std::uint32_t sample : packing.packs.indices()) ++times_packed[sample];
  for (const std::uint32_t pack : plan.groups.indices()) ++times_run[pack];
  for (const int times : times_packed) claim(times == 1, "every sample is in exactly one pack");
  for (const int times : times_run) claim(times == 1, "every pack is assigned exactly once");
  for (const auto& [tiles, tokens] : loads)
    claim(tiles <= 12 && tokens <= 4096, "no pack exceeds a capacity");
  claim(packing.packs.size() <= packing.bound * 101 / 100, "the packs are within 1 % of the bound");
  claim(ratio < 1.01, "the slowest rank takes at most 1 % longer than the mean");
}
