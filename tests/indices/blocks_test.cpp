// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/indices/blocks.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/indices/tokens.hpp>
#include <omnibal/indices/tree.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::indices;

namespace {

using integers = std::vector<std::int64_t>;
using offsets = std::vector<std::int32_t>;

std::int64_t side(std::mt19937& random, std::uint32_t most) {
  return 1 + static_cast<std::int64_t>(random() % most);
}

/// Lists the blocks by looking at every cell.
void check_blocks(const offsets& first, const offsets& limit, std::int64_t bq, std::int64_t bk) {
  const auto slots = static_cast<std::int64_t>(first.size());
  const block_mask mask = list_blocks(first, limit, bq, bk);
  REQUIRE(static_cast<std::int64_t>(mask.kv.count.size()) == (slots + bq - 1) / bq);
  REQUIRE(static_cast<std::int64_t>(mask.q.count.size()) == (slots + bk - 1) / bk);
  std::vector<offsets> kv(mask.kv.count.size()), full_kv = kv, q(mask.q.count.size()), full_q = q;
  for (std::size_t i = 0; i < kv.size(); ++i)
    for (std::size_t j = 0; j < q.size(); ++j) {
      std::int64_t seen = 0;
      for (std::int64_t x = static_cast<std::int64_t>(i) * bq;
           x < std::min(slots, static_cast<std::int64_t>(i + 1) * bq); ++x)
        for (std::int64_t k = static_cast<std::int64_t>(j) * bk;
             k < std::min(slots, static_cast<std::int64_t>(j + 1) * bk); ++k)
          seen += first[static_cast<std::size_t>(k)] <= x && x < limit[static_cast<std::size_t>(k)]
                      ? 1
                      : 0;
      if (seen == 0) continue;
      (seen == bq * bk ? full_kv : kv)[i].push_back(static_cast<std::int32_t>(j));
      (seen == bq * bk ? full_q : q)[j].push_back(static_cast<std::int32_t>(i));
    }
  for (std::size_t i = 0; i < kv.size(); ++i) {
    REQUIRE(std::ranges::equal(mask.kv.line(i), kv[i]));
    REQUIRE(std::ranges::equal(mask.full_kv.line(i), full_kv[i]));
  }
  for (std::size_t j = 0; j < q.size(); ++j) {
    REQUIRE(std::ranges::equal(mask.q.line(j), q[j]));
    REQUIRE(std::ranges::equal(mask.full_q.line(j), full_q[j]));
  }
  const compressed_blocks lists = compress(mask.kv);
  for (std::size_t i = 0; i < kv.size(); ++i)
    REQUIRE(offsets(lists.indices.begin() + lists.offsets[i],
                    lists.indices.begin() + lists.offsets[i + 1]) == kv[i]);
}

/// Whether a query sees a key, as the masks are usually written.
bool sees(mask_kind kind, std::int64_t q, std::int64_t k, std::int64_t document_begin,
          std::int64_t w, const offsets& image) {
  const auto group = [&](std::int64_t slot) { return image[static_cast<std::size_t>(slot)]; };
  // Runs of one number: two images that touch have different ones here.
  const bool same_image = group(q) >= 0 && group(q) == group(k);
  switch (kind) {
    case mask_kind::causal: return k <= q;
    case mask_kind::full: return true;
    case mask_kind::causal_window: return k <= q && q - k < w;
    case mask_kind::bidirectional_window: return q - k <= w && k - q <= w;
    case mask_kind::causal_chunk:
      return k <= q && (q - document_begin) / w == (k - document_begin) / w;
    case mask_kind::prefix: return k <= q || same_image;
    case mask_kind::prefix_window: return q - k < w && (k <= q || same_image);
  }
  return false;
}

}  // namespace

