// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/detail/buffer_knapsack.hpp>
#include <omnibal/packing/streaming.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"
#include "packing/pack_stream.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

/// Pushes a stream and checks after every push all that the packer promises.
template <std::size_t Resources>
void require_promises(const std::vector<loads<Resources>>& samples,
                      const packing_options<Resources>& options,
                      const packers::streaming& method = {}) {
  streaming_packer<Resources> packer(options, method);
  const std::uint64_t age_limit = method.age_limit.value_or(8 * std::uint64_t{method.buffer});
  std::vector<std::uint64_t> packed_at(samples.size(), samples.size());
  std::uint64_t packed = 0;
  const auto collect = [&](std::uint64_t now) {
    while (const auto pack = packer.pop()) {
      REQUIRE(!pack->empty());
      loads<Resources> sums{};
      for (const std::uint64_t id : *pack) {
        REQUIRE(id <= now);
        REQUIRE(packed_at[id] == samples.size());
        packed_at[id] = now;
        for (std::size_t r = 0; r < Resources; ++r) sums[r] += samples[id][r];
      }
      for (std::size_t r = 0; r < Resources; ++r) REQUIRE(sums[r] <= options.capacity[r]);
      packed += pack->size();
    }
    REQUIRE(packer.buffered() + packed == packer.pushed());
    REQUIRE(packer.packed() == packed);
  };
  for (std::uint64_t k = 0; k < samples.size(); ++k) {
    packer.push(k, samples[k]);
    REQUIRE(packer.buffered() <= method.buffer);
    REQUIRE((packer.buffered() == 0 || packer.oldest_age() < age_limit));
    collect(k);
  }
  packer.flush();
  REQUIRE(packer.buffered() == 0);
  collect(samples.size() - 1);
  REQUIRE(packed == samples.size());
  for (std::uint64_t id = 0; id < samples.size(); ++id) REQUIRE(packed_at[id] - id <= age_limit);
}

/// Loads up to `most`, many of them small or 0.
template <std::size_t Resources>
std::vector<loads<Resources>> random_stream_of(std::size_t count, std::uint32_t most,
                                               std::uint64_t seed) {
  random_stream random(seed);
  std::vector<loads<Resources>> samples(count);
  for (auto& sample : samples)
    for (auto& load : sample) load = uniform_below(random, uniform_below(random, most) + 1);
  return samples;
}

/// Tails as in a Pareto distribution of index 1: load / u for uniform u, cut off at the capacity.
std::vector<loads<1>> heavy_tails(std::size_t count, std::int64_t least, std::int64_t most) {
  random_stream random(3);
  std::vector<loads<1>> samples(count);
  for (auto& [load] : samples)
    load = std::min(most, least * 1'000'000 / (1 + uniform_below(random, 1'000'000)));
  return samples;
}

}  // namespace

TEST_CASE("the streaming packer keeps its promises on random streams") {
  const std::uint32_t buffer = GENERATE(1U, 2U, 3U, 10U, 64U, 200U);
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (const std::optional<std::uint64_t> age_limit :
         {std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{0},
          std::optional<std::uint64_t>{1}, std::optional<std::uint64_t>{17}}) {
      require_promises(random_stream_of<1>(700, 60, seed), {.capacity = {60}},
                       {.buffer = buffer, .age_limit = age_limit});
      require_promises(random_stream_of<2>(700, 60, seed), {.capacity = {60, 90}},
                       {.buffer = buffer, .age_limit = age_limit});
      require_promises(random_stream_of<3>(700, 300, seed), {.capacity = {900, 305, 300}},
                       {.buffer = buffer, .age_limit = age_limit});
    }
    for (const std::uint32_t good_enough : {1U, 900U, 1000U})
      require_promises(random_stream_of<2>(700, 60, seed), {.capacity = {60, 90}},
                       {.buffer = buffer, .good_enough = good_enough});
  }
}

