// SPDX-License-Identifier: Apache-2.0
// Trains two epochs on four ranks, stops in the middle of the second, and resumes from a checkpoint
// of 60 bytes on six ranks: every sample not yet trained on follows, in the same step.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include <omnibal/dataset.hpp>
#include <omnibal/dispatch.hpp>
#include <omnibal/packing.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

using sample_loads = std::array<int, 2>;  // image tiles, tokens

std::vector<sample_loads> make_samples() {
  std::vector<sample_loads> samples;
  for (int i = 0; i < 3'000; ++i) samples.push_back({1 + i % 5, 300 + 256 * (i % 5) + i % 97});
  return samples;
}

int main() {
  const std::vector<sample_loads> samples = make_samples();
  // The packs of an epoch and their plan, for any number of ranks: computed from seed and epoch, so
  // they need not be stored. The steps are the same while ranks * microbatches is.
  const auto plan_on = [&](std::uint32_t ranks, std::uint32_t microbatches) {
    return [=, &samples](std::uint64_t epoch) {
      auto packs =
          omnibal::pack_balanced(samples, {.capacity = {12, 4096}, .seed = 1, .epoch = epoch})
              .packs;
      const auto loads = omnibal::pack_loads(packs, samples);
      auto plan = omnibal::dispatch_packs(
          loads.size(), [&](std::size_t k) { return 300 * loads[k][0] + loads[k][1]; },
          {.ranks = ranks, .microbatches = microbatches, .seed = 1, .epoch = epoch});
      return omnibal::epoch_plan{.packs = std::move(packs), .plan = std::move(plan)};
    };
  };
  // In place of training: the samples that all ranks together see in the next step.
  const auto samples_of_step = [](const auto& run) {
    std::vector<std::uint32_t> seen;
    for (std::uint32_t rank = 0; rank < run.plan().ranks; ++rank)
      for (const auto microbatch : run.samples(rank))
        seen.insert(seen.end(), microbatch.begin(), microbatch.end());
    std::ranges::sort(seen);
    return seen;
  };

  const omnibal::epoch_options options{.epochs = 2, .inputs = omnibal::table_fingerprint(samples)};
  omnibal::epoch_iterator uninterrupted(plan_on(4, 3), options);
  while (uninterrupted.epoch() == 0 || uninterrupted.step() < 40) uninterrupted.advance();
  const auto checkpoint = omnibal::to_bytes(uninterrupted.state());
  std::printf("stopped before epoch %llu, step %llu of %llu; the checkpoint has %zu bytes\n",
              static_cast<unsigned long long>(uninterrupted.epoch()),
              static_cast<unsigned long long>(uninterrupted.step()),
              static_cast<unsigned long long>(uninterrupted.steps()), checkpoint.size());

  omnibal::epoch_iterator resumed(plan_on(6, 2), options);
  resumed.restore(omnibal::epoch_state_from_bytes(checkpoint));
  std::size_t steps = 0;
  for (; !resumed.done(); resumed.advance(), uninterrupted.advance(), ++steps)
    claim(samples_of_step(resumed) == samples_of_step(uninterrupted),
          "the resumed run sees the samples that the uninterrupted one sees, step by step");
  claim(uninterrupted.done() && steps > 0, "both runs end after the same step");
  std::printf("%zu steps resumed on 6 ranks in place of 4, each with the same samples\n", steps);
}
