// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/tokens.hpp>
#include <omnibal/indices/weights.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::indices;

namespace {

using integers = std::vector<std::int64_t>;

/// A row written out slot by slot.
struct written_row {
  integers document, position, source, begin,
      end;  // begin, end: of the slot's run of tokens or padding
  std::vector<bool> is_token;
};

written_row write(const integers& lengths, std::int64_t slots, std::int64_t multiple) {
  written_row row;
  std::int64_t token = 0;
  const auto append_run = [&](std::int64_t d, std::int64_t from, std::int64_t count,
                              bool is_token) {
    const auto begin = static_cast<std::int64_t>(row.document.size());
    for (std::int64_t i = 0; i < count; ++i) {
      row.document.push_back(d);
      row.position.push_back(from + i);
      row.source.push_back(is_token ? token++ : -1);
      row.begin.push_back(begin);
      row.end.push_back(begin + count);
      row.is_token.push_back(is_token);
    }
  };
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    append_run(static_cast<std::int64_t>(d), 0, lengths[d], true);
    const std::int64_t rest = lengths[d] % multiple;
    append_run(static_cast<std::int64_t>(d), lengths[d], rest == 0 ? 0 : multiple - rest, false);
  }
  append_run(static_cast<std::int64_t>(lengths.size()), 0,
             slots - static_cast<std::int64_t>(row.document.size()), false);
  return row;
}

integers random_lengths(std::mt19937& random, std::int64_t most) {
  integers lengths(random() % 9);
  for (auto& length : lengths)
    length = random() % 3 == 0 ? 0 : static_cast<std::int64_t>(random()) % most;
  return lengths;
}

}  // namespace

TEST_CASE("arrays of a slot equal a row written out slot by slot") {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    const integers lengths = random_lengths(random, 20);
    const std::int64_t multiple = 1 + static_cast<std::int64_t>(random() % 8);
    const std::int64_t used = lay_row(lengths, std::nullopt, multiple).summary.slots_used;
    const std::int64_t slots = used + static_cast<std::int64_t>(random() % 6);
    const auto laid = lay_row(lengths, slots, multiple);
    const written_row expected = write(lengths, slots, multiple);
    const auto n = static_cast<std::size_t>(slots);
    integers positions(n), sources(n);
    std::vector<std::int32_t> sequence(n), first(n), limit(n);
    std::vector<std::uint8_t> padding(n);
    fill_tokens(laid.row(), {.mask = mask_kind::full},
                {.position_ids = positions,
                 .sequence_index = sequence,
                 .padding_mask = padding,
                 .source_slot = sources,
                 .first_query = first,
                 .limit_query = limit});
    REQUIRE(positions == expected.position);
    REQUIRE(sources == expected.source);
    REQUIRE(std::ranges::equal(sequence, expected.document));
    REQUIRE(std::ranges::equal(first, expected.begin));
    REQUIRE(std::ranges::equal(limit, expected.end));
    for (std::size_t s = 0; s < n; ++s) REQUIRE((padding[s] == 0) == expected.is_token[s]);
    // What a kernel computes, slot by slot, is what the walk over documents gives.
    const by_slot<position_of> position{laid.row(), {}};
    for (std::int64_t s = 0; s < slots; ++s)
      REQUIRE(position(s) == expected.position[static_cast<std::size_t>(s)]);
  }
}

TEST_CASE("labels never cross a document's border, and weights count what is left") {
  std::mt19937 random(2);
  for (int round = 0; round < 1000; ++round) {
    const integers lengths = random_lengths(random, 9);
    const std::int64_t multiple = 1 + static_cast<std::int64_t>(random() % 3);
    const std::int64_t slots = lay_row(lengths, std::nullopt, multiple).summary.slots_used +
                               static_cast<std::int64_t>(random() % 3);
    const auto laid = lay_row(lengths, slots, multiple);
    const written_row at = write(lengths, slots, multiple);
    const auto n = static_cast<std::size_t>(slots);
    integers given(n);
    for (auto& label : given)
      label = random() % 4 == 0 ? ignored_label : static_cast<std::int64_t>(random() % 99);
    integers unshifted(n), shifted(n), expected_unshifted(n, -100), expected_shifted(n, -100);
    std::vector<double> count(lengths.size());
    for (std::size_t s = 0; s < n; ++s) {
      if (!at.is_token[s]) continue;
      const bool has_next = s + 1 < n && at.is_token[s + 1] && at.document[s + 1] == at.document[s];
      if (has_next) expected_shifted[s] = given[s + 1];
      if (at.position[s] > 0) expected_unshifted[s] = given[s];
      if (at.position[s] > 0 && given[s] != -100)
        count[static_cast<std::size_t>(at.document[s])] += 1;
    }
    fill_tokens(laid.row(), {.labels = given}, {.labels = unshifted});
    fill_tokens(laid.row(), {.labels = given, .label = {.shift = label_shift::shifted}},
                {.labels = shifted});
    REQUIRE(unshifted == expected_unshifted);
    REQUIRE(shifted == expected_shifted);

    std::vector<float> weight(lengths.size()), loss(n);
    const weight_sums sums =
        weigh_documents(laid.row(), given, {}, loss_weighting::square_root, {.weight = weight});
    const weight_sums of_shifted = weigh_documents(
        laid.row(), given, {.shift = label_shift::shifted}, loss_weighting::square_root);
    REQUIRE(sums.all == of_shifted.all);  // both count each target once
    fill_tokens(laid.row(), {.labels = given, .document_weight = weight}, {.loss_weights = loss});
    double sum = 0;
    for (std::size_t d = 0; d < count.size(); ++d) {
      REQUIRE(weight[d] == (count[d] == 0 ? 0.0F : static_cast<float>(1 / std::sqrt(count[d]))));
      sum += count[d] * double{weight[d]};
    }
    REQUIRE(sums.all == Approx(sum));
    REQUIRE(std::accumulate(loss.begin(), loss.end(), 0.0) == Approx(sum));
  }
}

