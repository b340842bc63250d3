// SPDX-License-Identifier: Apache-2.0
/// @file
/// The task that the trainer learns, made on the fly: pictures of symbols and questions about them.
///
///     which symbol is in tile 2?         7
///     how often is 3 there?              2
///     read all symbols                   4 cross 0
///
/// A document has 1 to 6 tiles, each as its number and its image rows, then questions, each of
/// another kind, with their answers. Only the answers count in the loss. Sample i is a function of
/// the seed and i: any rank makes any sample, in any order, and a run resumes at any step.
///
/// A model that sees no pictures learns too (an answer is one of few words, most counts are 1), so
/// the loss alone shows nothing: what counts is the share of exact answers to questions about
/// pictures that were held out, compared with that of a blind model. There each picture has one
/// question, since answers before it would tell a blind model what it cannot see.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/run/microbatches.hpp>

#include "batch.hpp"

namespace omnibal::trainer {

// ---- symbols and words -------------------------------------------------------------------------

inline constexpr std::size_t symbol_width = 5;
inline constexpr std::size_t symbol_height = 7;

/// Ten digits, a square and a cross, row by row.
inline constexpr std::array<std::string_view, 12> symbol_bitmaps = {
    "01110100011001110101110011000101110", "00100011000010000100001000010001110",
    "01110100010000100010001000100011111", "11111000100010000010000011000101110",
    "00010001100101010010111110001000010", "11111100001111000001000011000101110",
    "00110010001000011110100011000101110", "11111000010001000010001000010000100",
    "01110100011000101110100011000101110", "01110100011000101111000010001001100",
    "11111100011000110001100011000111111", "10001100010101000100010101000110001"};

inline constexpr std::int32_t most_tiles = 6;

/// Token ids: a symbol is its index in symbol_bitmaps, a count the symbol of its digit.
enum word : std::int32_t {
  ask_which = symbol_bitmaps.size(),
  ask_count,
  ask_all,
  end_of_answer,
  image_place,  ///< Takes the place of an image row.
  first_tile,   ///< first_tile + k is the number of tile k, from 0.
  vocabulary = first_tile + most_tiles
};

// ---- samples -----------------------------------------------------------------------------------

struct question {
  std::vector<std::int32_t> words = {};
  std::vector<std::int32_t> answer = {};  ///< Ends with end_of_answer.

  friend bool operator==(const question&, const question&) = default;
};

/// A picture without its pixels, and what is asked of it.
struct picture {
  std::vector<std::int32_t> symbols = {};  ///< One per tile.
  std::vector<question> questions = {};

  friend bool operator==(const picture&, const picture&) = default;
};

/// Which samples: held-out ones are never trained on.
enum class data_split : std::uint64_t { training, held_out };

struct task_options {
  std::uint64_t seed = 1;
  data_split split = data_split::training;
  std::size_t questions = 3;            ///< Per picture, 1 to 3.
  std::size_t tile_side = 16;           ///< In pixels, room for a symbol at least.
  std::size_t image_rows_per_tile = 4;  ///< That the model's projector makes.
  float noise = 0.1F;                   ///< Standard deviation of a pixel; symbols are 0 and 1.
  bool blind = false;                   ///< All pixels are 0.
};

/// Throws invalid_input for another number of questions, tiles that have no room for a symbol and
/// noise that is negative.
class picture_task {
 public:
  explicit picture_task(const task_options& options);

  [[nodiscard]] const task_options& options() const noexcept { return options_; }

  /// O(1).
  [[nodiscard]] picture picture_of(std::uint64_t sample) const;

  /// [tiles × side × side] of a sample, each symbol in the centre of its tile.
  [[nodiscard]] std::vector<float> pixels_of(std::uint64_t sample) const;

  /// {tiles, tokens} of the document. The last word of the last answer is a target, not a token.
  [[nodiscard]] vision_language_sample size_of(std::uint64_t sample) const;

  /// Tokens that count in the loss.
  [[nodiscard]] std::int64_t label_tokens_of(std::uint64_t sample) const;

 private:
  [[nodiscard]] random_stream stream_of(std::uint64_t sample) const noexcept {
    return random_stream(options_.seed, 2 * sample + static_cast<std::uint64_t>(options_.split));
  }

