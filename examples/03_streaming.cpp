// SPDX-License-Identifier: Apache-2.0
// Packs samples while they arrive, buffering at most 200 of them, as in a trainer that reads shards
// and learns the length of a sample only when it has read it. Half way the stream is stopped and
// resumed from a checkpoint.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/packing.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

using packer = omnibal::streaming_packer<2>;
using packs_of_ids = std::vector<std::vector<std::uint64_t>>;

const omnibal::packing_options<2> options{.capacity = {12, 4096}};
const omnibal::packers::streaming method{.buffer = 200};

// One to five image tiles of 256 tokens each, and some text.
std::vector<omnibal::loads<2>> incoming_samples(std::size_t count) {
  omnibal::random_stream random(7);
  std::vector<omnibal::loads<2>> samples;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t tiles = 1 + omnibal::uniform_below(random, 5);
    samples.push_back({tiles, 256 * tiles + 40 + omnibal::uniform_below(random, 200)});
  }
  return samples;
}

// Takes the packs that are ready.
void collect(packer& stream, packs_of_ids& packs) {
  while (auto pack = stream.pop()) packs.push_back(std::move(*pack));
}

// Pushes the samples from `first` to before `last`; an id is the place of the sample in the stream.
void feed(packer& stream, const std::vector<omnibal::loads<2>>& samples, std::size_t first,
          std::size_t last, packs_of_ids& packs) {
  for (std::size_t id = first; id < last; ++id) {
    stream.push(id, samples[id]);
    claim(stream.buffered() <= method.buffer, "the buffer never exceeds its size");
    collect(stream, packs);
  }
}

int main() {
  const auto samples = incoming_samples(20'000);

  packs_of_ids packs;
  packer before(options, method);
  feed(before, samples, 0, 10'000, packs);
  const omnibal::streaming_state<2> checkpoint = before.state();  // integers to be written to disk
  std::printf("stopped after 10,000 samples: %zu packs made, %zu samples in the buffer\n",
              packs.size(), before.buffered());

  packer after(options, method, checkpoint);
  feed(after, samples, 10'000, samples.size(), packs);
  after.flush();  // the stream has ended: pack the samples left in the buffer
  collect(after, packs);

  const auto offline = omnibal::pack_balanced(samples, {.capacity = options.capacity});
  std::printf("%zu packs; a packer that knows all samples in advance makes %zu\n", packs.size(),
              offline.packs.size());

  std::vector<int> times(samples.size());
  for (const auto& pack : packs) {
    omnibal::loads<2> sum{};
    for (const std::uint64_t id : pack) {
      ++times[id];
      for (std::size_t r = 0; r < 2; ++r) sum[r] += samples[id][r];
    }
    claim(sum[0] <= 12 && sum[1] <= 4096, "no pack exceeds a capacity");
  }
  claim(std::ranges::all_of(times, [](int n) { return n == 1; }), "no sample is lost or repeated");
  claim(packs.size() * 100 <= offline.packs.size() * 101, "streaming takes at most 1 % more packs");
}
