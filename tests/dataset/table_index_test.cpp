// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/dataset/table_index.hpp>

#include "catch.hpp"

using namespace omnibal;

TEST_CASE("table_index reaches every row of every table (defect 4)") {
  const std::vector<std::uint64_t> rows{32, 0, 16, 48, 0};
  const table_index index(rows);
  CHECK(index.tables() == 5);
  CHECK(index.samples() == 96);
  std::uint64_t sample = 0;
  for (std::size_t table = 0; table < rows.size(); ++table)
    for (std::uint64_t row = 0; row < rows[table]; ++row, ++sample) {
      REQUIRE(index.sample({.table = table, .row = row}) == sample);
      REQUIRE(index.locate(sample) == table_row{.table = table, .row = row});
    }
  CHECK(sample == 96);
}

TEST_CASE("table_index refuses what is not there") {
  const std::vector<std::uint64_t> rows{3, 2};
  const table_index index(rows);
  CHECK_THROWS_WITH(index.locate(5), "sample = 5: must be less than 5");
  CHECK_THROWS_WITH(index.sample({.table = 0, .row = 3}), "row = 3: must be less than 3");
  CHECK_THROWS_WITH(index.sample({.table = 2, .row = 0}), "table = 2: must be less than 2");
  CHECK_THROWS_AS(table_index{}.locate(0), invalid_input);
  CHECK(table_index{}.samples() == 0);
  const std::vector<std::uint64_t> huge{~std::uint64_t{0}, 1};
  CHECK_THROWS_AS(table_index(huge), invalid_input);
}
