// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <numeric>
#include <stop_token>
#include <string>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/rebalance/bound.hpp>
#include <omnibal/rebalance/detail/exchange_search.hpp>
#include <omnibal/rebalance/detail/placement_frontier.hpp>
#include <omnibal/rebalance/differencing.hpp>
#include <omnibal/rebalance/rebalance.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"
#include "rebalance/rebalance_peer.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

rebalance_problem random_problem(std::uint32_t ranks, std::uint32_t samples, std::uint32_t most,
                                 random_stream& random) {
  rebalance_problem problem{.ranks = ranks};
  for (std::uint32_t s = 0; s < samples; ++s)
    problem.samples.push_back({.rank = uniform_below(random, ranks),
                               .cost = uniform_below(random, most + 1),
                               .bytes = uniform_below(random, most + 1)});
  return problem;
}

std::vector<std::uint32_t> homes(const rebalance_problem& problem) {
  std::vector<std::uint32_t> ranks;
  for (const owned_sample& sample : problem.samples) ranks.push_back(sample.rank);
  return ranks;
}

using cost_and_bytes = std::vector<std::pair<std::int64_t, std::int64_t>>;

cost_and_bytes outline(const rebalance_result& result) {
  cost_and_bytes points;
  for (const rebalance_point& point : result.frontier) points.emplace_back(point.cost, point.bytes);
  return points;
}

/// The frontier by trying every placement.
cost_and_bytes enumerated_frontier(const rebalance_problem& problem) {
  std::map<std::int64_t, std::int64_t> least_bytes;  // by cost
  std::vector<std::uint32_t> ranks(problem.samples.size());
  for (bool done = false; !done;) {
    const std::int64_t bytes = bytes_moved(problem, ranks);
    const auto entry = least_bytes.try_emplace(largest_cost(problem, ranks), bytes).first;
    entry->second = std::min(entry->second, bytes);
    done = true;
    for (std::uint32_t& rank : ranks) {
      rank = (rank + 1) % problem.ranks;
      if (rank != 0) {
        done = false;
        break;
      }
    }
  }
  cost_and_bytes points;
  for (const auto& [cost, bytes] : least_bytes)
    if (points.empty() || bytes < points.back().second) points.emplace_back(cost, bytes);
  std::ranges::reverse(points);
  return points;
}

/// The least bytes at which every rank costs at most `most`, sample by sample; INT64_MAX where that
/// is impossible.
class least_bytes_search {
 public:
  least_bytes_search(rebalance_problem problem, std::int64_t most)
      : problem_(std::move(problem)), costs_(problem_.ranks), most_(most) {
    std::ranges::sort(problem_.samples, std::ranges::greater{}, &owned_sample::cost);
    idle_ = most * problem_.ranks - sum_of_costs(problem_);
    if (idle_ >= 0) place(0, 0);
  }
  [[nodiscard]] std::int64_t least() const { return least_; }

 private:
  void place(std::size_t s, std::int64_t bytes) {
    if (bytes >= least_) return;
    if (s == problem_.samples.size()) {
      least_ = bytes;
      return;
    }
    const owned_sample& sample = problem_.samples[s];
    // Time shorter than the smallest sample stays idle, of which there is only so much.
    std::int64_t lost = 0;
    for (const std::int64_t cost : costs_)
      if (most_ - cost < problem_.samples.back().cost) lost += most_ - cost;
    if (lost > idle_) return;
    for (std::uint32_t k = 0; k < problem_.ranks; ++k) {
      const std::uint32_t rank = (sample.rank + k) % problem_.ranks;
      if (costs_[rank] + sample.cost > most_) continue;
      costs_[rank] += sample.cost;
      place(s + 1, bytes + (k == 0 ? 0 : sample.bytes));
      costs_[rank] -= sample.cost;
    }
  }

  rebalance_problem problem_;
  std::vector<std::int64_t> costs_;
  std::int64_t most_;
  std::int64_t idle_ = 0;
  std::int64_t least_ = INT64_MAX;
};

