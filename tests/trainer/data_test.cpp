// SPDX-License-Identifier: Apache-2.0
#include "data.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include <omnibal/core/error.hpp>

#include "../catch.hpp"

using namespace omnibal;
using namespace omnibal::trainer;

namespace {

std::vector<std::uint32_t> first_samples(std::uint32_t count) {
  std::vector<std::uint32_t> samples(count);
  std::iota(samples.begin(), samples.end(), 0U);
  return samples;
}

/// The answer to a question, worked out from the symbols another way.
std::vector<std::int32_t> answer_to(const question& asked,
                                    const std::vector<std::int32_t>& symbols) {
  std::vector<std::int32_t> answer;
  if (asked.words[0] == ask_which)
    answer.push_back(symbols.at(static_cast<std::size_t>(asked.words.at(1) - first_tile)));
  if (asked.words[0] == ask_count) {
    std::map<std::int32_t, std::int32_t> counts;
    for (const std::int32_t symbol : symbols) ++counts[symbol];
    const std::int32_t count = counts.at(asked.words.at(1));
    if (count >= 10) answer.push_back(count / 10);
    answer.push_back(count % 10);
  }
  if (asked.words[0] == ask_all) answer = symbols;
  answer.push_back(end_of_answer);
  return answer;
}

}  // namespace

TEST_CASE("answers are right, and all kinds of questions and numbers of tiles occur") {
  for (const std::size_t questions : {1U, 2U, 3U}) {
    const picture_task task({.seed = 7, .questions = questions});
    std::set<std::int32_t> first_kinds;
    std::set<std::size_t> tiles;
    std::set<std::int32_t> symbols;
    std::set<std::int32_t> counts;
    for (std::uint64_t i = 0; i < 2000; ++i) {
      const picture shown = task.picture_of(i);
      REQUIRE(shown.questions.size() == questions);
      std::set<std::int32_t> kinds;
      for (const question& asked : shown.questions) {
        CHECK(asked.answer == answer_to(asked, shown.symbols));
        kinds.insert(asked.words[0]);
        if (asked.words[0] == ask_count) counts.insert(asked.answer[0]);
      }
      CHECK(kinds.size() == questions);
      first_kinds.insert(shown.questions[0].words[0]);
      tiles.insert(shown.symbols.size());
      symbols.insert(shown.symbols.begin(), shown.symbols.end());
    }
    CHECK(first_kinds == std::set<std::int32_t>{ask_which, ask_count, ask_all});
    CHECK(tiles == std::set<std::size_t>{1, 2, 3, 4, 5, 6});
    CHECK(symbols.size() == symbol_bitmaps.size());
    CHECK(counts.contains(2));
  }
}

TEST_CASE("symbols differ in at least three pixels") {
  for (std::size_t a = 0; a < symbol_bitmaps.size(); ++a) {
    REQUIRE(symbol_bitmaps[a].size() == symbol_width * symbol_height);
    for (std::size_t b = 0; b < a; ++b) {
      int different = 0;
      for (std::size_t i = 0; i < symbol_bitmaps[a].size(); ++i)
        different += symbol_bitmaps[a][i] != symbol_bitmaps[b][i];
      CHECK(different >= 3);
    }
  }
}

TEST_CASE("samples depend on seed, split and number alone") {
  const picture_task task({.seed = 7});
  const picture_task again({.seed = 7});
  const picture_task other({.seed = 8});
  const picture_task held_out({.seed = 7, .split = data_split::held_out});
  CHECK(task.picture_of(5) == again.picture_of(5));
  CHECK(task.pixels_of(5) == again.pixels_of(5));
  int same_seed = 0;
  int same_split = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    same_seed += task.pixels_of(i) == other.pixels_of(i);
    same_split += task.pixels_of(i) == held_out.pixels_of(i);
  }
  CHECK(same_seed == 0);
  CHECK(same_split == 0);
}

