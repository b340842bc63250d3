// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs of whole streams, and how many more they are than those of the packer that sees all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/streaming.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

namespace omnibal::test {

using pack_ids = std::vector<std::vector<std::uint64_t>>;

template <std::size_t Resources>
void pop_all(streaming_packer<Resources>& packer, pack_ids& packs) {
  while (auto pack = packer.pop()) packs.push_back(std::move(*pack));
}

/// All packs of a stream whose ids are 0, 1, ….
template <std::size_t Resources>
pack_ids pack_stream(const std::vector<loads<Resources>>& samples,
                     const packing_options<Resources>& options,
                     const packers::streaming& method = {}) {
  streaming_packer<Resources> packer(options, method);
  pack_ids packs;
  for (std::size_t k = 0; k < samples.size(); ++k) {
    packer.push(k, samples[k]);
    pop_all(packer, packs);
  }
  packer.flush();
  pop_all(packer, packs);
  return packs;
}

inline length_table shuffled(length_table table) {
  random_stream random(5);
  shuffle_randomly(table, random);
  return table;
}

inline void check_cost_of_buffer(const length_table& ordered) {
  const length_table table = shuffled(ordered);
  for (std::int64_t images = 9; images <= 20; ++images) {
    const loads<2> capacity{images, token_capacity(images)};
    const std::size_t packs = pack_stream(table, {.capacity = capacity}).size();
    const std::uint64_t offline = pack_balanced(table, {.capacity = capacity}).objective;
    INFO("images " << images << ": " << packs << " packs, offline " << offline);
    CHECK(100 * packs <= 101 * offline);
  }
}

inline void check_cost_of_buffer_with_text(const length_table& ordered) {
  random_stream random(8);
  length_table mixed;
  std::vector<loads<1>> alone;
  for (const auto& sample : shuffled(ordered)) {
    mixed.push_back(sample);
    mixed.push_back({0, text_tokens(random)});
    alone.push_back({text_tokens(random)});
  }
  for (const std::int64_t images : {10, 14, 18}) {
    const loads<2> capacity{images, token_capacity(images)};
    CHECK(100 * pack_stream(mixed, {.capacity = capacity}).size() <=
          101 * pack_balanced(mixed, {.capacity = capacity}).objective);
  }
  CHECK(100 * pack_stream(alone, {.capacity = {4096}}).size() <=
        101 * pack_balanced(alone, {.capacity = {4096}}).objective);
}

}  // namespace omnibal::test