/// What must hold of every result.
void check_sound(const rebalance_problem& problem, const rebalance_result& result,
                 const rebalance_options& options = {}) {
  REQUIRE_FALSE(result.frontier.empty());
  REQUIRE(result.frontier.front().bytes == 0);
  REQUIRE(result.frontier.front().cost <= largest_cost(problem, homes(problem)));
  for (std::size_t k = 0; k < result.frontier.size(); ++k) {
    const rebalance_point& point = result.frontier[k];
    std::vector<std::uint32_t> ranks = homes(problem);
    for (std::size_t m = 0; m < point.moves.size(); ++m) {
      const sample_move& move = point.moves[m];
      REQUIRE((m == 0 || point.moves[m - 1].sample < move.sample));
      REQUIRE(ranks.at(move.sample) == move.from);
      REQUIRE(move.to != move.from);
      REQUIRE(move.to < problem.ranks);
      ranks[move.sample] = move.to;
    }
    REQUIRE(largest_cost(problem, ranks) == point.cost);
    REQUIRE(bytes_moved(problem, ranks) == point.bytes);
    REQUIRE(bound_bytes(problem, point.cost) <= point.bytes);
    if (k > 0) {
      REQUIRE(point.cost < result.frontier[k - 1].cost);
      REQUIRE(point.bytes > result.frontier[k - 1].bytes);
    }
  }
  REQUIRE(result.objective == result.frontier.back().cost);
  REQUIRE(bound_cost(problem) <= result.bound);
  REQUIRE(result.bound <= result.objective);
  REQUIRE(result.bytes_bound <= result.plan().bytes);
  const auto tolerated = [&](const rebalance_point& point) {
    return wide_integer{point.cost - result.objective} * 1'000'000 * problem.ranks <=
           wide_integer{sum_of_costs(problem)} * options.tolerance;
  };
  REQUIRE(tolerated(result.plan()));
  REQUIRE((result.chosen == 0 || !tolerated(result.frontier[result.chosen - 1])));
  if (result.status == search_status::optimal) {
    REQUIRE(result.objective == result.bound);
    REQUIRE(result.plan().bytes == result.bytes_bound);
  }
}

void fold(std::uint64_t& hash, std::uint64_t value) {
  hash = (hash ^ value) * std::uint64_t{0x100000001B3};
}

std::uint64_t hash_of(const rebalance_result& result) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const rebalance_point& point : result.frontier) {
    fold(hash, static_cast<std::uint64_t>(point.cost));
    fold(hash, static_cast<std::uint64_t>(point.bytes));
    for (const sample_move& move : point.moves) {
      fold(hash, move.sample);
      fold(hash, move.to);
    }
  }
  return hash;
}

}  // namespace

TEST_CASE("rebalance finds the whole frontier of small problems") {
  random_stream random(1);
  for (int round = 0; round < 400; ++round) {
    const std::uint32_t ranks = 1 + uniform_below(random, 4);
    const std::uint32_t samples = uniform_below(random, ranks == 4 ? 8 : ranks == 3 ? 9 : 12);
    // Small numbers make ties and zeros, large ones hardly any.
    const std::uint32_t most = round % 2 == 0 ? 6 : 1000;
    const rebalance_problem problem = random_problem(ranks, samples, most, random);
    const rebalance_result result = rebalance(problem);
    check_sound(problem, result);
    REQUIRE(result.status == search_status::optimal);
    REQUIRE(outline(result) == enumerated_frontier(problem));
  }
}

TEST_CASE("rebalance finds the whole frontier of four ranks with four samples each") {
  random_stream random(2);
  for (int round = 0; round < 6; ++round) {
    rebalance_problem problem = random_problem(4, 16, 40, random);
    // Half of the rounds with uneven shares, which leaves some ranks little or nothing.
    if (round % 2 == 0)
      for (std::uint32_t s = 0; s < 16; ++s) problem.samples[s].rank = s / 4;
    const rebalance_result result = rebalance(problem);
    check_sound(problem, result);
    REQUIRE(result.status == search_status::optimal);
    for (std::size_t k = 0; k < result.frontier.size(); ++k) {
      const rebalance_point& point = result.frontier[k];
      const std::int64_t next_bytes =
          k + 1 < result.frontier.size() ? result.frontier[k + 1].bytes : INT64_MAX;
      REQUIRE(least_bytes_search(problem, point.cost).least() == point.bytes);
      REQUIRE(least_bytes_search(problem, point.cost - 1).least() == next_bytes);
    }
  }
}