  task_options options_;
};

/// The documents of these samples in this order. `loss_weight` is that of each token of an answer.
/// `padded_tokens`, where it is not empty, has the tokens of every sample of the task with padding,
/// which follows the document's own and counts in no loss.
[[nodiscard]] microbatch make_microbatch(const picture_task& task,
                                         std::span<const std::uint32_t> samples, float loss_weight,
                                         std::span<const std::int64_t> padded_tokens = {});

/// The answers of which every word was predicted, each given the right ones before it: the same as
/// those that the model, left alone, would give rightly. Throws invalid_input when there is not one
/// prediction per token.
[[nodiscard]] std::size_t exact_answers(const microbatch& batch,
                                        std::span<const std::int32_t> predictions);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

[[nodiscard]] inline std::int32_t draw_below(random_stream& random, std::size_t bound) {
  return static_cast<std::int32_t>(uniform_below(random, static_cast<std::uint32_t>(bound)));
}

/// Few tiles are more frequent than many.
[[nodiscard]] inline std::vector<std::int32_t> draw_symbols(random_stream& random) {
  const std::int32_t first = draw_below(random, most_tiles);
  const std::int32_t second = draw_below(random, most_tiles);
  std::vector<std::int32_t> symbols(static_cast<std::size_t>(1 + std::min(first, second)));
  for (std::int32_t& symbol : symbols) symbol = draw_below(random, symbol_bitmaps.size());
  return symbols;
}

[[nodiscard]] inline question draw_question(random_stream& random, std::int32_t kind,
                                            const std::vector<std::int32_t>& symbols) {
  const std::int32_t tile = draw_below(random, symbols.size());
  const std::int32_t symbol = symbols[static_cast<std::size_t>(tile)];
  question drawn{.words = {kind}};
  if (kind == ask_which) {
    drawn.words.push_back(first_tile + tile);
    drawn.answer = {symbol};
  } else if (kind == ask_count) {
    drawn.words.push_back(symbol);
    drawn.answer = {static_cast<std::int32_t>(std::ranges::count(symbols, symbol))};
  } else {
    drawn.answer = symbols;
  }
  drawn.answer.push_back(end_of_answer);
  return drawn;
}

[[nodiscard]] inline picture draw_picture(random_stream& random, std::size_t questions) {
  picture drawn{.symbols = draw_symbols(random)};
  std::array<std::int32_t, 3> kinds = {ask_which, ask_count, ask_all};
  shuffle_randomly(kinds, random);
  for (std::size_t q = 0; q < questions; ++q)
    drawn.questions.push_back(draw_question(random, kinds[q], drawn.symbols));
  return drawn;
}

/// A sum of uniform numbers with variance 1 and mean 0: near enough to a normal distribution, and
/// without a library's logarithm the same everywhere.
[[nodiscard]] inline float draw_noise(random_stream& random) {
  float sum = -2;
  for (int i = 0; i < 4; ++i) sum += static_cast<float>(random() >> 8U) * 0x1p-24F;
  return sum * std::sqrt(3.0F);
}

inline void draw_symbol(std::span<float> tile, std::size_t side, std::int32_t symbol) {
  const std::string_view bitmap = symbol_bitmaps[static_cast<std::size_t>(symbol)];
  const std::size_t top = (side - symbol_height) / 2;
  const std::size_t left = (side - symbol_width) / 2;
  for (std::size_t i = 0; i < bitmap.size(); ++i)
    if (bitmap[i] == '1') tile[(top + i / symbol_width) * side + left + i % symbol_width] += 1;
}

inline void append_token(microbatch& batch, std::int32_t id, std::int32_t target,
                         float loss_weight) {
  batch.token_ids.push_back(id);
  batch.targets.push_back(target);
  batch.loss_weights.push_back(target == no_target ? 0 : loss_weight);
}

inline void append_tile(microbatch& batch, std::size_t tile, std::size_t image_rows) {
  append_token(batch, first_tile + static_cast<std::int32_t>(tile), no_target, 0);
  for (std::size_t row = 0; row < image_rows; ++row) {
    batch.image_slots.push_back(static_cast<std::int32_t>(batch.tokens()));
    append_token(batch, image_place, no_target, 0);
  }
}

/// The last word of a question is followed by the first of its answer, and so on.
inline void append_question(microbatch& batch, const question& asked, float loss_weight) {
  for (std::size_t i = 0; i + 1 < asked.words.size(); ++i)
    append_token(batch, asked.words[i], no_target, 0);
  std::int32_t before = asked.words.back();
  for (const std::int32_t answer : asked.answer)
    append_token(batch, std::exchange(before, answer), answer, loss_weight);
}

/// `tokens` is with padding; less than the document has where there is none.
inline void append_document(microbatch& batch, const picture& shown, std::size_t image_rows,
                            float loss_weight, std::size_t tokens) {
  const std::size_t begin = batch.tokens();
  for (std::size_t tile = 0; tile < shown.symbols.size(); ++tile)
    append_tile(batch, tile, image_rows);
  for (std::size_t q = 0; q < shown.questions.size(); ++q) {
    if (q > 0) append_token(batch, end_of_answer, no_target, 0);
    append_question(batch, shown.questions[q], loss_weight);
  }
  while (batch.tokens() < begin + tokens) append_token(batch, end_of_answer, no_target, 0);
  for (std::size_t t = begin; t < batch.tokens(); ++t)
    batch.position_ids.push_back(static_cast<std::int32_t>(t - begin));
  batch.cu_seqlens.push_back(static_cast<std::int32_t>(batch.tokens()));
}

}  // namespace detail

