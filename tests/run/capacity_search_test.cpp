// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <stop_token>
#include <vector>

#include <omnibal/run/capacity_search.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

const std::vector<loads<2>> table = [] {
  std::vector<loads<2>> samples;
  for (int k = 0; k < 25; ++k)
    for (const loads<2>& one : {loads<2>{5, 1400}, {3, 900}, {1, 300}, {5, 1500}})
      samples.push_back(one);
  return samples;
}();

capacity_search_result search(const std::vector<loads<2>>& samples,
                              const std::function<capacity_outcome(const loads<2>&)>& evaluate,
                              const search_control& control = {}) {
  return search_capacity({.samples = samples,
                          .evaluate = [&](const loads<2>& capacity, std::span<const loads<2>>,
                                          capacity_effort) { return evaluate(capacity); },
                          .global_batch = 100},
                         {.control = control});
}

const capacity_candidate& candidate_of(const capacity_search_result& found, std::int64_t tiles) {
  return *std::ranges::find_if(found.candidates, [&](const capacity_candidate& candidate) {
    return candidate.capacity[0] == tiles;
  });
}

}  // namespace

TEST_CASE("The fastest capacity that fits and keeps the global batch is taken") {
  const auto found = search(table, [](const loads<2>& capacity) {
    // Larger is faster, but 18 and more do not fit, and 15 to 17 miss the global batch.
    return capacity_outcome{.fits = capacity[0] < 18,
                            .time_per_sample = 1.0 / static_cast<double>(capacity[0]),
                            .samples_per_step = capacity[0] < 15 ? 95.0 : 150.0};
  });
  CHECK(found.best[0] == 14);
  CHECK(candidate_of(found, 14).passed_over.empty());
  CHECK(candidate_of(found, 12).passed_over.starts_with("takes 1.167 x the time of the best"));
  CHECK(candidate_of(found, 15).passed_over.find("global batch") != std::string::npos);
  CHECK(candidate_of(found, 18).passed_over == "does not fit the memory");
}

TEST_CASE("Where none keeps the global batch the fastest that fits is taken") {
  const auto found = search(table, [](const loads<2>& capacity) {
    return capacity_outcome{.fits = capacity[0] != 5,
                            .time_per_sample = static_cast<double>(capacity[0]),
                            .samples_per_step = 1.0};
  });
  CHECK(found.best[0] == 6);
}

