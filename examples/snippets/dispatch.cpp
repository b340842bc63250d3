// SPDX-License-Identifier: Apache-2.0
// A run that is stopped after 30 steps and resumes from its checkpoint.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
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
    const auto packs =
        pack_balanced(samples, {.capacity = {9, 4096}, .seed = 1, .epoch = epoch}).packs;
    const auto sums = pack_loads(packs, samples);
    return dispatch_packs(sums.size(), [&](std::size_t k) { return 311 * sums[k][0] + sums[k][1]; },
                          {.ranks = 4, .microbatches = 3, .seed = 1, .epoch = epoch});
  };
  epoch_iterator run(plan_for, {.epochs = 3});
  if (!checkpoint.empty()) run.restore(epoch_state_from_bytes(checkpoint));
  while (!run.done()) {
    train(run.packs(rank));
    run.advance();
    checkpoint = to_bytes(run.state());
  }
  // <<<
}

int main() {
  std::vector<std::array<int, 2>> samples;
  for (int i = 0; i < 1000; ++i) samples.push_back({1 + i % 5, 300 + 256 * (i % 5) + i % 97});

  std::vector<std::uint32_t> whole, resumed;
  const auto train_into = [](std::vector<std::uint32_t>& seen, std::size_t limit) {
    return [&seen, limit, step = std::size_t{0}](std::span<const std::uint32_t> packs) mutable {
      if (step++ == limit) throw out_of_time();
      seen.insert(seen.end(), packs.begin(), packs.end());
    };
  };
  // run_epochs takes the function by const reference; these forward to one that counts.
  const auto run = [&](std::vector<std::byte>& checkpoint, auto train) {
    run_epochs(samples, 2, checkpoint, [&](std::span<const std::uint32_t> packs) { train(packs); });
  };
  std::vector<std::byte> none, checkpoint;
  run(none, train_into(whole, samples.size()));
  try {
    run(checkpoint, train_into(resumed, 30));
    return 1;  // it has more than 30 steps
  } catch (const out_of_time&) {
  }
  run(checkpoint, train_into(resumed, samples.size()));
  return resumed == whole ? 0 : 1;
}
