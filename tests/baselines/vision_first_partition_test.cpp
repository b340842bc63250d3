// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <vector>

#include <omnibal/baselines/vision_first_partition.hpp>
#include <omnibal/core/error.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

std::vector<layer_kind> chain_of(std::size_t vision, std::size_t language) {
  std::vector<layer_kind> kinds(vision, layer_kind::vision);
  kinds.push_back(layer_kind::projector);
  kinds.push_back(layer_kind::embedding);
  kinds.insert(kinds.end(), language, layer_kind::language);
  kinds.push_back(layer_kind::head);
  return kinds;
}

}  // namespace

TEST_CASE("The vision tower is on the first stage and language layers are shared by number") {
  CHECK(partition_vision_first(chain_of(5, 8), 4) == std::vector<std::size_t>{0, 9, 11, 13, 16});
  CHECK(partition_vision_first(chain_of(5, 9), 4) == std::vector<std::size_t>{0, 10, 12, 14, 17});
  CHECK(partition_vision_first(chain_of(0, 3), 3) == std::vector<std::size_t>{0, 3, 4, 6});
  CHECK(partition_vision_first(chain_of(3, 1), 1) == std::vector<std::size_t>{0, 7});
}

TEST_CASE("Shares of language layers differ by one at most") {
  for (std::size_t language = 1; language < 30; ++language)
    for (std::size_t parts = 1; parts <= language; ++parts) {
      const std::vector<layer_kind> kinds = chain_of(4, language);
      const std::vector<std::size_t> cuts = partition_vision_first(kinds, parts);
      REQUIRE(cuts.size() == parts + 1);
      for (std::size_t part = 0; part < parts; ++part) {
        const auto begin = kinds.begin() + static_cast<std::ptrdiff_t>(cuts[part]);
        const auto end = kinds.begin() + static_cast<std::ptrdiff_t>(cuts[part + 1]);
        const auto share = static_cast<std::size_t>(std::count(begin, end, layer_kind::language));
        CHECK(share >= language / parts);
        CHECK(share <= (language + parts - 1) / parts);
      }
    }
}

TEST_CASE("Layers of no known kind are shared where there are enough of them") {
  const std::vector<layer_kind> kinds(4, layer_kind::custom);
  CHECK(partition_vision_first(kinds, 2) == std::vector<std::size_t>{0, 2, 4});
  CHECK(partition_vision_first(chain_of(8, 2), 3).empty());
  CHECK(partition_vision_first({}, 1).empty());
  CHECK_THROWS_AS(partition_vision_first(kinds, 0), invalid_input);
}