TEST_CASE("first labels are kept where that is asked for") {
  const auto laid = lay_row(integers{0, 2, 2}, 5);
  const integers given{7, 8, 9, 10, 11};
  integers out(5);
  fill_tokens(laid.row(), {.labels = given}, {.labels = out});
  CHECK(out == integers{-100, 8, -100, 10, -100});
  fill_tokens(laid.row(), {.labels = given, .label = {.first = first_label::kept_in_slot_0}},
              {.labels = out});
  CHECK(out == integers{7, 8, -100, 10, -100});
  fill_tokens(laid.row(), {.labels = given, .label = {.first = first_label::kept}},
              {.labels = out});
  CHECK(out == integers{7, 8, 9, 10, -100});
  fill_tokens(laid.row(),
              {.labels = given, .label = {.shift = label_shift::shifted, .boundary_label = 0}},
              {.labels = out});
  CHECK(out == integers{8, 0, 10, 0, -100});
  const auto kept =
      weigh_documents(laid.row(), given, {.first = first_label::kept}, loss_weighting::sample);
  CHECK(kept.all == 2.0);
  CHECK(kept.after_slot_0 == 1.5);
}

TEST_CASE("offsets have the shape of the layout, whatever the pack") {
  const document_layout layout{.documents = 4, .slots = 20, .multiple = 4};
  std::vector<std::int32_t> plain(6, -7), padded(6, -7);
  const auto summary = lay_documents(integers{3, 0, 5}, layout, {plain, padded});
  CHECK(plain == std::vector<std::int32_t>{0, 3, 3, 8, 16, 16});
  CHECK(padded == std::vector<std::int32_t>{0, 4, 4, 12, 20, 20});
  CHECK(summary.tail == 8);
  CHECK(summary.longest == 5);
  CHECK(summary.longest_padded == 8);
  lay_documents({}, layout, {plain, padded});
  CHECK(plain == std::vector<std::int32_t>{0, 20, 20, 20, 20, 20});
  std::vector<std::int32_t> without(5, -7);
  document_layout left_out = layout;
  left_out.tail = tail_policy::left_out;
  lay_documents(integers{3, 5}, left_out, {without, {}});
  CHECK(without == std::vector<std::int32_t>{0, 3, 8, 8, 8});
  CHECK(lay_row({}).cu_seqlens == std::vector<std::int32_t>{0});
}

TEST_CASE("200,000 documents, one of the whole row, all empty") {
  integers many(200'000);
  for (std::size_t d = 0; d < many.size(); ++d) many[d] = static_cast<std::int64_t>(d % 4);
  const auto laid = lay_row(many);
  REQUIRE(laid.summary.tokens == 300'000);
  std::vector<std::int32_t> sequence(300'000);
  fill_tokens(laid.row(), {}, {.sequence_index = sequence});
  for (std::size_t s = 0; s < sequence.size(); s += 977)
    REQUIRE(sequence[s] == static_cast<std::int32_t>(s / 6 * 4 + (s % 6 == 0  ? 1
                                                                  : s % 6 < 3 ? 2
                                                                              : 3)));
  const auto one = lay_row(integers{300'000});
  fill_tokens(one.row(), {}, {.sequence_index = sequence});
  CHECK(std::ranges::count(sequence, 0) == 300'000);
  const auto empty = lay_row(integers(200'000), 3);
  std::vector<std::int32_t> tail(3);
  fill_tokens(empty.row(), {}, {.sequence_index = tail});
  CHECK(tail == std::vector<std::int32_t>(3, 200'000));
}

TEST_CASE("rows refuse what does not fit, by name") {
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(lay_row(integers{1, -5}), ContainsSubstring("lengths[1] = -5"));
  CHECK_THROWS_WITH(lay_row(integers{1, 2'147'483'647}), ContainsSubstring("lengths[1]"));
  CHECK_THROWS_WITH(lay_row(integers{std::numeric_limits<std::int64_t>::max()}),
                    ContainsSubstring("int32"));
  CHECK_THROWS_WITH(lay_row(integers{3}, 2), ContainsSubstring("slots = 2"));
  CHECK_THROWS_WITH(lay_row(integers{3}, -1), ContainsSubstring("slots = -1"));
  CHECK_THROWS_WITH(lay_row(integers{3}, 5, 0), ContainsSubstring("multiple = 0"));
  CHECK(lay_row(integers{2'147'483'647}).summary.tokens == 2'147'483'647);
  CHECK_THROWS_WITH(lay_documents(integers{1, 1}, {.documents = 1, .slots = 8}),
                    ContainsSubstring("number of lengths = 2"));
  const auto laid = lay_row(integers{3});
  integers out(2);
  CHECK_THROWS_WITH(fill_tokens(laid.row(), {}, {.position_ids = out}),
                    ContainsSubstring("position_ids = 2"));
  integers right(3);
  CHECK_THROWS_WITH(fill_tokens(laid.row(), {}, {.labels = right}),
                    ContainsSubstring("labels = 0"));
  std::vector<std::int32_t> first(3);
  CHECK_THROWS_WITH(
      fill_tokens(laid.row(), {.mask = mask_kind::causal_chunk}, {.first_query = first}),
      ContainsSubstring("mask_parameter = 0"));
}
