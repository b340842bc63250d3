// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/packing_check.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

grouping<std::uint32_t> packs_of(const std::vector<std::vector<std::uint32_t>>& packs) {
  grouping<std::uint32_t> result;
  for (const auto& pack : packs) result.append(pack);
  return result;
}

const std::vector<loads<2>> four = {{5, 10}, {4, 20}, {9, 1}, {12, 3}};

std::string refusal(const std::vector<std::vector<std::uint32_t>>& packs,
                    packing_check_options<2> options = {.capacity = {9, 40}}) {
  try {
    (void)check_packing(packs_of(packs), four, options);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Packs that hold are returned with what is beyond the capacity and a bound") {
  const packing_result result = check_packing(packs_of({{0, 1}, {2}, {3}}), four,
                                              packing_check_options<2>{.capacity = {9, 40}});
  CHECK(result.objective == 3);
  CHECK(result.bound == 3);
  CHECK(result.status == search_status::optimal);
  CHECK(result.oversize == std::vector<std::uint32_t>{3});
  const packing_result without =
      check_packing(packs_of({{0}, {1}, {2}}), four, packing_check_options<2>{.capacity = {9, 40}});
  CHECK(without.bound == 2);
  CHECK(without.status == search_status::feasible);
  CHECK(without.oversize == std::vector<std::uint32_t>{3});
}

TEST_CASE("The first sample or pack that does not hold is named") {
  CHECK(refusal({{0, 1}, {2}, {3}}) == "");
  CHECK(refusal({{0, 1}, {0}, {2}}) == "samples[0] = in packs 2 times: must be in packs once");
  CHECK(refusal({{0, 1}}) == "samples[2] = in packs 0 times: must be in packs once");
  CHECK(refusal({{0, 1}, {3}, {3}, {2}}) == "samples[3] = in packs 2 times: must be in packs once");
  CHECK(refusal({{0, 1}, {}, {2}}) == "packs[1] = empty: must hold a sample");
  CHECK(refusal({{0, 2}, {1}}, {.capacity = {9, 40}, .names = {"images", "tokens"}}) ==
        "packs[0] = 14 images: must be within the capacity, 9, unless it holds a single sample");
  CHECK(refusal({{0, 2}, {1}}) ==
        "packs[0] = 14 of resource 0: must be within the capacity, 9, unless it holds a single "
        "sample");
  CHECK(refusal({{0, 1}, {2}, {7}}) == "packs = 7: names a sample beyond the last");
}

TEST_CASE("Samples may have to be in packs several times, or never") {
  const std::vector<std::uint32_t> times = {2, 0, 1, 1};
  const packing_check_options<2> options{.capacity = {9, 40}, .times = times};
  CHECK(refusal({{0}, {0}, {2}, {3}}, options) == "");
  CHECK(refusal({{0}, {2}}, options) == "samples[0] = in packs once: must be in packs 2 times");
  CHECK(refusal({{0}, {0}, {1}, {2}}, options) ==
        "samples[1] = in packs once: must be in packs 0 times");
  CHECK(refusal({}, {.capacity = {9, 40}, .times = std::span(times).first(3)}) ==
        "times = 3: must have one entry per sample, 4");
}

TEST_CASE("Packs of every packer hold, with the bound that the packer proves or a better one") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    random_stream random(seed, 5);
    std::vector<loads<3>> samples(static_cast<std::size_t>(test::draw(random, 0, 60)));
    for (loads<3>& sample : samples)
      for (std::int64_t& load : sample) load = test::draw(random, 0, 30);
    const packing_options<3> options{
        .capacity = {40, 25, 60}, .seed = seed, .oversize = oversize_policy::own_pack};
    for (const packing_result& packed :
         {pack_balanced(samples, options), pack_isf(samples, options)}) {
      const packing_result checked =
          check_packing(packed.packs, samples, packing_check_options<3>{.capacity = {40, 25, 60}});
      REQUIRE(checked.oversize == packed.oversize);
      REQUIRE(checked.objective == packed.objective);
      REQUIRE(checked.bound >= packed.bound);
      REQUIRE(checked.bound <= packed.objective);
    }
  }
}
