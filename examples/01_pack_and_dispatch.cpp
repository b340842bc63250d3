// SPDX-License-Identifier: Apache-2.0
// Packs samples of images and text into micro-batches and deals them to eight ranks.
#include <cstdio>
#include <vector>

#include <omnibal/omnibal.hpp>

struct sample {
  int image_tiles, tokens;
};

int main() {
  std::vector<sample> samples;
  for (int i = 0; i < 10'000; ++i) samples.push_back({1 + i % 5, 300 + 256 * (i % 5) + i % 97});
  const auto loads = [](const sample& one) { return std::array{one.image_tiles, one.tokens}; };

  const auto packing = omnibal::pack_balanced(samples, {.capacity = {12, 4096}}, loads);
  const auto packs = omnibal::pack_loads(packing.packs, samples, loads);
  const auto plan = omnibal::dispatch_packs(
      packs.size(), [&](std::size_t k) { return 300 * packs[k][0] + packs[k][1]; },
      {.ranks = 8, .microbatches = 4});

  std::printf("%zu samples in %zu packs (at least %llu), %llu steps\n", samples.size(),
              packs.size(), static_cast<unsigned long long>(packing.bound),
              static_cast<unsigned long long>(plan.steps()));
  for (const std::uint32_t pack : plan.packs(0, 3))  // step 0, rank 3
    std::printf("micro-batch of %zu samples\n", packing.packs[pack].size());
}