TEST_CASE("a tile shows its symbol in the centre, with noise of the deviation that was asked for") {
  const picture_task clean({.seed = 3, .noise = 0});
  const picture shown = clean.picture_of(11);
  const std::vector<float> pixels = clean.pixels_of(11);
  REQUIRE(pixels.size() == shown.symbols.size() * 256);
  for (std::size_t tile = 0; tile < shown.symbols.size(); ++tile)
    for (std::size_t y = 0; y < 16; ++y)
      for (std::size_t x = 0; x < 16; ++x) {
        const bool inside = y >= 4 && y < 11 && x >= 5 && x < 10;
        const auto& bitmap = symbol_bitmaps[static_cast<std::size_t>(shown.symbols[tile])];
        const float expected = inside && bitmap[(y - 4) * 5 + x - 5] == '1' ? 1.0F : 0.0F;
        CHECK(pixels[tile * 256 + y * 16 + x] == expected);
      }

  const picture_task noisy({.seed = 3, .noise = 0.25F});
  double sum = 0;
  double squares = 0;
  std::size_t count = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::vector<float> with = noisy.pixels_of(i);
    const std::vector<float> without = clean.pixels_of(i);
    for (std::size_t p = 0; p < with.size(); ++p, ++count) {
      sum += double{with[p]} - without[p];
      squares += std::pow(double{with[p]} - without[p], 2);
    }
  }
  CHECK(sum / static_cast<double>(count) == Approx(0).margin(0.005));
  CHECK(std::sqrt(squares / static_cast<double>(count)) == Approx(0.25).epsilon(0.02));
}

TEST_CASE("a blind model gets the same texts and no pixels") {
  const picture_task task({.seed = 3});
  const picture_task blind({.seed = 3, .blind = true});
  CHECK(blind.picture_of(4) == task.picture_of(4));
  const std::vector<float> pixels = blind.pixels_of(4);
  CHECK(pixels.size() == task.pixels_of(4).size());
  CHECK(std::ranges::all_of(pixels, [](float pixel) { return pixel == 0; }));
}

TEST_CASE("a micro-batch has the documents one after the other, and answers alone count") {
  const picture_task task({.seed = 5});
  const std::vector<std::uint32_t> samples = {4, 0, 9};
  const microbatch batch = make_microbatch(task, samples, 0.5F);
  REQUIRE(batch.documents() == 3);
  std::size_t token = 0;
  std::size_t image_row = 0;
  std::size_t pixel = 0;
  for (std::size_t d = 0; d < 3; ++d) {
    const picture shown = task.picture_of(samples[d]);
    const auto [tiles, tokens] = task.size_of(samples[d]);
    CHECK(batch.cu_seqlens[d + 1] - batch.cu_seqlens[d] == tokens);
    CHECK(shown.symbols.size() == static_cast<std::size_t>(tiles));
    std::vector<std::int32_t> text;
    std::vector<bool> is_answer;
    for (const question& asked : shown.questions) {
      text.insert(text.end(), asked.words.begin(), asked.words.end());
      is_answer.resize(text.size(), false);
      text.insert(text.end(), asked.answer.begin(), asked.answer.end());
      is_answer.resize(text.size(), true);
    }
    std::int64_t labels = 0;
    for (std::int32_t position = 0; position < tokens; ++position, ++token) {
      CHECK(batch.position_ids[token] == position);
      const std::int32_t in_text = position - 5 * static_cast<std::int32_t>(tiles);
      if (in_text < 0 && position % 5 == 0) {
        CHECK(batch.token_ids[token] == first_tile + position / 5);
      } else if (in_text < 0) {
        CHECK(batch.token_ids[token] == image_place);
        CHECK(batch.image_slots[image_row++] == static_cast<std::int32_t>(token));
      } else {
        CHECK(batch.token_ids[token] == text[static_cast<std::size_t>(in_text)]);
      }
      const bool counts = in_text >= -1 && is_answer[static_cast<std::size_t>(in_text + 1)];
      CHECK(batch.loss_weights[token] == (counts ? 0.5F : 0.0F));
      CHECK(batch.targets[token] ==
            (counts ? text[static_cast<std::size_t>(in_text + 1)] : no_target));
      labels += counts;
    }
    CHECK(labels == task.label_tokens_of(samples[d]));
    const std::vector<float> pixels = task.pixels_of(samples[d]);
    REQUIRE(batch.pixels.size() >= pixel + pixels.size());
    CHECK(std::equal(pixels.begin(), pixels.end(),
                     batch.pixels.begin() + static_cast<std::ptrdiff_t>(pixel)));
    pixel += pixels.size();
  }
  CHECK(token == batch.tokens());
  CHECK(batch.targets.size() == token);
  CHECK(image_row == batch.image_slots.size());
  CHECK(pixel == batch.pixels.size());
}

