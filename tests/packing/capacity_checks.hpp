// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the choice of capacities promises of tables whose samples mostly have 5 tiles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include <omnibal/packing/capacity_choice.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

namespace omnibal::test {

template <std::size_t Resources>
const considered_capacity<Resources>& candidate_of(const capacity_choice_result<Resources>& choice,
                                                   std::int64_t lead) {
  const auto found = std::ranges::find_if(
      choice.candidates, [&](const auto& one) { return one.found.capacity[0] == lead; });
  REQUIRE(found != choice.candidates.end());
  return *found;
}

inline void check_bad_capacities_are_passed_over(const length_table& samples) {
  const auto choice = choose_capacity<2>({.samples = samples});
  const auto& nine = candidate_of(choice, 9);
  const auto& ten = candidate_of(choice, 10);
  CHECK(nine.found.capacity_ratio > ten.found.capacity_ratio * 5 / 4);
  CHECK(nine.found.samples_per_pack < 2);
  CHECK(nine.passed_over.find("the capacity that their samples fill") != std::string::npos);
  CHECK(choice.best[0] >= 10);
}

inline void check_samples_per_pack_are_kept(const length_table& samples) {
  for (const double wanted : {1.5, 3.0, 4.0, 10.0}) {
    const auto choice = choose_capacity<2>({.samples = samples, .samples_per_pack = wanted});
    const auto& best = candidate_of(choice, choice.best[0]).found;
    CHECK(best.samples_per_pack > 0.9 * wanted);
    CHECK(best.samples_per_pack < 1.1 * wanted);
    CHECK(std::ranges::count(choice.candidates, std::string(),
                             &considered_capacity<2>::passed_over) == 1);
  }
  const auto one = choose_capacity<2>({.samples = samples, .samples_per_pack = 0.01});
  CHECK(one.best == one.candidates.front().found.capacity);
}

inline void check_limits_are_kept(const length_table& samples) {
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

}  // namespace omnibal::test