TEST_CASE("bounds lie below every plan and are met where they must be") {
  random_stream random(3);
  for (int round = 0; round < 200; ++round) {
    const std::uint32_t ranks = 1 + uniform_below(random, 3);
    const rebalance_problem problem =
        random_problem(ranks, uniform_below(random, 9), round % 2 == 0 ? 5 : 300, random);
    const cost_and_bytes frontier = enumerated_frontier(problem);
    REQUIRE(bound_cost(problem) <= frontier.back().first);
    for (const auto& [cost, bytes] : frontier) {
      REQUIRE(bound_bytes(problem, cost) <= bytes);
      REQUIRE(bound_bytes(problem, cost + 1) <= bytes);
    }
    REQUIRE(bound_bytes(problem, frontier.front().first) == 0);
  }
  // Three samples on two ranks: two of them share one.
  CHECK(bound_cost({.ranks = 2, .samples = {{0, 9, 1}, {0, 8, 1}, {1, 7, 1}}}) == 15);
  CHECK(bound_cost({.ranks = 2, .samples = {{0, 9, 1}, {0, 1, 1}}}) == 9);
  CHECK(bound_cost({.ranks = 2, .samples = {{0, 3, 1}, {0, 3, 1}, {0, 3, 1}, {0, 4, 1}}}) == 7);
  CHECK(bound_cost({.ranks = 3}) == 0);
  // Over by 5: the sample of cost 6 for 10 bytes, or 3 and 2 for 4 and 5.
  const rebalance_problem over{.ranks = 2, .samples = {{0, 6, 10}, {0, 3, 4}, {0, 2, 5}}};
  CHECK(bound_bytes(over, 6) == 9);
  CHECK(bound_bytes(over, 11) == 0);
}

TEST_CASE("the bound on bytes of ranks with many samples allows parts of samples") {
  random_stream random(4);
  for (int round = 0; round < 50; ++round) {
    rebalance_problem problem = random_problem(2, 12, round % 2 == 0 ? 9 : 500, random);
    for (owned_sample& sample : problem.samples) sample.rank = 0;
    for (const auto& [cost, bytes] : enumerated_frontier(problem))
      REQUIRE(bound_bytes(problem, cost) <= bytes);
  }
  // Ten samples of cost 10 and 7 bytes: to lose 15, one and a half must go, 10.5 bytes.
  const rebalance_problem ten{.ranks = 2, .samples = std::vector(10, owned_sample{0, 10, 7})};
  CHECK(bound_bytes(ten, 85) == 11);
  CHECK(bound_bytes(ten, 0) == 70);
}