TEST_CASE("the streaming packer makes a pack as soon as one is good enough") {
  const auto samples = random_stream_of<2>(3000, 30, 7);
  const loads<2> capacity{60, 90};
  const std::uint32_t good_enough = GENERATE(1U, 800U, 950U, 1000U);
  // The buffer holds all, so only good packs are made before the end.
  streaming_packer<2> packer({.capacity = capacity}, {.buffer = 3000, .good_enough = good_enough});
  std::size_t packs = 0;
  std::size_t most_held = 0;
  for (std::size_t k = 0; k < samples.size(); ++k) {
    packer.push(k, samples[k]);
    most_held = std::max(most_held, packer.buffered());
    while (const auto pack = packer.pop()) {
      ++packs;
      loads<2> sums{};
      for (const std::uint64_t id : *pack)
        for (std::size_t r = 0; r < 2; ++r) sums[r] += samples[id][r];
      REQUIRE((1000 * sums[0] >= good_enough * capacity[0] ||
               1000 * sums[1] >= good_enough * capacity[1]));
    }
  }
  CHECK(packs > 300);
  CHECK(most_held < 1000);
}

TEST_CASE("of samples that are alike none waits once they fill a pack") {
  streaming_packer<1> packer({.capacity = {100}}, {.good_enough = 1000});
  for (std::uint64_t id = 0; id < 100; ++id) {
    packer.push(id, loads<1>{25});
    REQUIRE(packer.buffered() == (id + 1) % 4);
  }
}

TEST_CASE("a try for a good pack that fails leaves no trace") {
  // Even loads never fill an odd capacity.
  auto samples = random_stream_of<2>(3000, 30, 8);
  for (auto& sample : samples)
    for (std::int64_t& load : sample) load *= 2;
  const pack_ids expected = pack_stream(samples, {.capacity = {61, 91}}, {.buffer = 100});
  CHECK(pack_stream(samples, {.capacity = {61, 91}}, {.buffer = 100, .good_enough = 1000}) ==
        expected);
}

TEST_CASE("the streaming packer keeps its promises on streams of extremes") {
  const std::uint32_t buffer = GENERATE(1U, 7U, 100U);
  require_promises(heavy_tails(3000, 10, 1000), {.capacity = {1000}}, {.buffer = buffer});
  require_promises(std::vector<loads<2>>(500, {3, 3}), {.capacity = {10, 20}}, {.buffer = buffer});
  require_promises(std::vector<loads<2>>(500, {0, 0}), {.capacity = {1, 1}}, {.buffer = buffer});
  require_promises(random_stream_of<2>(500, 2, 1), {.capacity = {1, 1}}, {.buffer = buffer});
  require_promises(random_stream_of<1>(500, 2, 1), {.capacity = {1}}, {.buffer = buffer});
  std::vector<loads<2>> dwarfs(2000, {1, 1});
  dwarfs[700] = {1000, 1000};
  require_promises(dwarfs, {.capacity = {1000, 1000}}, {.buffer = buffer});
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<loads<2>> huge;
  for (std::int64_t k = 0; k < 300; ++k) huge.push_back({most / (1 + k % 7), most - k});
  huge.push_back({most, most});
  require_promises(huge, {.capacity = {most, most}}, {.buffer = buffer});
}

TEST_CASE("the streaming packer fills packs exactly where samples are alike") {
  const auto packs =
      pack_stream(std::vector<loads<2>>(1000, {3, 3}), {.capacity = {9, 12}}, {.buffer = 50});
  CHECK(packs.size() == 334);
  CHECK(pack_stream(std::vector<loads<1>>(1000, {1}), {.capacity = {1}}, {.buffer = 50}).size() ==
        1000);
  CHECK(pack_stream(std::vector<loads<1>>(1000, {0}), {.capacity = {1}}, {.buffer = 999}).size() ==
        1);
}

TEST_CASE("the streaming packer with a buffer of 1 pairs a sample with the next where both fit") {
  const std::vector<loads<1>> samples{{3}, {4}, {8}, {5}, {5}};
  CHECK(pack_stream(samples, {.capacity = {10}}, {.buffer = 1}) == pack_ids{{0, 1}, {2}, {3, 4}});
}

TEST_CASE("the streaming packer packs at once under an age limit of 0") {
  const std::vector<loads<1>> samples{{3}, {4}, {3}};
  CHECK(pack_stream(samples, {.capacity = {10}}, {.buffer = 9, .age_limit = 0}) ==
        pack_ids{{0}, {1}, {2}});
  CHECK(pack_stream(samples, {.capacity = {10}}, {.buffer = 9, .age_limit = 1}) ==
        pack_ids{{0, 1}, {2}});
}

