// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/detail/sample_clustering.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::detail;

TEST_CASE("cell_divider puts every point with samples into the cell that counts it") {
  random_stream random(5);
  for (const std::size_t rows : {1U, 2U, 9U, 40U})
    for (const std::uint32_t most : {1U, 3U, 1000U}) {
      constexpr std::size_t width = 50;
      std::vector<std::uint32_t> counts(rows * width);
      for (auto& count : counts)
        if (uniform_below(random, 3) == 0) count = uniform_below(random, most) + 1;
      const plane_cells divided = cell_divider(counts, width).divide();
      REQUIRE(divided.cells.size() <= plane_cells::most_cells);
      std::vector<std::uint64_t> counted(divided.cells.size());
      for (std::size_t k = 0; k < counts.size(); ++k) {
        if (counts[k] == 0) continue;
        const std::size_t cell = divided.cell_of[k];
        REQUIRE(cell < divided.cells.size());
        REQUIRE(divided.cells[cell].least.row <= k / width);
        REQUIRE(divided.cells[cell].least.column <= k % width);
        counted[cell] += counts[k];
      }
      for (std::size_t cell = 0; cell < counted.size(); ++cell)
        REQUIRE(counted[cell] == divided.cells[cell].count);
    }
}

TEST_CASE("cell_divider gives a row the more cells the more its columns differ") {
  // Row 0 from column 10 to 49, row 1 at column 40 only.
  std::vector<std::uint32_t> counts(100);
  for (std::size_t column = 10; column < 50; ++column) counts[column] = 1000;
  counts[90] = 40000;
  const plane_cells divided = cell_divider(counts, 50).divide();
  CHECK(divided.cells.size() > 10);
  CHECK(divided.cells.back().least == plane_point{.row = 1, .column = 40});
  CHECK(divided.cells[divided.cells.size() - 2].least.row == 0);
}

TEST_CASE("cell_divider makes no cells of nothing, and one of one point") {
  CHECK(cell_divider(std::vector<std::uint32_t>(10), 10).divide().cells.empty());
  std::vector<std::uint32_t> counts(10);
  counts[7] = 3;
  const plane_cells divided = cell_divider(counts, 5).divide();
  REQUIRE(divided.cells.size() == 1);
  CHECK(divided.cells[0].least == plane_point{.row = 1, .column = 2});
  CHECK(divided.cells[0].count == 3);
}