inline picture_task::picture_task(const task_options& options) : options_(options) {
  if (options.questions < 1 || options.questions > 3)
    throw invalid_input("questions", options.questions, "must be from 1 to 3");
  if (options.tile_side < symbol_height)
    throw invalid_input("tile_side", options.tile_side,
                        "must be at least " + std::to_string(symbol_height) + " pixels");
  if (!(options.noise >= 0))
    throw invalid_input("noise", std::to_string(options.noise), "must not be negative");
}

inline picture picture_task::picture_of(std::uint64_t sample) const {
  random_stream random = stream_of(sample);
  return detail::draw_picture(random, options_.questions);
}

inline std::vector<float> picture_task::pixels_of(std::uint64_t sample) const {
  random_stream random = stream_of(sample);
  const picture shown = detail::draw_picture(random, options_.questions);
  const std::size_t tile_pixels = options_.tile_side * options_.tile_side;
  std::vector<float> pixels(shown.symbols.size() * tile_pixels, 0.0F);
  if (options_.blind) return pixels;
  for (float& pixel : pixels) pixel = options_.noise * detail::draw_noise(random);
  for (std::size_t tile = 0; tile < shown.symbols.size(); ++tile)
    detail::draw_symbol(std::span(pixels).subspan(tile * tile_pixels, tile_pixels),
                        options_.tile_side, shown.symbols[tile]);
  return pixels;
}

inline vision_language_sample picture_task::size_of(std::uint64_t sample) const {
  const picture shown = picture_of(sample);
  std::size_t tokens = shown.symbols.size() * (1 + options_.image_rows_per_tile) - 1;
  for (const question& each : shown.questions) tokens += each.words.size() + each.answer.size();
  return {static_cast<std::int64_t>(shown.symbols.size()), static_cast<std::int64_t>(tokens)};
}

inline std::int64_t picture_task::label_tokens_of(std::uint64_t sample) const {
  std::size_t tokens = 0;
  for (const question& each : picture_of(sample).questions) tokens += each.answer.size();
  return static_cast<std::int64_t>(tokens);
}

inline microbatch make_microbatch(const picture_task& task, std::span<const std::uint32_t> samples,
                                  float loss_weight, std::span<const std::int64_t> padded_tokens) {
  microbatch batch;
  for (const std::uint32_t sample : samples) {
    const std::vector<float> pixels = task.pixels_of(sample);
    batch.pixels.insert(batch.pixels.end(), pixels.begin(), pixels.end());
    detail::append_document(
        batch, task.picture_of(sample), task.options().image_rows_per_tile, loss_weight,
        padded_tokens.empty() ? 0 : static_cast<std::size_t>(padded_tokens[sample]));
  }
  return batch;
}

inline std::size_t exact_answers(const microbatch& batch,
                                 std::span<const std::int32_t> predictions) {
  if (predictions.size() != batch.tokens())
    throw invalid_input("predictions", predictions.size(),
                        "must be one per token, " + std::to_string(batch.tokens()));
  std::size_t exact = 0;
  bool right = true;
  for (std::size_t t = 0; t < batch.tokens(); ++t) {
    if (batch.targets[t] == no_target) continue;
    right &= batch.targets[t] == predictions[t];
    if (batch.targets[t] == end_of_answer) exact += std::exchange(right, true) ? 1U : 0U;
  }
  return exact;
}

}  // namespace omnibal::trainer