TEST_CASE("Every candidate holds the largest sample, in tiles and tokens") {
  for (const auto& samples :
       {table, std::vector<loads<2>>{{0, 700}, {0, 3}}, std::vector<loads<2>>{{40, 1}},
        std::vector<loads<2>>{{0, 0}}, std::vector<loads<2>>{{1, 100'000}, {4, 10}}}) {
    const auto found =
        search(samples, [](const loads<2>&) { return capacity_outcome{.fits = true}; });
    REQUIRE(!found.candidates.empty());
    for (const capacity_candidate& candidate : found.candidates)
      for (const loads<2>& sample : samples)
        for (std::size_t r = 0; r < 2; ++r) {
          REQUIRE(candidate.capacity[r] >= 1);
          REQUIRE(candidate.capacity[r] >= sample[r]);
        }
  }
}

TEST_CASE("The smallest capacities and those of all samples together are tried, none larger") {
  const std::vector<loads<2>> samples = {{1, 1135}, {1, 1136}};
  const auto found =
      search(samples, [](const loads<2>&) { return capacity_outcome{.fits = true}; });
  CHECK(found.candidates.front().capacity == loads<2>{1, 1136});
  CHECK(found.candidates.back().capacity == loads<2>{2, 2271});
}

TEST_CASE("A capacity far from the proportion of the loads is found where that is best") {
  // One sample in fifty has images; the best packs are as small as samples allow.
  std::vector<loads<2>> samples;
  for (int k = 0; k < 2000; ++k) samples.push_back({k % 50 == 0 ? 12 : 0, 400 + 37 * k % 3000});
  for (const loads<2>& best : {loads<2>{12, 3399}, {12, 7000}, {30, 3500}, {24, 11000}}) {
    const auto found = search(samples, [&](const loads<2>& capacity) {
      double time = 1;
      for (std::size_t r = 0; r < 2; ++r) {
        const double off = static_cast<double>(capacity[r]) / static_cast<double>(best[r]);
        time += off > 1 ? off - 1 : 1 / off - 1;
      }
      return capacity_outcome{.fits = true, .time_per_sample = time, .samples_per_step = 100};
    });
    for (std::size_t r = 0; r < 2; ++r)
      CHECK(std::abs(static_cast<double>(found.best[r]) / static_cast<double>(best[r]) - 1) < 0.08);
  }
}

TEST_CASE("Larger capacities are found where the smaller ones do not fit") {
  const auto found = search(table, [](const loads<2>& capacity) {
    return capacity_outcome{.fits = capacity[0] >= 60 && capacity[1] >= 20'000,
                            .time_per_sample = static_cast<double>(capacity[0]),
                            .samples_per_step = 100};
  });
  CHECK(found.best[0] >= 60);
  CHECK(found.best[0] < 80);
  const auto none = search(table, [](const loads<2>&) { return capacity_outcome{}; });
  CHECK(none.best == loads<2>{5, 1500});
}

TEST_CASE("Only the best are planned with all plans, and one of these is chosen") {
  // One plan misjudges: 5 looks best, and 6 is.
  std::size_t all_plans = 0;
  const auto found = search_capacity(
      {.samples = table,
       .evaluate =
           [&](const loads<2>& capacity, std::span<const loads<2>>, capacity_effort effort) {
             all_plans += effort == capacity_effort::all_plans ? 1 : 0;
             double time = static_cast<double>(capacity[0] + capacity[1]);
             if (effort == capacity_effort::all_plans && capacity[0] == 6) time *= 0.9;
             return capacity_outcome{
                 .fits = true, .time_per_sample = time, .samples_per_step = 100};
           },
       .global_batch = 100});
  CHECK(found.best[0] == 6);
  CHECK(all_plans <= 12);
  CHECK(all_plans < found.candidates.size());
}

TEST_CASE("Many samples are compared on a random part, the same for the same seed") {
  const std::vector<loads<2>> samples(30'000, loads<2>{2, 600});
  std::size_t seen = 0;
  (void)search_capacity({.samples = samples,
                         .evaluate =
                             [&](const loads<2>&, std::span<const loads<2>> part, capacity_effort) {
                               seen = part.size();
                               return capacity_outcome{.fits = true};
                             }},
                        {.sample_limit = 5000});
  CHECK(seen == 5000);
}

TEST_CASE("A stop request ends the search with what it has") {
  std::stop_source stop;
  stop.request_stop();
  const auto found = search(table, [](const loads<2>&) { return capacity_outcome{.fits = true}; },
                            {.stop = stop.get_token()});
  CHECK(found.candidates.size() == 1);
}

TEST_CASE("A stop request does not end the search before something fits") {
  std::stop_source stop;
  int tried = 0;
  const auto found = search(table,
                            [&](const loads<2>&) {
                              stop.request_stop();
                              return capacity_outcome{.fits = ++tried == 3};
                            },
                            {.stop = stop.get_token()});
  CHECK(found.candidates.size() == 3);
  CHECK(found.best == found.candidates.back().capacity);
}

TEST_CASE("A stop request ends the search after a few candidates where nothing fits") {
  std::stop_source stop;
  stop.request_stop();
  const auto nothing = [](const loads<2>&) { return capacity_outcome{}; };
  const auto found = search(table, nothing, {.stop = stop.get_token()});
  CHECK(found.candidates.size() < 12);
  CHECK(found.status == search_status::stopped);
  CHECK(found.limit == search_limit::stop);
  const auto all = search(table, nothing, {});
  CHECK(all.candidates.size() > 30);
  CHECK(all.status == search_status::infeasible);
}
