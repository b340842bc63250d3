// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/packing/isf.hpp>

#include "catch.hpp"
#include "packing/pack_hash.hpp"
#include "packing/pack_stream.hpp"
#include "packing/table_family.hpp"
#include "shared/published_tables.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

struct published_case {
  std::vector<std::string> files;
  packing_options<2> options;
  packers::isf method;
  std::size_t packs;
  std::string hash;
};

published_case published(std::vector<std::string> files, std::array<std::int64_t, 2> capacity,
                         std::uint32_t iterations, std::uint64_t seed, std::size_t packs,
                         std::string hash) {
  return {.files = std::move(files),
          .options = {.capacity = capacity, .seed = seed},
          .method = {.iterations = iterations,
                     .stream = isf_stream::published,
                     .threshold = {capacity[0], capacity[1] - 128}},
          .packs = packs,
          .hash = std::move(hash)};
}

}  // namespace

TEST_CASE("pack_isf reproduces the published groups of published tables") {
  const published_case expected =
      GENERATE(published({"ai2d"}, {9, 4096}, 50, 1024, 3435,
                         "e979805bdbbbc92be81a80696a6c65ffb3875d9741650fb0936cc2c76f00394c"),
               published({"ai2d", "chartqa"}, {9, 4096}, 50, 1024, 18987,
                         "c3bd997029b5ba9e4c0fdfee1523d3a883366dac4320cec1591a9cb21ec37f8c"),
               published({"ai2d", "chartqa"}, {18, 6016}, 50, 7, 6690,
                         "a126f0579b98e61c24bf035af4ecf16406321bf30a7489c9336308a40fd55610"),
               published({"chartqa"}, {12, 4096}, 3, 0, 8812,
                         "cae6b27655b5f9cb10b0ee21351bad8e66b86ec1a3afdffea38d4d2e854cfcc5"));
  const packing_result result =
      pack_isf(need_tables(expected.files), expected.options, expected.method);
  CHECK(result.packs.size() == expected.packs);
  CHECK(hash_of(result.packs) == expected.hash);
}

TEST_CASE("the balanced packer is within two thousandths of its bound on published tables") {
  check_packs_are_near_their_bound(need_tables({"ai2d"}), need_tables({"chartqa"}),
                                   GENERATE(1U, 2U));
}

TEST_CASE("a buffer of 1000 costs less than a hundredth on published tables") {
  check_cost_of_buffer(need_tables({"ai2d", "chartqa"}));
}

TEST_CASE("a buffer of 1000 costs less than a hundredth on published tables with text-only rows") {
  check_cost_of_buffer_with_text(need_tables({"ai2d", "chartqa"}));
}
