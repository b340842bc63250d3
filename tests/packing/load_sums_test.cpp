// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::detail;

namespace {

template <typename Word>
void require_same_as_wide(const sum_limits<3>& limits, std::uint64_t seed) {
  const packed_sums<3, Word> packed(limits);
  const wide_sums<3> wide(limits);
  random_stream random(seed);
  auto packed_sum = packed.empty();
  auto wide_sum = wide.empty();
  for (int k = 0; k < 2000; ++k) {
    fitting_loads<3> sample;
    for (std::size_t r = 0; r < 3; ++r) {
      const auto most = static_cast<std::uint32_t>(limits.capacity[r]);
      sample[r] = uniform_below(random, uniform_below(random, most + 1) + 1);
    }
    const auto packed_next = packed.add(packed_sum, packed.pack(sample));
    const auto wide_next = wide.add(wide_sum, wide.pack(sample));
    REQUIRE(packed.exceeds(packed_next) == wide.exceeds(wide_next));
    const bool over = wide.exceeds(wide_next);
    packed_sum = over ? packed.add(packed.empty(), packed.pack(sample)) : packed_next;
    wide_sum = over ? wide.add(wide.empty(), wide.pack(sample)) : wide_next;
    REQUIRE(packed.full(packed_sum) == wide.full(wide_sum));
  }
}

}  // namespace

TEST_CASE("sums in one word compare as sums in many do") {
  const bool first_exact = GENERATE(false, true);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    require_same_as_wide<std::uint32_t>({{9, 127, 128}, {8, 100, 1}, first_exact}, seed);
    require_same_as_wide<std::uint32_t>({{1, 1, 1}, {1, 1, 1}, first_exact}, seed);
    require_same_as_wide<std::uint64_t>({{15, 4096, 70000}, {15, 3968, 70000}, first_exact}, seed);
  }
}

TEST_CASE("sums fill a word to its last bit") {
  const sum_limits<1> all_32{{(std::int64_t{1} << 31) - 1}, {1}};
  REQUIRE(packed_sum_bits(all_32.capacity) == 32);
  const packed_sums<1, std::uint32_t> sums(all_32);
  const auto full = sums.add(sums.empty(), sums.pack({(std::uint64_t{1} << 31) - 1}));
  CHECK(!sums.exceeds(full));
  CHECK(sums.full(full));
  CHECK(sums.exceeds(sums.add(full, sums.pack({1}))));
  CHECK(sums.exceeds(sums.add(full, sums.pack({(std::uint64_t{1} << 31) - 1}))));
  CHECK(!sums.full(sums.empty()));
}
