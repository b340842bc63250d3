// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/indices/packed_batch.hpp>
#include <omnibal/indices/tokens.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::indices;

namespace {

using integers = std::vector<std::int64_t>;

const std::vector<std::uint32_t> pack{2, 0};
const integers tokens{3, 99, 5};
const integers labels{50, 51, 52, 53, 54, 30, 31, 32};

}  // namespace

TEST_CASE("a pack becomes the arrays of its consumer, with shapes of the layout") {
  const auto batch =
      make_packed_batch(pack, tokens, labels,
                        {.consumer = batch_consumer::transformers, .slots = 12, .documents = 4});
  CHECK(batch.cu_seqlens == std::vector<std::int32_t>{0, 5, 8, 12, 12, 12});
  CHECK(batch.position_ids == integers{0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3});
  CHECK(batch.sequence_index == std::vector<std::int32_t>{0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2});
  CHECK(batch.source_slot == integers{0, 1, 2, 3, 4, 5, 6, 7, -1, -1, -1, -1});
  CHECK(batch.labels == integers{-100, 51, 52, 53, 54, -100, 31, 32, -100, -100, -100, -100});
  CHECK(batch.loss_weights.empty());
  CHECK(batch.max_seqlen == 5);
  const auto weighed = make_packed_batch(pack, tokens, labels,
                                         {.consumer = batch_consumer::internvl,
                                          .slots = 12,
                                          .documents = 4,
                                          .weighting = loss_weighting::sample});
  CHECK(weighed.loss_weights[1] == 0.25F);
  CHECK(weighed.loss_weights[6] == 0.5F);
  CHECK(weighed.loss_weight_sum == 2.0);
}

TEST_CASE("the ranks of megatron's row have each token once, with the next one as its label") {
  std::set<std::int64_t> seen;
  double weights = 0;
  std::vector<std::int32_t> real(2);
  for (std::int64_t rank = 0; rank < 2; ++rank) {
    const packed_batch_options options{.consumer = batch_consumer::megatron,
                                       .slots = 20,
                                       .documents = 3,
                                       .multiple = 4,
                                       .ranks = 2,
                                       .rank = rank};
    const auto batch = make_packed_batch(pack, tokens, labels, options);
    REQUIRE(batch.labels.size() == 10);
    for (std::size_t i = 0; i < 10; ++i) {
      CHECK(seen.insert(batch.global_slot[i]).second);
      weights += double{batch.loss_weights[i]};
      const std::int64_t source = batch.source_slot[i];
      CHECK((source < 0) == (batch.padding_mask[i] == 1));
      if (source < 0 || source == 4 || source == 7)
        CHECK(batch.labels[i] == ignored_label);
      else
        CHECK(batch.labels[i] == labels[static_cast<std::size_t>(source) + 1]);
    }
    CHECK(batch.loss_weight_sum == 6.0);
    for (std::size_t d = 0; d < 2; ++d)
      real[d] += batch.cu_seqlens_rank[d + 1] - batch.cu_seqlens_rank[d];
  }
  CHECK(seen.size() == 20);
  CHECK(weights == 6.0);
  CHECK(real == std::vector<std::int32_t>{5, 3});
}

TEST_CASE("a block mask comes with the batch of flex_attention") {
  const auto batch = make_packed_batch(
      pack, tokens, {},
      {.consumer = batch_consumer::flex_attention, .slots = 12, .documents = 2, .block = 4});
  REQUIRE(batch.blocks);
  CHECK(batch.blocks->kv.count == std::vector<std::int32_t>{1, 2, 1});
  CHECK(batch.labels.empty());
}

TEST_CASE("a block mask of images follows from their first slots") {
  std::vector<std::int32_t> image_first(12);
  for (std::int32_t slot = 0; slot < 12; ++slot)
    image_first[static_cast<std::size_t>(slot)] = slot >= 1 && slot < 4 ? 1 : slot;
  packed_batch_options options{.consumer = batch_consumer::flex_attention,
                               .slots = 12,
                               .documents = 2,
                               .mask = mask_kind::prefix,
                               .image_first = image_first,
                               .block = 2};
  const auto batch = make_packed_batch(pack, tokens, {}, options);
  // Slot 1 sees slots 2 and 3 of its image.
  REQUIRE(batch.blocks);
  CHECK(std::ranges::equal(batch.blocks->kv.line(0), std::vector<std::int32_t>{0, 1}));
  options.image_first = {};
  CHECK(std::ranges::equal(make_packed_batch(pack, tokens, {}, options).blocks->kv.line(0),
                           std::vector<std::int32_t>{0}));
  options.image_first = std::span<const std::int32_t>(image_first).first(11);
  CHECK_THROWS_AS(make_packed_batch(pack, tokens, {}, options), invalid_input);
  options.image_first = image_first;
  options.mask = mask_kind::causal;
  CHECK_THROWS_AS(make_packed_batch(pack, tokens, {}, options), invalid_input);
}

TEST_CASE("batches without documents, and what is refused") {
  const auto none =
      make_packed_batch({}, tokens, {}, {.consumer = batch_consumer::megatron, .slots = 4});
  CHECK(none.cu_seqlens == std::vector<std::int32_t>{0, 4});
  CHECK(none.labels == integers(4, ignored_label));
  const packed_batch_options good{
      .consumer = batch_consumer::megatron, .slots = 12, .documents = 2, .multiple = 1, .ranks = 1};
  const auto refused = [&](auto change) {
    packed_batch_options options = good;
    change(options);
    CHECK_THROWS_AS(make_packed_batch(pack, tokens, labels, options), invalid_input);
  };
  CHECK_NOTHROW(make_packed_batch(pack, tokens, labels, good));
  refused([](auto& options) { options.ranks = 2; });
  refused([](auto& options) { options.rank = 1; });
  refused([](auto& options) { options.slots = 7; });
  refused([](auto& options) { options.documents = 1; });
  refused(
      [](auto& options) { options.consumer = batch_consumer::transformers, options.ranks = 2; });
  CHECK_THROWS_AS(make_packed_batch(std::vector<std::uint32_t>{3}, tokens, labels, good),
                  invalid_input);
  CHECK_THROWS_AS(make_packed_batch(pack, tokens, integers(7), good), invalid_input);
}
