// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/offsets.hpp>
#include <omnibal/indices/split.hpp>
#include <omnibal/indices/tokens.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::indices;

namespace {

using integers = std::vector<std::int64_t>;

/// Every global slot is at one place, and `local` finds it.
template <typename Split>
void check_is_permutation(const Split& split, std::int64_t slots, std::int64_t ranks) {
  std::vector<bool> seen(static_cast<std::size_t>(slots));
  REQUIRE(split.local_slots() * ranks == slots);
  for (std::int64_t rank = 0; rank < ranks; ++rank)
    for (std::int64_t local = 0; local < split.local_slots(); ++local) {
      const std::int64_t global = split.global(rank, local);
      REQUIRE(global >= 0);
      REQUIRE(global < slots);
      REQUIRE_FALSE(seen[static_cast<std::size_t>(global)]);
      seen[static_cast<std::size_t>(global)] = true;
      REQUIRE(split.local(global) == rank_slot{rank, local});
    }
}

}  // namespace

TEST_CASE("each split of a row is a permutation with its inverse") {
  for (const std::int64_t ranks : {1, 2, 3, 4, 6, 8})
    for (const std::int64_t parts : {1, 2, 5}) {
      const std::int64_t slots = 2 * ranks * parts;
      check_is_permutation(contiguous{slots, ranks}, slots, ranks);
      check_is_permutation(striped{slots, ranks}, slots, ranks);
      check_is_permutation(zigzag_row{slots, ranks}, slots, ranks);
      for (std::int64_t ring = 1; ring <= ranks; ++ring)
        if (ranks % ring == 0)
          check_is_permutation(zigzag_ring_ulysses{slots, ring, ranks / ring}, slots, ranks);
    }
  check_is_permutation(whole{7}, 7, 1);
}

TEST_CASE("zigzag of documents: a permutation, whose real tokens are those of cu_seqlens") {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const std::int64_t ranks = 1 + static_cast<std::int64_t>(random() % 5);
    integers lengths(random() % 7);
    for (auto& length : lengths)
      length = static_cast<std::int64_t>(random() % 25) * (random() % 4 != 0);
    const auto laid = lay_row(lengths, std::nullopt, 2 * ranks);
    const zigzag split{laid.row(), ranks};
    check_is_permutation(split, laid.row().slots, ranks);
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      std::vector<std::int32_t> tokens(lengths.size());
      integers position(static_cast<std::size_t>(split.local_slots()));
      integers slot(position.size());
      fill_tokens(laid.row(), split, rank, {}, {.position_ids = position, .global_slot = slot});
      std::int64_t before = -1;
      for (std::size_t local = 0; local < slot.size(); ++local) {
        const token_cursor at = cursor_at(laid.row(), slot[local]);
        REQUIRE(slot[local] == split.global(rank, static_cast<std::int64_t>(local)));
        REQUIRE(position[local] == at.offset());
        REQUIRE(slot[local] > before);  // documents stay in order, and so do the two chunks of each
        before = slot[local];
        if (!at.is_padding()) ++tokens[static_cast<std::size_t>(at.document)];
      }
      const auto offsets = zigzag_cu_seqlens(split, rank);
      for (std::size_t d = 0; d < tokens.size(); ++d)
        REQUIRE(offsets[d + 1] - offsets[d] == tokens[d]);
    }
  }
}

TEST_CASE("chunks of the zigzag order are numbered both ways") {
  for (const std::int64_t ranks : {1, 2, 7})
    for (std::int64_t n = 0; n < 2 * ranks; ++n) {
      CHECK(zigzag_chunk_place(zigzag_chunk(n, ranks), ranks) == n);
      CHECK(zigzag_row{2 * ranks, ranks}.global(n / 2, n % 2) == zigzag_chunk(n, ranks));
    }
}

TEST_CASE("gathered keys: each query sees the keys of its document") {
  std::mt19937 random(4);
  for (int round = 0; round < 500; ++round) {
    const std::int64_t ranks = 1 + static_cast<std::int64_t>(random() % 4);
    integers lengths(1 + random() % 6);
    for (auto& length : lengths) length = static_cast<std::int64_t>(random() % 9);
    lengths.back() += (ranks - lay_row(lengths).summary.tokens % ranks) % ranks;
    const auto laid = lay_row(lengths);
    const std::int64_t part = laid.summary.tokens / ranks;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      const auto view = view_contiguous(laid.cu_seqlens, ranks, rank, true);
      REQUIRE(view.cu_seqlens_q.size() == view.cu_seqlens_k.size());
      REQUIRE(view.cu_seqlens_q.back() == part);
      for (std::size_t d = 0; d + 1 < view.cu_seqlens_q.size(); ++d)
        for (std::int32_t q = view.cu_seqlens_q[d]; q < view.cu_seqlens_q[d + 1]; ++q) {
          // Aligned to the end: the last query sees all keys, the one before all but one, …
          const std::int64_t keys =
              view.cu_seqlens_k[d + 1] - view.cu_seqlens_k[d] - (view.cu_seqlens_q[d + 1] - 1 - q);
          const token_cursor at = cursor_at(laid.row(), rank * part + q);
          REQUIRE(keys == at.offset() + 1);
          REQUIRE(view.k_begin + view.cu_seqlens_k[d] == at.begin);
        }
    }
  }
  CHECK_THROWS_AS(view_contiguous(std::vector<std::int32_t>{0, 9}, 2, 0, true), invalid_input);
  CHECK_THROWS_AS(view_contiguous(std::vector<std::int32_t>{0, 8}, 2, 2, true), invalid_input);
}

TEST_CASE("offsets of consumers at their borders") {
  CHECK(cudnn_batch_capacity(0) == 32);
  CHECK(cudnn_batch_capacity(33) == 64);
  CHECK(cudnn_batch_capacity(512) == 512);
  CHECK(cudnn_batch_capacity(513) == 1024);
  CHECK(cudnn_batch_capacity(1025) == 1536);
  CHECK(cudnn_token_capacity(1025) == 2048);
  CHECK(cudnn_token_capacity(32769) == 65536);
  CHECK(cudnn_token_capacity(65537) == 98304);
  CHECK_FALSE(cudnn_needs_int64({.q = 2'097'151}, 1024, 1024));
  CHECK(cudnn_needs_int64({.q = 2'097'152}, 1024, 1024));
  CHECK(cudnn_needs_int64({.v = 2'097'152}, 1024, 1024));
  CHECK(lay_flashinfer(integers{46340}, integers{46340}, 16).mask_indptr[1] == 2'147'395'600);
  CHECK_THROWS_AS(lay_flashinfer(integers{46341}, integers{46341}, 16), invalid_input);
  const auto chunks = lay_chunks(integers{0, 5, 4}, 4);
  CHECK(chunks.offsets == std::vector<std::int32_t>{0, 0, 2, 3});
  CHECK(chunks.indices == std::vector<std::int32_t>{1, 0, 1, 1, 2, 0});
  CHECK(chunks.split_cu_seqlens == std::vector<std::int32_t>{0, 4, 5, 9});
}
