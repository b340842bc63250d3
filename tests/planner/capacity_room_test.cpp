// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <omnibal/planner/capacity_room.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../packing/length_tables.hpp"

using namespace omnibal;

namespace {

/// The published tables, or one shaped like them.
length_table some_table() {
  const auto published = published_tables({"ai2d", "chartqa"});
  return published ? *published : tiled_table(20'000, 1);
}

template <std::size_t Resources>
const weighed_capacity<Resources>& candidate_of(const capacity_choice<Resources>& choice,
                                                std::int64_t lead) {
  const auto found = std::ranges::find_if(
      choice.candidates, [&](const auto& one) { return one.found.capacity[0] == lead; });
  REQUIRE(found != choice.candidates.end());
  return *found;
}

}  // namespace

TEST_CASE("capacities that arithmetic makes bad are passed over and named") {
  // Two samples of 5 tiles never share 9, and most have 5.
  const length_table samples = some_table();
  const auto choice = choose_capacity<2>({.samples = samples});
  const auto& nine = candidate_of(choice, 9);
  const auto& ten = candidate_of(choice, 10);
  CHECK(nine.found.room > ten.found.room * 5 / 4);
  CHECK(nine.found.samples_per_pack < 2);
  CHECK(nine.passed_over.find("the room that samples fill") != std::string::npos);
  CHECK(choice.best[0] >= 10);
}

TEST_CASE("room is what packs take over what their samples fill") {
  // Packs of 10 hold three of 3: 10/9 of the room of 9.
  const std::vector<loads<1>> samples(3000, {3});
  const auto rooms = survey_capacities<1>({.samples = samples});
  REQUIRE(rooms.size() == 10);
  CHECK(rooms.front().capacity[0] == 3);
  CHECK(rooms.back().capacity[0] == 12);
  for (const capacity_room<1>& one : rooms) {
    CHECK(std::int64_t(one.samples_per_pack) == one.capacity[0] / 3);
    CHECK(one.room == 1'000'000 * one.capacity[0] / (one.capacity[0] / 3 * 3));
  }
}

TEST_CASE("a number of samples a pack is kept within a tenth where capacities allow it") {
  const length_table samples = some_table();
  for (const double wanted : {1.5, 3.0, 4.0, 10.0}) {
    const auto choice = choose_capacity<2>({.samples = samples, .samples_per_pack = wanted});
    const auto& best = candidate_of(choice, choice.best[0]).found;
    CHECK(best.samples_per_pack > 0.9 * wanted);
    CHECK(best.samples_per_pack < 1.1 * wanted);
    CHECK(std::ranges::count(choice.candidates, std::string(), &weighed_capacity<2>::passed_over) ==
          1);
  }
  const auto one = choose_capacity<2>({.samples = samples, .samples_per_pack = 0.01});
  CHECK(one.best == one.candidates.front().found.capacity);
}

TEST_CASE("limits on capacities are kept, for any resource") {
  const length_table samples = some_table();
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const loads<2>& limit : {loads<2>{most, 4096}, loads<2>{12, most}, loads<2>{12, 3500}}) {
    const auto choice = choose_capacity<2>({.samples = samples, .most = limit});
    for (const auto& [found, passed_over] : choice.candidates)
      for (std::size_t r = 0; r < 2; ++r) REQUIRE(found.capacity[r] <= limit[r]);
    CHECK(choice.best[0] >= 10);
  }
  // Below the largest sample the limit still holds; the samples beyond it are the packer's affair.
  const auto small = choose_capacity<2>({.samples = samples, .most = {4, 900}});
  CHECK(small.best == loads<2>{4, 900});
}

TEST_CASE("capacities are chosen for text alone, three resources, few samples and none") {
  const std::vector<loads<2>> text(500, {0, 37});
  CHECK(choose_capacity<2>({.samples = text}).best[0] == 1);
  std::vector<loads<3>> three;
  for (std::int64_t k = 0; k < 900; ++k) three.push_back({k % 3, 100 + k % 70, k % 2 * 40});
  for (const auto& [found, passed_over] :
       choose_capacity<3>({.samples = three, .samples_per_pack = 5}).candidates)
    for (const loads<3>& sample : three)
      for (std::size_t r = 0; r < 3; ++r) REQUIRE(sample[r] <= found.capacity[r]);
  const std::vector<loads<2>> single = {{7, 90}};
  CHECK(choose_capacity<2>({.samples = single}).best == loads<2>{7, 90});
  CHECK(choose_capacity<2>({}).best == loads<2>{1, 1});
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  const std::vector<loads<1>> giants(5, {huge});
  CHECK(choose_capacity<1>({.samples = giants}).best[0] == huge);
}

TEST_CASE("a choice of capacities is the same for the same seed, and a stop ends the search") {
  const length_table samples = tiled_table(50'000, 9);
  const auto first = choose_capacity<2>({.samples = samples, .seed = 3});
  const auto second = choose_capacity<2>({.samples = samples, .seed = 3});
  CHECK(first.best == second.best);
  for (std::size_t k = 0; k < first.candidates.size(); ++k)
    CHECK(first.candidates[k].found.room == second.candidates[k].found.room);
  std::stop_source stop;
  stop.request_stop();
  CHECK(survey_capacities<2>({.samples = samples}, {.stop = stop.get_token()}).size() == 1);
}

TEST_CASE("a number of samples a pack that is not positive is refused") {
  const std::vector<loads<1>> samples = {{1}};
  for (const double wanted : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS_WITH((choose_capacity<1>({.samples = samples, .samples_per_pack = wanted})),
                      Catch::Contains("samples_per_pack"));
}