TEST_CASE("each pack of the streaming packer begins with the oldest sample in the buffer") {
  const auto samples = random_stream_of<2>(2000, 60, 9);
  std::vector<bool> packed(samples.size());
  std::size_t oldest = 0;
  for (const auto& pack : pack_stream(samples, {.capacity = {60, 90}}, {.buffer = 100})) {
    REQUIRE(pack.front() == oldest);
    for (const std::uint64_t id : pack) packed[id] = true;
    while (oldest < packed.size() && packed[oldest]) ++oldest;
  }
  CHECK(oldest == samples.size());
}

TEST_CASE("a buffer of 1000 costs less than a hundredth of the offline packs") {
  check_cost_of_buffer(tiled_table(30000, 5));
}

TEST_CASE("a buffer of 1000 costs less than a hundredth with text-only rows and with text alone") {
  check_cost_of_buffer_with_text(tiled_table(30000, 5));
}

TEST_CASE("long samples do not silt up in the buffer") {
  // One in fifty takes nearly all of a pack; the others fill packs among themselves exactly.
  random_stream random(2);
  streaming_packer<1> packer({.capacity = {100}}, {.buffer = 200, .age_limit = 1'000'000});
  std::uint64_t oldest_age = 0;
  for (std::uint64_t id = 0; id < 20'000; ++id) {
    packer.push(id, loads<1>{uniform_below(random, 50) == 0 ? 97 : 25});
    oldest_age = std::max(oldest_age, packer.oldest_age());
  }
  CHECK(oldest_age < 200 * 4);
}

TEST_CASE("the streaming packer goes on from its state with the same packs") {
  const std::size_t stop = GENERATE(0U, 1U, 50U, 777U, 5000U);
  const bool eager = GENERATE(false, true);
  const auto samples = random_stream_of<3>(6000, 60, 4);
  const packing_options<3> options{.capacity = {60, 90, 50}, .oversize = oversize_policy::skip};
  packers::streaming method{.buffer = 100};
  if (eager) method.good_enough = 970;
  streaming_packer<3> one(options, method);
  for (std::size_t k = 0; k < stop; ++k) one.push(k, samples[k]);
  const streaming_state<3> state = one.state();
  CHECK(state.version == 1);
  streaming_packer<3> other(options, method, state);
  CHECK(other.state() == state);
  CHECK(other.ready() == one.ready());
  CHECK(other.oldest_age() == one.oldest_age());
  for (std::size_t k = stop; k < samples.size(); ++k) {
    one.push(k, samples[k]);
    other.push(k, samples[k]);
  }
  one.flush();
  other.flush();
  CHECK(one.state() == other.state());
  pack_ids expected;
  pack_ids packs;
  pop_all(one, expected);
  pop_all(other, packs);
  CHECK(packs == expected);
}

TEST_CASE("the streaming packer refuses states that it cannot be in") {
  const packing_options<2> options{.capacity = {9, 100}};
  const packers::streaming method{.buffer = 4};
  streaming_packer<2> packer(options, method);
  for (std::uint64_t id = 0; id < 5; ++id) packer.push(id, loads<2>{4, 40});
  const streaming_state<2> good = packer.state();
  const auto message = [&](const auto& change) {
    streaming_state<2> state = good;
    change(state);
    try {
      streaming_packer<2> restored(options, method, state);
      return std::string("taken");
    } catch (const invalid_input& error) {
      return std::string(error.what());
    }
  };
  CHECK(message([](auto&) {}) == "taken");
  CHECK(message([](auto& state) { state.version = 2; }) == "state.version = 2: must be 1");
  CHECK(message([](auto& state) { state.capacity[1] = 90; }) ==
        "state.capacity[1] = 90: must be that of the options, 100");
  CHECK(message([](auto& state) { state.buffer = 9; }) ==
        "state.buffer = 9: must be that of the options, 4");
  CHECK(message([](auto& state) { state.plane[0] = 2; }) ==
        "state.plane[0] = 2: must be a resource");
  CHECK(message([](auto& state) {
          state.plane = {1, 1};
        }) == "state.plane[1] = 1: must not be the same resource twice");
  CHECK(message([](auto& state) { state.ready.emplace_back(); }) ==
        "state.ready[1] = empty: must hold samples");
  CHECK(message([](auto& state) { ++state.pushed; }) ==
        "state.pushed = 6: must be the samples packed, skipped and buffered together");
  CHECK(message([](auto& state) { state.buffered[0].load[1] = -1; }) ==
        "state.buffered load[0] = -1: must be from 0 to the capacity");
  CHECK(message([](auto& state) { state.buffered[1].arrival = 0; }) ==
        "state.buffered arrival[1] = 0: must ascend and be less than the samples pushed");
  CHECK(message([](auto& state) { state.seen.pop_back(); }).starts_with("state.seen = "));
  CHECK(message([](auto& state) { std::ranges::fill(state.seen, 0U); }) == "taken");
  CHECK(message([](auto& state) { state.buffered.resize(5); }).starts_with("state.buffered = 5"));
}

