// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/even_partition.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

using ranked = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// Σ F² and Σ latency of every partition within the radius, best first.
ranked enumerate(const std::vector<std::int64_t>& forward, const std::vector<std::int64_t>& latency,
                 std::size_t parts, std::size_t radius) {
  const auto anchor = greedy_anchor(forward, parts);
  ranked all;
  test::for_each_partition(forward.size(), parts, [&](const auto& cuts) {
    std::int64_t squares = 0;
    std::int64_t edges = 0;
    for (std::size_t j = 0; j < parts; ++j) {
      const auto distance = cuts[j] > anchor[j] ? cuts[j] - anchor[j] : anchor[j] - cuts[j];
      if (distance > radius) return;
      std::int64_t time = 0;
      for (std::size_t l = cuts[j]; l < cuts[j + 1]; ++l) time += forward[l];
      squares += time * time;
      if (j + 1 < parts) edges += latency[cuts[j + 1] - 1];
    }
    all.emplace_back(squares, edges);
  });
  std::ranges::sort(all);
  return all;
}

}  // namespace

TEST_CASE("The best few within a radius agree with enumeration, best first") {
  random_stream random(17);
  for (int round = 0; round < 300; ++round) {
    const auto layers = static_cast<std::size_t>(test::draw(random, 1, 9));
    const auto parts = static_cast<std::size_t>(
        test::draw(random, 1, static_cast<std::int64_t>(std::min<std::size_t>(layers, 4))));
    std::vector<std::int64_t> forward(layers);
    std::vector<std::int64_t> latency(layers);
    for (auto& time : forward) time = test::draw(random, 0, 9);
    for (auto& time : latency) time = test::draw(random, 0, 3);
    const auto radius = static_cast<std::size_t>(test::draw(random, 0, 9));
    const auto top = static_cast<std::size_t>(test::draw(random, 1, 5));
    const auto found = anchored_partitions(forward, latency, parts, {.radius = radius, .top = top});
    ranked expected = enumerate(forward, latency, parts, radius);
    if (expected.size() > top) expected.resize(top);
    REQUIRE(found.size() == expected.size());
    for (std::size_t k = 0; k < found.size(); ++k) {
      REQUIRE(found[k].sum_of_squares == expected[k].first);
      REQUIRE(found[k].latency == expected[k].second);
      REQUIRE(found[k].cuts.size() == parts + 1);
    }
  }
}

TEST_CASE("Only allowed stages are used") {
  const std::vector<std::int64_t> forward = {4, 1, 1, 1, 1, 4};
  const std::vector<std::int64_t> latency(6, 0);
  const auto free = anchored_partitions(forward, latency, 3, {.radius = 6, .top = 1});
  REQUIRE(free.front().cuts == std::vector<std::size_t>{0, 1, 5, 6});
  const auto short_stages = [](std::size_t, std::size_t begin, std::size_t end) {
    return end - begin <= 3;
  };
  const auto limited =
      anchored_partitions(forward, latency, 3, {.radius = 6, .top = 1, .allows = short_stages});
  CHECK(limited.front().cuts == std::vector<std::size_t>{0, 1, 4, 6});
  const auto nothing = [](std::size_t, std::size_t, std::size_t) { return false; };
  CHECK(anchored_partitions(forward, latency, 3, {.radius = 6, .allows = nothing}).empty());
}

TEST_CASE("The anchor cuts where the running sum is nearest to equal shares") {
  CHECK(greedy_anchor(std::vector<std::int64_t>{1, 1, 1, 1}, 2) ==
        std::vector<std::size_t>{0, 2, 4});
  CHECK(greedy_anchor(std::vector<std::int64_t>{9, 1, 1, 1}, 2) ==
        std::vector<std::size_t>{0, 1, 4});
  CHECK(greedy_anchor(std::vector<std::int64_t>{0, 0, 0}, 3) ==
        std::vector<std::size_t>{0, 1, 2, 3});
}

TEST_CASE("Even partition needs a layer for each stage") {
  CHECK(partition_evenly(std::vector<std::int64_t>{5, 5, 10}, 2) ==
        std::vector<std::size_t>{0, 2, 3});
  CHECK_THROWS_WITH(partition_evenly(std::vector<std::int64_t>{1}, 2),
                    Catch::Matchers::ContainsSubstring("parts = 2"));
  CHECK(anchored_partitions(std::vector<std::int64_t>{1}, std::vector<std::int64_t>{0}, 2).empty());
  CHECK_THROWS_AS(anchored_partitions(std::vector<std::int64_t>{1}, std::vector<std::int64_t>{}, 1),
                  invalid_input);
}
