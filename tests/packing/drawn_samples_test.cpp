// SPDX-License-Identifier: Apache-2.0
// Packs of samples of which some are drawn several times and some not at all.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/drawn_samples.hpp>
#include <omnibal/packing/packers.hpp>
#include <omnibal/packing/packing_check.hpp>

#include "../catch.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;

namespace {

using table = std::vector<loads<2>>;
using ids = std::vector<std::uint32_t>;

constexpr resource_names<2> names = {"images", "tokens"};

table random_table(std::size_t samples, std::uint64_t seed) {
  random_stream random(seed);
  table made(samples);
  for (loads<2>& sample : made)
    sample = {1 + uniform_below(random, 5), 1 + uniform_below(random, 900)};
  return made;
}

ids random_draw(std::size_t drawn, std::size_t samples, std::uint64_t seed) {
  random_stream random(seed);
  ids made(drawn);
  for (std::uint32_t& id : made) id = uniform_below(random, static_cast<std::uint32_t>(samples));
  return made;
}

packing_options<2> options_of(oversize_policy oversize = oversize_policy::reject) {
  return {.capacity = {9, 1000}, .seed = 3, .oversize = oversize, .names = names};
}

auto packs_with(const any_packer<2>& packer, const packing_options<2>& options) {
  return [&packer, options](std::span<const loads<2>> some) { return packer.pack(some, options); };
}

std::string refusal(const table& samples, const ids& drawn, const packing_options<2>& options) {
  const any_packer<2> packer = packers::balanced{};
  try {
    (void)pack_drawn<2>(samples, drawn, packs_with(packer, options), options.names);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Every packer packs drawn samples as often as they were drawn") {
  const std::string_view name = GENERATE(from_range(packer_names));
  const auto packer = packer_named<2>(name).value();
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const table samples = random_table(80, seed);
    const ids drawn = random_draw(200, samples.size(), seed);
    const auto result = pack_drawn<2>(samples, drawn, packs_with(packer, options_of()), names);
    const auto times = times_drawn(drawn, samples.size());
    const auto checked = check_packing(
        result.packs, samples, packing_check_options<2>{.capacity = {9, 1000}, .times = times});
    CHECK(checked.objective == result.objective);
    CHECK(result.bound <= result.objective);
    // The packer sees nothing but the loads in the order drawn.
    const table some = drawn_loads<2>(samples, drawn);
    const auto direct = packer.pack(some, options_of());
    REQUIRE(direct.packs.size() == result.packs.size());
    for (std::size_t k = 0; k < direct.packs.indices().size(); ++k)
      REQUIRE(result.packs.indices()[k] == drawn[direct.packs.indices()[k]]);
  }
}

TEST_CASE("Each sample drawn once, in order, is packed as the table is") {
  const table samples = random_table(60, 9);
  ids all(samples.size());
  for (std::uint32_t id = 0; id < all.size(); ++id) all[id] = id;
  const any_packer<2> packer = packers::streaming{.buffer = 8};
  const auto result = pack_drawn<2>(samples, all, packs_with(packer, options_of()), names);
  CHECK(result.packs == packer.pack(samples, options_of()).packs);
  CHECK(times_drawn(all, samples.size()) == ids(samples.size(), 1));
}

TEST_CASE("Oversize samples are listed once by their ids, with an own pack for each time") {
  const table samples = {{1, 10}, {20, 10}, {2, 20}, {1, 5000}};
  const ids drawn = {3, 1, 0, 1, 2, 1};
  const any_packer<2> packer = packers::balanced{};
  for (const auto policy : {oversize_policy::skip, oversize_policy::own_pack}) {
    const auto result =
        pack_drawn<2>(samples, drawn, packs_with(packer, options_of(policy)), names);
    CHECK(result.oversize == ids{1, 3});
    const auto& packed = result.packs.indices();
    CHECK(std::ranges::count(packed, 1) == (policy == oversize_policy::skip ? 0 : 3));
    CHECK(std::ranges::count(packed, 2) == 1);
  }
}

TEST_CASE("Errors about a load name the sample, not its place among those drawn") {
  const table samples = {{1, 10}, {20, 10}, {2, -20}};
  CHECK_THAT(refusal(samples, {0, 0, 1}, options_of()),
             ContainsSubstring("images[1] = 20: exceeds"));
  CHECK_THAT(refusal(samples, {0, 2}, options_of()), ContainsSubstring("tokens[2] = -20: "));
  packing_options<2> unnamed = options_of();
  unnamed.names = {};
  CHECK_THAT(refusal(samples, {0, 0, 1}, unnamed), ContainsSubstring("resource 0[1] = 20"));
  CHECK(refusal(samples, {0, 0}, options_of()).empty());
}

TEST_CASE("Other errors stay as they are") {
  packing_options<2> options = options_of();
  options.capacity[1] = 0;
  CHECK_THAT(refusal({{1, 10}}, {0, 0}, options), ContainsSubstring("capacity of tokens = 0"));
  const auto other = [](std::span<const loads<2>>) -> packing_result {
    throw invalid_input("packs", 1, 7, "is another's");
  };
  CHECK_THROWS_WITH(pack_drawn<2>(table{{1, 1}, {1, 1}}, ids{1, 0}, other),
                    "packs[1] = 7: is another's");
}

TEST_CASE("A draw beyond the table is refused, and none gives nothing") {
  const table samples = random_table(3, 1);
  CHECK_THAT(refusal(samples, {0, 3}, options_of()), ContainsSubstring("drawn[1] = 3: "));
  CHECK_THROWS_AS(times_drawn(ids{0, 5}, 5), invalid_input);
  CHECK_THROWS_AS(drawn_loads<2>(samples, ids{9}), invalid_input);
  CHECK(times_drawn({}, 2) == ids{0, 0});
  const any_packer<2> packer = packers::balanced{};
  CHECK(pack_drawn<2>(samples, {}, packs_with(packer, options_of()), names).packs.empty());
}