TEST_CASE("the streaming packer refuses oversize samples by name and stays as it was") {
  streaming_packer<2> packer({.capacity = {9, 4096}, .names = {"images", "tokens"}});
  packer.push(1, loads<2>{1, 5});
  const streaming_state<2> before = packer.state();
  CHECK_THROWS_WITH(packer.push(7, loads<2>{2, 5000}),
                    "tokens[7] = 5000: exceeds the capacity 4096; raise it, or choose to skip such "
                    "samples or to give them own packs");
  CHECK_THROWS_WITH(packer.push(8, loads<2>{-2, 50}), "images[8] = -2: must not be negative");
  CHECK_THROWS_WITH(packer.push(9, loads<2, std::uint64_t>{~std::uint64_t{0}, 1}),
                    Catch::Matchers::StartsWith("images[9] = 18446744073709551615: exceeds"));
  CHECK(packer.state() == before);
}

TEST_CASE("the streaming packer lists what it skips and packs the rest") {
  streaming_packer<1> packer({.capacity = {10}, .oversize = oversize_policy::skip}, {.buffer = 2});
  for (const auto& [id, load] : std::vector<std::pair<std::uint64_t, std::int64_t>>{
           {70, 11}, {71, 5}, {72, 4}, {73, 99}, {74, 5}})
    packer.push(id, loads<1>{load});
  packer.flush();
  CHECK(packer.oversize() == std::vector<std::uint64_t>{70, 73});
  CHECK(packer.skipped() == 2);
  CHECK(packer.pushed() == 5);
  CHECK(packer.packed() == 3);
  CHECK_THROWS_WITH(packer.push(75, loads<1>{-1}), "resource 0[75] = -1: must not be negative");
}

TEST_CASE("the streaming packer gives oversize samples packs of their own at once") {
  streaming_packer<1> packer({.capacity = {10}, .oversize = oversize_policy::own_pack});
  packer.push(4, loads<1>{5});
  packer.push(5, loads<1>{11});
  CHECK(packer.ready() == 1);
  CHECK(packer.pop() == std::vector<std::uint64_t>{5});
  CHECK(packer.pop() == std::nullopt);
  packer.flush();
  CHECK(packer.pop() == std::vector<std::uint64_t>{4});
  CHECK(packer.oversize() == std::vector<std::uint64_t>{5});
  CHECK(packer.skipped() == 0);
  CHECK(packer.packs() == 2);
}

TEST_CASE("samples that are not buffered count for the age of others") {
  streaming_packer<1> packer({.capacity = {10}, .oversize = oversize_policy::skip},
                             {.age_limit = 2});
  packer.push(0, loads<1>{5});
  packer.push(1, loads<1>{11});
  CHECK(packer.buffered() == 1);
  packer.push(2, loads<1>{11});
  CHECK(packer.buffered() == 0);
}

TEST_CASE("the streaming packer refuses broken options") {
  CHECK_THROWS_WITH(streaming_packer<1>({.capacity = {0}, .names = {"tokens"}}),
                    "capacity of tokens = 0: must be at least 1");
  CHECK_THROWS_WITH(streaming_packer<1>({.capacity = {1}}, {.buffer = 0}),
                    "buffer = 0: must be from 1 to 1048576");
  CHECK_THROWS_WITH(streaming_packer<1>({.capacity = {1}}, {.buffer = (1U << 20) + 1}),
                    "buffer = 1048577: must be from 1 to 1048576");
  CHECK_THROWS_WITH(streaming_packer<1>({.capacity = {1}}, {.good_enough = 0}),
                    "good_enough = 0: must be from 1 to 1000 thousandths");
  CHECK_THROWS_AS(streaming_packer<1>({.capacity = {1}}, {.good_enough = 1001}), invalid_input);
}

TEST_CASE("the streaming packer with nothing pushed has nothing to give") {
  streaming_packer<2> packer({.capacity = {9, 4096}});
  CHECK(packer.pop() == std::nullopt);
  packer.flush();
  CHECK(packer.pop() == std::nullopt);
  CHECK(packer.oldest_age() == 0);
}