TEST_CASE("padding follows a document and counts in no loss") {
  const picture_task task({.seed = 5});
  const std::vector<std::uint32_t> samples = {1, 0};
  const std::vector<std::int64_t> padded = {40, 50};
  const microbatch batch = make_microbatch(task, samples, 0.5F, padded);
  const microbatch plain = make_microbatch(task, samples, 0.5F);
  CHECK(batch.cu_seqlens == std::vector<std::int32_t>{0, 50, 90});
  CHECK(batch.image_slots.size() == plain.image_slots.size());
  for (std::size_t d = 0; d < 2; ++d) {
    const auto length = static_cast<std::size_t>(plain.cu_seqlens[d + 1] - plain.cu_seqlens[d]);
    const auto from = static_cast<std::size_t>(plain.cu_seqlens[d]);
    const auto to = static_cast<std::size_t>(batch.cu_seqlens[d]);
    for (std::size_t t = 0; t < static_cast<std::size_t>(padded[samples[d]]); ++t) {
      CHECK(batch.position_ids[to + t] == static_cast<std::int32_t>(t));
      CHECK(batch.targets[to + t] == (t < length ? plain.targets[from + t] : no_target));
      CHECK(batch.loss_weights[to + t] == (t < length ? plain.loss_weights[from + t] : 0));
      if (t < length) CHECK(batch.token_ids[to + t] == plain.token_ids[from + t]);
    }
  }
  CHECK(exact_answers(batch, batch.targets) == 6);
}

TEST_CASE("no samples make an empty micro-batch") {
  const microbatch batch = make_microbatch(picture_task({}), {}, 1);
  CHECK(batch.empty());
  CHECK(batch.documents() == 0);
}

TEST_CASE("an answer is exact if all of its words are predicted") {
  const picture_task task({.seed = 5});
  const microbatch batch = make_microbatch(task, first_samples(20), 1);
  std::vector<std::int32_t> predictions = batch.targets;
  CHECK(exact_answers(batch, predictions) == 60);
  // What is predicted where nothing is asked does not matter.
  predictions[0] = 3;
  REQUIRE(batch.targets[0] == no_target);
  CHECK(exact_answers(batch, predictions) == 60);
  // One wrong word, the last of document 6; then also one of the answer before it.
  auto wrong = static_cast<std::size_t>(batch.cu_seqlens[7]) - 1;
  predictions[wrong] = 0;
  CHECK(exact_answers(batch, predictions) == 59);
  while (batch.targets[wrong] != no_target) --wrong;
  while (batch.targets[wrong] == no_target) --wrong;
  predictions[wrong] = -1;
  CHECK(exact_answers(batch, predictions) == 58);
  predictions.pop_back();
  CHECK_THROWS_AS(exact_answers(batch, predictions), invalid_input);
}

TEST_CASE("options out of range are refused by name") {
  CHECK_THROWS_WITH(picture_task({.tile_side = 6}), "tile_side = 6: must be at least 7 pixels");
  CHECK_THROWS_AS(picture_task({.noise = -1}), invalid_input);
  CHECK_THROWS_WITH(picture_task({.questions = 0}), "questions = 0: must be from 1 to 3");
  CHECK_THROWS_AS(picture_task({.questions = 4}), invalid_input);
}