TEST_CASE("rebalance is sound where it cannot be exact, and never dearer than differencing") {
  random_stream random(5);
  for (int round = 0; round < 150; ++round) {
    const std::uint32_t ranks = 1 + uniform_below(random, 20);
    const std::uint32_t samples = 17 + uniform_below(random, 80);
    const rebalance_problem problem =
        random_problem(ranks, samples, round % 3 == 0 ? 5 : 5000, random);
    const rebalance_options options{.tolerance = uniform_below(random, 100'000)};
    const rebalance_result result = rebalance(problem, options);
    check_sound(problem, result, options);
    std::vector<std::int64_t> costs;
    for (const owned_sample& sample : problem.samples) costs.push_back(sample.cost);
    REQUIRE(result.objective <= largest_cost(problem, differencing_parts(costs, ranks)));
  }
}

TEST_CASE("rebalance comes near the exact frontier by its search alone") {
  random_stream random(6);
  double excess = 0;
  for (int round = 0; round < 60; ++round) {
    rebalance_problem problem = random_problem(3, 9, 1000, random);
    const cost_and_bytes best = enumerated_frontier(problem);
    detail::placement_frontier found;
    REQUIRE(detail::exchange_search(problem, found).run(bound_cost(problem), {}));
    REQUIRE(found.points().back().cost >= best.back().first);
    excess +=
        static_cast<double>(found.points().back().cost) / static_cast<double>(best.back().first) -
        1;
  }
  CHECK(excess / 60 < 0.03);
}

TEST_CASE("rebalance does nothing where nothing helps") {
  const auto unmoved = [](const rebalance_problem& problem) {
    const rebalance_result result = rebalance(problem);
    check_sound(problem, result);
    CHECK(result.status == search_status::optimal);
    CHECK(result.frontier.size() == 1);
    CHECK(result.plan().moves.empty());
  };
  unmoved({.ranks = 1});
  unmoved({.ranks = 64});
  unmoved({.ranks = 1, .samples = {{0, 5, 6}, {0, 7, 8}}});
  unmoved({.ranks = 3, .samples = {{2, 5, 6}}});
  unmoved({.ranks = 2, .samples = {{0, 0, 6}, {0, 0, 8}}});
  rebalance_problem even{.ranks = 100};
  for (std::uint32_t s = 0; s < 400; ++s)
    even.samples.push_back({.rank = s % 100, .cost = 7, .bytes = 1});
  unmoved(even);
}

TEST_CASE("rebalance fills ranks that hold nothing") {
  rebalance_problem problem{.ranks = 8};
  for (std::uint32_t s = 0; s < 64; ++s)
    problem.samples.push_back({.rank = 3, .cost = 10, .bytes = 5});
  const rebalance_result result = rebalance(problem);
  check_sound(problem, result);
  CHECK(result.objective == 80);
  CHECK(result.plan().bytes == 56 * 5);
  CHECK(result.status == search_status::optimal);
}

TEST_CASE("rebalance moves what sends no bytes") {
  const rebalance_problem problem{.ranks = 2, .samples = {{0, 4, 0}, {0, 4, 9}}};
  const rebalance_result result = rebalance(problem);
  CHECK(outline(result) == cost_and_bytes{{4, 0}});
  CHECK(result.plan().moves == std::vector<sample_move>{{0, 0, 1}});
}

TEST_CASE("rebalance stops paying bytes at the tolerance") {
  // 12 and 8 cost mean 10; moving 1 for a byte leaves 11, moving 2 for 100 bytes makes 10.
  const rebalance_problem problem{.ranks = 2,
                                  .samples = {{0, 9, 1000}, {0, 1, 1}, {0, 2, 100}, {1, 8, 1000}}};
  CHECK(rebalance(problem, {.tolerance = 0}).plan().cost == 10);
  CHECK(rebalance(problem, {.tolerance = 99'999}).plan().cost == 10);
  const rebalance_result enough = rebalance(problem, {.tolerance = 100'000});
  CHECK(enough.plan().cost == 11);
  CHECK(enough.plan().bytes == 1);
  CHECK(rebalance(problem, {.tolerance = 200'000}).plan().moves.empty());
}

TEST_CASE("rebalance takes costs and bytes up to the limit and refuses sums beyond") {
  const std::int64_t quarter = std::int64_t{1} << 61;
  rebalance_problem problem{.ranks = 2,
                            .samples = {{0, quarter, quarter},
                                        {0, quarter, quarter},
                                        {0, quarter, quarter},
                                        {1, quarter - 1, quarter - 1}}};
  const rebalance_result result = rebalance(problem, {.tolerance = 0});
  check_sound(problem, result, {.tolerance = 0});
  CHECK(result.objective == 2 * quarter);
  CHECK(result.plan().moves.size() == 1);
  for (std::uint32_t s = 0; s < 40; ++s) problem.samples.push_back({.rank = 1});
  check_sound(problem, rebalance(problem, {.tolerance = UINT32_MAX}), {.tolerance = UINT32_MAX});
  problem.samples[2].cost = quarter + 2;
  CHECK_THROWS_WITH(rebalance(problem),
                    "cost[3] = 2305843009213693951: makes the sum over all "
                    "samples 2^63 or more");
  problem.samples[2] = {0, quarter, quarter + 2};
  CHECK_THROWS_WITH(rebalance(problem), Catch::Matchers::ContainsSubstring("bytes[3]"));
}

TEST_CASE("rebalance names what is wrong with a problem") {
  const auto message = [](const rebalance_problem& problem) -> std::string {
    try {
      (void)rebalance(problem);
    } catch (const invalid_input& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({.ranks = 0}) == "ranks = 0: must be at least 1");
  CHECK(message({.ranks = 2, .samples = {{0, 1, 1}, {2, 1, 1}}}) ==
        "rank[1] = 2: must be less than the number of ranks, 2");
  CHECK(message({.ranks = 2, .samples = {{0, -1, 1}}}) == "cost[0] = -1: must not be negative");
  CHECK(message({.ranks = 2, .samples = {{0, 1, 1}, {0, 1, -5}}}) ==
        "bytes[1] = -5: must not be negative");
}

TEST_CASE("weighted_cost balances resources jointly or one alone") {
  const std::array<std::int64_t, 2> sample = {5, 1359};
  CHECK(weighted_cost(sample, {12'000, 39}) == 113'001);
  CHECK(weighted_cost(sample, {1, 0}) == 5);
  CHECK(weighted_cost(sample, {0, 1}) == 1359);
  CHECK_THROWS_WITH(weighted_cost(sample, {1, -1}), "weights[1] = -1: must not be negative");
  CHECK_THROWS_WITH(weighted_cost(std::array{1, -2}, {1, 1}),
                    "loads[1] = -2: must not be negative");
  CHECK_THROWS_AS(weighted_cost(sample, {INT64_MAX, 0}), invalid_input);
}

TEST_CASE("rebalance returns what it has where a stop is asked for") {
  random_stream random(7);
  for (const std::uint32_t ranks : {3U, 40U}) {
    const rebalance_problem problem = random_problem(ranks, 4 * ranks, 1000, random);
    std::stop_source source;
    source.request_stop();
    const rebalance_options options{.control = {.stop = source.get_token()}};
    const rebalance_result result = rebalance(problem, options);
    check_sound(problem, result);
    CHECK(result.status == search_status::stopped);
    CHECK(result.limit == search_limit::stop);
  }
}

TEST_CASE("rebalance ends in time where one rank of many holds very much") {
  random_stream random(8);
  rebalance_problem problem = random_problem(16, 20'000, 1'000'000, random);
  for (owned_sample& sample : problem.samples) sample.rank = 5;
  const rebalance_result result = rebalance(problem);
  check_sound(problem, result);
  CHECK(static_cast<double>(result.objective) < 1.001 * static_cast<double>(result.bound));
}

TEST_CASE("rebalance makes the same plan everywhere") {
  random_stream random(9);
  const length_table table = tiled_table(5000, 1);
  const auto hash = [&](std::uint32_t ranks) {
    return hash_of(rebalance(loaded_step(table, ranks, 4, random)));
  };
  CHECK(hash(4) == 3465756959470869912U);
  CHECK(hash(8) == 4218435255804063969U);
  CHECK(hash(64) == 15083688491168112115U);
}

TEST_CASE("rebalance costs no more than the peer and moves half the bytes") {
  check_against_peer(tiled_table(20'000, 11), GENERATE(8U, 64U));
}

TEST_CASE("costs before any move, and relative to the mean rank") {
  const rebalance_problem problem{
      .ranks = 3,
      .samples = {{.rank = 0, .cost = 4}, {.rank = 2, .cost = 5}, {.rank = 0, .cost = 3}}};
  CHECK(initial_cost(problem) == 7);
  CHECK(relative_cost(problem, 4) == 1.0);
  CHECK(relative_cost(problem, 8) == 2.0);
  CHECK(relative_cost(problem, 0) == 0.0);
  const rebalance_problem idle{.ranks = 2, .samples = {{.rank = 1, .bytes = 9}}};
  CHECK(initial_cost(idle) == 0);
  CHECK(relative_cost(idle, 0) == 1.0);
  CHECK(initial_cost({.ranks = 4}) == 0);
  random_stream random(6);
  for (int round = 0; round < 50; ++round) {
    const rebalance_problem any = random_problem(1 + uniform_below(random, 6), 20, 40, random);
    REQUIRE(initial_cost(any) == largest_cost(any, homes(any)));
    REQUIRE(relative_cost(any, initial_cost(any)) >= 1.0 - 1e-12);
    REQUIRE(rebalance(any).objective <= initial_cost(any));
  }
}
