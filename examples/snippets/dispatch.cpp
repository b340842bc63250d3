// SPDX-License-Identifier: Apache-2.0
// A run that is stopped in its 21st step and resumes from its checkpoint.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/dispatch.hpp>
#include <omnibal/packing.hpp>

using namespace omnibal;

struct out_of_time {};

template <typename Train>
void run_epochs(const std::vector<std::array<int, 2>>& samples, std::uint32_t rank,
                std::vector<std::byte>& checkpoint, const Train& train) {
  // >>> docs/dispatch.md
  const auto plan_for = [&](std::uint64_t epoch) {
    auto packs = pack_balanced(samples, {.capacity = {9, 4096}, .seed = 1, .epoch = epoch}).packs;
    const auto sums = pack_loads(packs, samples);
    auto plan =
        dispatch_packs(sums.size(), [&](std::size_t k) { return 311 * sums[k][0] + sums[k][1]; },
                       {.ranks = 4, .microbatches = 3, .seed = 1, .epoch = epoch});
    return epoch_plan{.packs = std::move(packs), .plan = std::move(plan)};
  };
  epoch_iterator run(plan_for, {.epochs = 3});
  if (!checkpoint.empty()) run.restore(epoch_state_from_bytes(checkpoint));
  while (!run.done()) {
    for (const auto microbatch : run.samples(rank)) train(microbatch);  // ids of samples
    run.advance();
    checkpoint = to_bytes(run.state());
  }
  // <<<
}

int main() {
  std::vector<std::array<int, 2>> samples;
  for (int i = 0; i < 1000; ++i) samples.push_back({1 + i % 5, 300 + 256 * (i % 5) + i % 97});

  // In place of training: notes the samples, and stops after 60 micro-batches, 20 steps of 3.
  std::vector<std::uint32_t> whole, resumed;
  const auto train_into = [](std::vector<std::uint32_t>& seen, std::size_t limit) {
    return [&seen, limit,
            count = std::make_shared<std::size_t>(0)](std::span<const std::uint32_t> microbatch) {
      if ((*count)++ == limit) throw out_of_time();
      seen.insert(seen.end(), microbatch.begin(), microbatch.end());
    };
  };
  std::vector<std::byte> none, checkpoint;
  run_epochs(samples, 2, none, train_into(whole, samples.size()));
  try {
    run_epochs(samples, 2, checkpoint, train_into(resumed, 60));
    return 1;  // it has more than 20 steps
  } catch (const out_of_time&) {
  }
  run_epochs(samples, 2, checkpoint, train_into(resumed, samples.size()));
  return resumed == whole ? 0 : 1;
}