TEST_CASE("samples follow the lengths that are given") {
  // As long as they are; too short for any question; text alone; more tiles than the task's own.
  const std::vector<sample_lengths> lengths = {{2, 60}, {3, 1}, {0, 40}, {31, 200}, {0, 0}};
  const picture_task task({.seed = 7, .lengths = lengths});
  const std::size_t words = static_cast<std::size_t>(vocabulary_of(lengths));
  CHECK(words == first_tile + 31);
  std::map<std::int64_t, std::size_t> by_tiles;
  for (std::uint32_t i = 0; i < 500; ++i) {
    const picture shown = task.picture_of(i);
    const auto [tiles, tokens] = task.size_of(i);
    ++by_tiles[tiles];
    for (const question& asked : shown.questions)
      CHECK(asked.answer == answer_to(asked, shown.symbols));
    const std::int64_t text = tokens - 4 * tiles;
    const std::size_t own = trainer::detail::words_of(shown);
    if (tiles == 2) CHECK(text == 60);
    if (tiles == 31) CHECK(text == 200);
    if (tiles == 3) {
      CHECK(text == static_cast<std::int64_t>(own));
      CHECK(shown.questions.size() == 1);
    }
    if (tiles == 0) CHECK((text == 40 || shown.questions.size() == 1));
    // No further question has room: the longest has all symbols.
    if (text > static_cast<std::int64_t>(own))
      CHECK(text < static_cast<std::int64_t>(own + 3 + shown.symbols.size()));
    const microbatch batch = make_microbatch(task, std::vector{i}, 1);
    CHECK(batch.tokens() == static_cast<std::size_t>(tokens));
    CHECK(batch.image_slots.size() == static_cast<std::size_t>(4 * tiles));
    CHECK(batch.pixels.size() == static_cast<std::size_t>(256 * tiles));
    CHECK(std::ranges::all_of(batch.token_ids, [&](std::int32_t id) {
      return id >= 0 && static_cast<std::size_t>(id) < words;
    }));
    CHECK(std::ranges::count_if(batch.loss_weights, [](float weight) { return weight > 0; }) ==
          task.label_tokens_of(i));
    CHECK(exact_answers(batch, batch.targets) == shown.questions.size());
  }
  CHECK(by_tiles.size() == 4);
  CHECK(by_tiles[0] > 100);
}

TEST_CASE("the symbols of a sample without tiles are told in words") {
  const std::vector<sample_lengths> lengths = {{0, 0}};
  const picture_task task({.seed = 7, .lengths = lengths});
  const picture shown = task.picture_of(3);
  const microbatch batch = make_microbatch(task, std::vector<std::uint32_t>{3}, 1);
  for (std::size_t k = 0; k < shown.symbols.size(); ++k) {
    CHECK(batch.token_ids[2 * k] == first_tile + static_cast<std::int32_t>(k));
    CHECK(batch.token_ids[2 * k + 1] == shown.symbols[k]);
  }
}

TEST_CASE("held-out samples have the tiles of the lengths, at least one, and one question") {
  const std::vector<sample_lengths> lengths = {{2, 60}, {0, 40}};
  const picture_task task(
      {.seed = 7, .split = data_split::held_out, .questions = 1, .lengths = lengths});
  std::set<std::size_t> tiles;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const picture shown = task.picture_of(i);
    CHECK(shown.questions.size() == 1);
    tiles.insert(shown.tiles());
    CHECK(task.size_of(i)[1] ==
          static_cast<std::int64_t>(4 * shown.tiles() + trainer::detail::words_of(shown)));
  }
  CHECK(tiles == std::set<std::size_t>{1, 2});
}

TEST_CASE("counts of ten and more are answered by two digits") {
  random_stream random(1, 1);
  const std::vector<std::int32_t> symbols(37, 5);
  CHECK(trainer::detail::draw_question(random, ask_count, symbols).answer ==
        std::vector<std::int32_t>{3, 7, end_of_answer});
}

TEST_CASE("lengths out of range are refused by index, and tasks differ by their fingerprint") {
  const auto task_of = [](const std::vector<sample_lengths>& lengths) {
    return picture_task({.lengths = lengths});
  };
  CHECK_THROWS_WITH(task_of({{1, 1}, {1025, 1}}),
                    "lengths.tiles[1] = 1025: must be from 0 to 1024");
  CHECK_THROWS_WITH(task_of({{1, -1}}), "lengths.text[0] = -1: must be from 0 to 1000000");
  const std::vector<sample_lengths> some = {{1, 2}, {3, 4}};
  const std::vector<sample_lengths> others = {{1, 2}, {3, 5}};
  const std::set<std::uint64_t> different = {
      fingerprint(task_options{}), fingerprint({.seed = 2}), fingerprint({.blind = true}),
      fingerprint({.lengths = some}), fingerprint({.lengths = others})};
  CHECK(different.size() == 5);
}
