// SPDX-License-Identifier: Apache-2.0
// The arrays that variable-length attention needs, for one pack: where each sample begins
// (cu_seqlens), the position of each token in its sample (position_ids) and the sample it belongs
// to (sequence_ids). With them, samples of a pack do not attend to each other. Plain
// loops show here what the arrays contain; 11_packed_batch.cpp calls the library, which makes them
// on the host, and docs/gpu.md shows the same on the device.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/packing.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

constexpr std::size_t slots = 4096;  // the fixed length of a micro-batch, padding included

struct packed_arrays {
  std::vector<std::int32_t> cu_seqlens = {0};
  std::vector<std::int32_t> position_ids;
  std::vector<std::int32_t> sequence_ids;
};

void append_sequence(packed_arrays& arrays, std::int64_t tokens) {
  const auto number = static_cast<std::int32_t>(arrays.cu_seqlens.size() - 1);
  for (std::int32_t position = 0; position < tokens; ++position) {
    arrays.position_ids.push_back(position);
    arrays.sequence_ids.push_back(number);
  }
  arrays.cu_seqlens.push_back(static_cast<std::int32_t>(arrays.position_ids.size()));
}

int main() {
  std::vector<omnibal::loads<1>> samples;  // tokens
  for (int i = 0; i < 200; ++i) samples.push_back({150 + (i * 7919) % 1700});
  const auto packing = omnibal::pack_balanced(samples, {.capacity = {slots}});
  const auto pack = packing.packs[0];

  packed_arrays arrays;
  for (const std::uint32_t sample : pack) append_sequence(arrays, samples[sample][0]);
  const std::size_t used = arrays.position_ids.size();
  std::printf("pack 0 of %zu: %zu samples, %zu of %zu slots used\ncu_seqlens:",
              packing.packs.size(), pack.size(), used, slots);
  for (const std::int32_t offset : arrays.cu_seqlens) std::printf(" %d", offset);
  // The unused slots form one more sequence, so that no token attends to them.
  append_sequence(arrays, static_cast<std::int64_t>(slots - used));

  // A token attends to itself and the tokens before it in its sample: where sequence_ids are equal.
  std::int64_t pairs = 0;
  std::int64_t pairs_by_lengths = 0;
  for (std::size_t query = 0; query < used; ++query)
    for (std::size_t key = 0; key <= query; ++key)
      pairs += arrays.sequence_ids[query] == arrays.sequence_ids[key] ? 1 : 0;
  for (const std::uint32_t sample : pack)
    pairs_by_lengths += samples[sample][0] * (samples[sample][0] + 1) / 2;
  const auto tokens = static_cast<std::int64_t>(used);
  std::printf("\npairs of tokens that attend: %.1f %% of those without sequence ids\n",
              200.0 * static_cast<double>(pairs) / static_cast<double>(tokens * (tokens + 1)));

  claim(arrays.position_ids.size() == slots, "every slot has a position");
  claim(pairs == pairs_by_lengths, "tokens of different samples do not attend to each other");
  for (std::size_t slot = 0; slot < used; ++slot) {
    const auto sequence = static_cast<std::size_t>(arrays.sequence_ids[slot]);
    claim(
        arrays.cu_seqlens[sequence] + arrays.position_ids[slot] == static_cast<std::int32_t>(slot),
        "a slot is where its sequence begins, plus its position");
  }
}