TEST_CASE("intervals of keys are the masks as they are usually written") {
  std::mt19937 random(5);
  for (int round = 0; round < 400; ++round) {
    integers lengths(random() % 5);
    for (auto& length : lengths) length = static_cast<std::int64_t>(random() % 12);
    const std::int64_t slots =
        lay_row(lengths).summary.tokens + static_cast<std::int64_t>(random() % 4);
    const auto laid = lay_row(lengths, slots);
    const auto n = static_cast<std::size_t>(slots);
    offsets image(n, -1), starts(n), first(n), limit(n);
    std::int32_t number = 0;
    for (std::size_t s = 0; s < n; ++s)
      image[s] =
          random() % 3 == 0 ? (random() % 2 == 0 ? -1 : number++) : (s == 0 ? -1 : image[s - 1]);
    find_image_starts(image, starts);
    const auto kind = static_cast<mask_kind>(random() % 7);
    const std::int64_t w = 1 + static_cast<std::int64_t>(random() % 6);
    fill_tokens(laid.row(), {.image_first = starts, .mask = kind, .mask_parameter = w},
                {.first_query = first, .limit_query = limit});
    for (std::int64_t q = 0; q < slots; ++q)
      for (std::int64_t k = 0; k < slots; ++k) {
        const token_cursor query = cursor_at(laid.row(), q);
        const token_cursor key = cursor_at(laid.row(), k);
        const bool expected =
            query.document == key.document && sees(kind, q, k, key.begin, w, image);
        const auto at = static_cast<std::size_t>(k);
        REQUIRE((first[at] <= q && q < limit[at]) == expected);
      }
    check_blocks(first, limit, side(random, 9), side(random, 9));
  }
}

TEST_CASE("blocks of any intervals, with gaps and beyond the row") {
  std::mt19937 random(6);
  for (int round = 0; round < 600; ++round) {
    offsets first(random() % 40), limit(first.size());
    for (std::size_t k = 0; k < first.size(); ++k) {
      first[k] = static_cast<std::int32_t>(random() % 45);
      limit[k] = random() % 3 == 0 ? 0 : static_cast<std::int32_t>(random() % 60);
    }
    check_blocks(first, limit, side(random, 12), side(random, 12));
  }
  CHECK_THROWS_AS(list_blocks(offsets{0}, offsets{}, 1, 1), invalid_input);
  CHECK_THROWS_AS(list_blocks(offsets{-1}, offsets{0}, 1, 1), invalid_input);
  CHECK_THROWS_AS(list_blocks(offsets{0}, offsets{1}, 0, 1), invalid_input);
}

TEST_CASE("flashmask columns are the interval turned round") {
  CHECK(flashmask_of({3, 9}).lower_start == 9);
  CHECK(flashmask_of({3, 9}).upper_end == 3);
}

TEST_CASE(
    "a prefix tree in preorder: its intervals are the ancestors, its rectangles the same cells") {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::vector<integers> sequences(random() % 5);
    for (auto& sequence : sequences)
      for (std::size_t i = random() % 6; i-- > 0;)
        sequence.push_back(static_cast<std::int64_t>(random() % 2));
    std::int64_t most = 0;
    for (const auto& sequence : sequences) most += static_cast<std::int64_t>(sequence.size());
    const tree_row row = lay_tree(sequences, most);
    REQUIRE(row.preorder);
    const std::size_t used = row.tokens.size();
    // Each sequence is a path from a root.
    for (const auto& sequence : sequences) {
      std::int32_t above = -1;
      for (const std::int64_t token : sequence) {
        std::int32_t found = -1;
        for (std::size_t s = 0; s < used; ++s)
          if (row.parent[s] == above && row.tokens[s] == token) {
            REQUIRE(found == -1);
            found = static_cast<std::int32_t>(s);
          }
        REQUIRE(found > above);
        above = found;
      }
    }
    std::set<std::pair<std::int32_t, std::int32_t>> ancestors, intervals, cells;
    for (std::int32_t q = 0; q < static_cast<std::int32_t>(used); ++q)
      for (std::int32_t k = q; k >= 0; k = row.parent[static_cast<std::size_t>(k)])
        ancestors.insert({q, k});
    const interval_in_tree interval{row.subtree_end.data()};
    for (std::int32_t k = 0; k < most; ++k)
      for (std::int64_t q = interval(k).first; q < interval(k).limit; ++q)
        intervals.insert({static_cast<std::int32_t>(q), k});
    for (const tree_rectangle& one : row.rectangles)
      for (std::int32_t q = one.q_begin; q < one.q_end; ++q)
        for (std::int32_t k = one.k_begin; k < one.k_end; ++k)
          if (one.full || k <= q) REQUIRE(cells.insert({q, k}).second);
    REQUIRE(intervals == ancestors);
    REQUIRE(cells == ancestors);
    const tree_row numbered = lay_tree(sequences, most, tree_order::first_appearance);
    REQUIRE(numbered.tokens.size() == used);
  }
  const std::vector<integers> interrupted{{1, 2, 3}, {1, 9}, {1, 2, 4}};
  CHECK_FALSE(lay_tree(interrupted, 7, tree_order::first_appearance).preorder);
  CHECK(lay_tree(interrupted, 7).preorder);
  CHECK_THROWS_AS(lay_tree(interrupted, 4), invalid_input);
}
