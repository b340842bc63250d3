// SPDX-License-Identifier: Apache-2.0
// Four ranks have loaded samples of unequal cost: images as bytes, texts as bytes. One exchange
// evens the costs out; each rank encodes the images that it has then, and the encodings return to
// the owners of the samples. The ranks are threads here; over MPI the same calls take an
// mpi_communicator and an mpi_channel.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <omnibal/comm.hpp>
#include <omnibal/core.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

constexpr std::size_t encoding_bytes = 16;  // per image tile

struct loaded {
  omnibal::exchange_samples samples = {};
  std::vector<std::byte> images = {};
  std::vector<std::byte> texts = {};
};

// Tiles of 64 bytes, all equal to the number of the sample, and some text. Rank 3 has nothing.
loaded load_samples(std::size_t rank) {
  loaded mine{.samples = {.bytes = std::vector<std::vector<std::int64_t>>(3)}};
  omnibal::random_stream random(7 + rank);
  const std::size_t count = rank == 3 ? 0 : 6;
  for (std::size_t s = 0; s < count; ++s) {
    const std::int64_t tiles = 1 + omnibal::uniform_below(random, 12);
    const std::int64_t letters = omnibal::uniform_below(random, 100);
    mine.samples.costs.push_back(1000 * tiles + letters);
    mine.samples.bytes[0].push_back(64 * tiles);
    mine.samples.bytes[1].push_back(letters);
    mine.samples.bytes[2].push_back(static_cast<std::int64_t>(encoding_bytes) * tiles);
    mine.images.insert(mine.images.end(), static_cast<std::size_t>(64 * tiles),
                       static_cast<std::byte>(10 * rank + s));
    mine.texts.insert(mine.texts.end(), static_cast<std::size_t>(letters), std::byte{'x'});
  }
  return mine;
}

// 64 bytes of a tile become 16.
std::vector<std::byte> encode(const std::vector<std::byte>& images) {
  std::vector<std::byte> encodings;
  for (std::size_t tile = 0; tile < images.size(); tile += 64)
    encodings.insert(encodings.end(), encoding_bytes, images[tile]);
  return encodings;
}

// The code that every rank runs.
void train_step(omnibal::thread_communicator& ranks) {
  auto channel = omnibal::open_thread_channel(ranks);
  const loaded mine = load_samples(ranks.rank());

  const omnibal::exchange_plan plan = omnibal::plan_exchange(ranks, mine.samples);
  const std::array<omnibal::field_bytes, 2> inputs = {{{0, mine.images}, {1, mine.texts}}};
  const auto moved = omnibal::exchange(channel, plan, inputs);

  const std::vector<std::byte> encoded = encode(moved[0]);
  const std::array<omnibal::field_bytes, 1> outputs = {{{2, encoded}}};
  const auto encodings = omnibal::exchange_back(channel, plan, outputs);

  claim(encodings[0] == encode(mine.images), "every owner gets the encodings of its samples");
  const omnibal::rebalance_result& balance = plan.balance();
  if (ranks.rank() == 0)
    std::printf("cost of the slowest rank: %lld before, %lld after, at least %lld\n",
                static_cast<long long>(balance.frontier.front().cost),
                static_cast<long long>(balance.plan().cost), static_cast<long long>(balance.bound));
  claim(balance.plan().cost < balance.frontier.front().cost, "the slowest rank gains");
}

int main() { omnibal::run_as_ranks(4, train_step); }
