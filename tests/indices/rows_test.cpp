// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rows of several tensors move by the same sources; places in rows and runs of prefix trees are
/// what their definitions say.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/indices/rows.hpp>
#include <omnibal/indices/tree.hpp>

#include "catch.hpp"

namespace {

using namespace omnibal::indices;

template <typename Value>
moved_rows moved(const std::vector<Value>& from, std::vector<Value>& to, std::size_t width,
                 std::size_t rows) {
  return {reinterpret_cast<const std::byte*>(from.data()), reinterpret_cast<std::byte*>(to.data()),
          width * sizeof(Value), rows};
}

}  // namespace

TEST_CASE("one call moves tensors of several types") {
  const std::vector<std::int64_t> source{2, -1, 0, 2};
  const std::vector<double> wide{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint8_t> narrow{7, 8, 9};
  std::vector<double> wide_out(8, -1);
  std::vector<std::uint8_t> narrow_out(4, 255);
  move_rows(row_move::gather, source,
            std::vector{moved(wide, wide_out, 2, 3), moved(narrow, narrow_out, 1, 3)});
  CHECK(wide_out == std::vector<double>{5, 6, 0, 0, 1, 2, 5, 6});
  CHECK(narrow_out == std::vector<std::uint8_t>{9, 0, 7, 9});

  std::vector<std::uint8_t> scattered{1, 1, 1};
  move_rows(row_move::scatter, std::vector<std::int64_t>{2, -1, 0},
            std::vector{moved(narrow, scattered, 1, 3)});
  CHECK(scattered == std::vector<std::uint8_t>{9, 1, 7});
}

TEST_CASE("a source beyond the rows of any tensor is refused before anything moves") {
  const std::vector<std::uint8_t> from{7, 8, 9};
  std::vector<std::uint8_t> first(2, 1), second(2, 1);
  CHECK_THROWS_WITH(move_rows(row_move::gather, std::vector<std::int64_t>{0, 2},
                              std::vector{moved(from, first, 1, 3), moved(from, second, 1, 2)}),
                    Catch::Matchers::Contains("source[1] = 2"));
  CHECK(first == std::vector<std::uint8_t>{1, 1});
}

TEST_CASE("the functor of places agrees with the list of places") {
  const std::vector<std::int64_t> lengths{3, 0, 4, 2, 5};
  const std::vector<std::int64_t> rows{0, 0, 1, 1, 3};
  const std::vector<std::int32_t> cu_tokens{0, 3, 9, 9, 14};
  const auto places = places_in_rows(lengths, rows, 11);
  const place_in_rows place{cu_tokens.data(), 4, 11};
  for (std::size_t token = 0; token < places.size(); ++token)
    CHECK(place(static_cast<std::int64_t>(token)) == places[token]);
}

TEST_CASE("the runs of a tree give the depth and the subtree of each of its slots") {
  std::mt19937 random(6);
  for (int turn = 0; turn < 60; ++turn) {
    std::vector<std::vector<std::int64_t>> sequences(random() % 6);
    for (auto& sequence : sequences)
      for (std::size_t i = random() % 12; i > 0; --i)
        sequence.push_back(static_cast<std::int64_t>(random() % 2));
    const tree_row tree = lay_tree(
        sequences, 80, turn % 2 == 0 ? tree_order::preorder : tree_order::first_appearance);
    REQUIRE((tree.runs.empty() == tree.tokens.empty()));
    for (std::size_t run = 0; run < tree.runs.size(); ++run) {
      const std::size_t end = run + 1 < tree.runs.size()
                                  ? static_cast<std::size_t>(tree.runs[run + 1].begin)
                                  : tree.tokens.size();
      for (auto slot = static_cast<std::size_t>(tree.runs[run].begin); slot < end; ++slot) {
        const tree_slot found = slot_in_run(tree.runs[run], static_cast<std::int64_t>(slot));
        REQUIRE(found.position == tree.position_ids[slot]);
        REQUIRE(found.seen_by.limit == tree.subtree_end[slot]);
      }
    }
  }
}
