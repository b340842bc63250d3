// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/core/grouping.hpp>

#include "catch.hpp"

using omnibal::grouping;
using omnibal::invalid_input;

namespace {

using offsets = std::vector<std::uint64_t>;
using indices = std::vector<std::uint32_t>;

template <typename Span>
auto copy(const Span& span) {
  return std::vector(span.begin(), span.end());
}

}  // namespace

TEST_CASE("an empty grouping has one offset and no group") {
  const grouping<> none;
  CHECK(none.empty());
  CHECK(none.size() == 0);
  CHECK(none.indices().empty());
  CHECK(copy(none.offsets()) == offsets{0});
  CHECK(none == grouping<>({0}, {}));
}

TEST_CASE("groups come back as they were put in") {
  grouping<> groups;
  groups.reserve(4, 5);
  groups.append(indices{4, 2});
  groups.close_group();
  groups.push_back(7);
  groups.push_back(7);
  groups.push_back(0);
  groups.close_group();
  groups.append({});
  REQUIRE(groups.size() == 4);
  CHECK(copy(groups[0]) == indices{4, 2});
  CHECK(groups[1].empty());
  CHECK(copy(groups[2]) == indices{7, 7, 0});
  CHECK(groups[3].empty());
  CHECK(copy(groups.offsets()) == offsets{0, 2, 2, 5, 5});
  CHECK(copy(groups.indices()) == indices{4, 2, 7, 7, 0});
}

TEST_CASE("arrays made elsewhere are taken over") {
  const grouping<std::uint64_t> groups({0, 1, 1, 3}, {9, 8, 1ULL << 40});
  REQUIRE(groups.size() == 3);
  CHECK(copy(groups[0]) == std::vector<std::uint64_t>{9});
  CHECK(groups[1].empty());
  CHECK(copy(groups[2]) == std::vector<std::uint64_t>{8, 1ULL << 40});
}

TEST_CASE("arrays that are no groups are refused, naming the place") {
  CHECK_THROWS_WITH(grouping<>({}, {}), "offsets[0] = nothing: must start with 0");
  CHECK_THROWS_WITH(grouping<>({1, 1}, {5}), "offsets[0] = 1: must start with 0");
  CHECK_THROWS_WITH(grouping<>({0, 2, 1, 3}, {5, 6, 7}),
                    "offsets[2] = 1: must not be less than the one before");
  CHECK_THROWS_WITH(grouping<>({0, 2}, {5, 6, 7}),
                    "offsets[1] = 2: must end at the number of indices, 3");
  CHECK_THROWS_WITH(grouping<>({0, 4}, {5, 6, 7}),
                    "offsets[1] = 4: must end at the number of indices, 3");
  CHECK_THROWS_AS(grouping<>({0}, {1}), invalid_input);
}

TEST_CASE("groupings are equal when groups and their order are") {
  const grouping<> groups({0, 2, 3}, {1, 2, 3});
  CHECK(groups == grouping<>({0, 2, 3}, {1, 2, 3}));
  CHECK_FALSE(groups == grouping<>({0, 1, 3}, {1, 2, 3}));
  CHECK_FALSE(groups == grouping<>({0, 2, 3}, {2, 1, 3}));
  CHECK_FALSE(groups == grouping<>({0, 2, 3, 3}, {1, 2, 3}));
}