TEST_CASE("the streaming packer finds out which of three resources are tight") {
  // Tiles and tokens decide; the first resource never does.
  std::vector<loads<3>> samples;
  for (const auto& [tiles, tokens] : tiled_table(20000, 6)) samples.push_back({1, tiles, tokens});
  std::vector<loads<2>> two;
  for (const auto& sample : samples) two.push_back({sample[1], sample[2]});
  const std::size_t packs =
      pack_stream(samples, {.capacity = {1000, 10, 4096}}, {.buffer = 300}).size();
  const std::size_t expected = pack_stream(two, {.capacity = {10, 4096}}, {.buffer = 300}).size();
  CHECK(packs <= expected + expected / 200);
}

TEST_CASE("golden: the packs of the streaming packer") {
  std::uint64_t hash = 14695981039346656037U;
  for (const auto& pack :
       pack_stream(tiled_table(5000, 7), {.capacity = {10, 4096}}, {.buffer = 100}))
    for (const std::uint64_t number :
         {pack.size(), std::size_t{pack.front()}, std::size_t{pack.back()}})
      hash = (hash ^ number) * 1099511628211U;
  CHECK(hash == 7748665911038310800U);
}

TEST_CASE("the knapsack over the buffer finds the best of all choices") {
  random_stream random(1);
  for (int turn = 0; turn < 200; ++turn) {
    const detail::plane_point corner{.row = uniform_below(random, 6),
                                     .column = 1 + uniform_below(random, 9)};
    std::vector<detail::cell_bundle> bundles(uniform_below(random, 9));
    for (std::uint32_t k = 0; k < bundles.size(); ++k) {
      bundles[k] = {
          .cell = k,
          .size = {uniform_below(random, corner.row + 1), uniform_below(random, corner.column + 1)},
          .value = 1 + static_cast<std::int32_t>(uniform_below(random, 50))};
      if (bundles[k].size == detail::plane_point{}) bundles[k].size.column = 1;
    }
    detail::buffer_knapsack knapsack;
    knapsack.solve(corner, bundles);
    std::int64_t best = 0;
    for (std::uint32_t set = 0; set < 1U << bundles.size(); ++set) {
      detail::plane_point size;
      std::int64_t value = 0;
      for (std::uint32_t k = 0; k < bundles.size(); ++k)
        if ((set >> k & 1) != 0) {
          size.row += bundles[k].size.row;
          size.column += bundles[k].size.column;
          value += bundles[k].value;
        }
      if (size.row <= corner.row && size.column <= corner.column) best = std::max(best, value);
    }
    std::int64_t chosen = 0;
    detail::plane_point size;
    knapsack.choose(corner, [&](const detail::cell_bundle& bundle) {
      chosen += bundle.value;
      size.row += bundle.size.row;
      size.column += bundle.size.column;
    });
    CHECK(chosen == best);
    CHECK(size.row <= corner.row);
    CHECK(size.column <= corner.column);
  }
}

TEST_CASE("a table packed by the streaming packer is the stream of its samples") {
  random_stream random(5);
  std::vector<loads<2>> samples(300);
  for (loads<2>& sample : samples)
    sample = {1 + uniform_below(random, 12), 1 + uniform_below(random, 1100)};
  const packers::streaming method{.buffer = 20, .age_limit = 30, .good_enough = 900};
  const packing_options<2> options{.capacity = {10, 1000}, .oversize = oversize_policy::own_pack};
  const packing_result table = method.pack<2>(samples, options);
  packing_options<2> fitting = options;
  fitting.oversize = oversize_policy::skip;
  streaming_packer<2> packer(fitting, method);
  std::size_t packs = 0;
  const auto take = [&] {
    while (const auto pack = packer.pop()) {
      REQUIRE(std::ranges::equal(*pack, table.packs[packs]));
      ++packs;
    }
  };
  for (std::size_t id = 0; id < samples.size(); ++id) {
    packer.push(id, samples[id]);
    take();
  }
  packer.flush();
  take();
  REQUIRE(!table.oversize.empty());
  CHECK(std::ranges::equal(packer.oversize(), table.oversize));
  REQUIRE(table.packs.size() == packs + table.oversize.size());
  for (const std::uint32_t id : table.oversize)
    CHECK(std::ranges::equal(table.packs[packs++], std::vector{id}));
}
