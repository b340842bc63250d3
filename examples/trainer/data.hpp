// SPDX-License-Identifier: Apache-2.0
/// @file
/// The task that the trainer learns, made on the fly: pictures of symbols and questions about them.
///
///     which symbol is in tile 2?         7
///     how often is 3 there?              2
///     read all symbols                   4 cross 0
///
/// A document has 1 to 6 tiles, each as its number and its image rows, then questions, each of
/// another kind, with their answers. Only the answers count in the loss. Where lengths are given,
/// its tiles and its text are as long as those of a real sample: it has as many questions as the
/// text has room for, and the rest of the text is filled. A sample without tiles tells its symbols
/// in words. Sample i is a function of the seed and i: any rank makes any sample, in any order, and
/// a run resumes at any step.
///
/// A model that sees no pictures learns too (an answer is one of few words, most counts are 1), so
/// the loss alone shows nothing: what counts is the share of exact answers to questions about
/// pictures that were held out, compared with that of a blind model. There each picture has one
/// question, since answers before it would tell a blind model what it cannot see.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/run/microbatches.hpp>

#include "batch.hpp"
#include "picture.hpp"

namespace omnibal::trainer {

// ---- samples -----------------------------------------------------------------------------------

/// Which samples: held-out ones are never trained on.
enum class data_split : std::uint64_t { training, held_out };

struct task_options {
  std::uint64_t seed = 1;
  data_split split = data_split::training;
  std::size_t questions = 3;            ///< Per picture, 1 to 3, where no lengths are given.
  std::size_t tile_side = 16;           ///< In pixels, room for a symbol at least.
  std::size_t image_rows_per_tile = 4;  ///< That the model's projector makes.
  float noise = 0.1F;                   ///< Standard deviation of a pixel; symbols are 0 and 1.
  bool blind = false;                   ///< All pixels are 0.
  /// Every training sample is as long as one of these, drawn at random, or as short as it can be
  /// where that is longer; a held-out one has its tiles, at least one, and one question. They
  /// outlive the task. Empty: the task's own lengths.
  std::span<const sample_lengths> lengths = {};
};

/// Throws invalid_input for another number of questions, tiles that have no room for a symbol,
/// noise that is negative and lengths that are negative or too long.
class picture_task {
 public:
  explicit picture_task(const task_options& options);

  [[nodiscard]] const task_options& options() const noexcept { return options_; }

  /// O(its tokens).
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
  [[nodiscard]] picture draw(random_stream& random) const;

  task_options options_;
};

/// A hash of what the samples and their pixels depend on, but for the split.
[[nodiscard]] std::uint64_t fingerprint(const task_options& task);

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

inline void append_symbol_in_words(microbatch& batch, std::size_t tile, std::int32_t symbol) {
  append_token(batch, first_tile + static_cast<std::int32_t>(tile), no_target, 0);
  append_token(batch, symbol, no_target, 0);
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
    if (shown.in_words)
      append_symbol_in_words(batch, tile, shown.symbols[tile]);
    else
      append_tile(batch, tile, image_rows);
  for (std::size_t q = 0; q < shown.questions.size(); ++q) {
    if (q > 0) append_token(batch, end_of_answer, no_target, 0);
    append_question(batch, shown.questions[q], loss_weight);
  }
  const std::size_t filled = std::max(tokens, shown.tiles() * image_rows + shown.text);
  while (batch.tokens() < begin + filled) append_token(batch, end_of_answer, no_target, 0);
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
  for (std::size_t i = 0; i < options.lengths.size(); ++i) {
    const auto require = [i](const char* field, std::int64_t value, std::int64_t most) {
      if (value < 0 || value > most)
        throw invalid_input(field, i, value, "must be from 0 to " + std::to_string(most));
    };
    require("lengths.tiles", options.lengths[i].tiles, longest_sample.tiles);
    require("lengths.text", options.lengths[i].text, longest_sample.text);
  }
}

inline std::uint64_t fingerprint(const task_options& task) {
  hash_stream hash;
  add_to_hash(hash, task.seed);
  for (const std::size_t number : {task.questions, task.tile_side, task.image_rows_per_tile})
    add_to_hash(hash, number);
  add_to_hash(hash, std::bit_cast<std::uint32_t>(task.noise));
  add_to_hash(hash, task.blind);
  for (const sample_lengths& each : task.lengths)
    for (const std::int64_t number : {each.tiles, each.text}) add_to_hash(hash, number);
  return hash.value();
}

inline picture picture_task::draw(random_stream& random) const {
  if (options_.lengths.empty()) return detail::draw_picture(random, options_.questions);
  const auto row = uniform_below(random, static_cast<std::uint32_t>(options_.lengths.size()));
  sample_lengths lengths = options_.lengths[row];
  if (options_.split == data_split::held_out)
    lengths = {.tiles = std::max<std::int64_t>(1, lengths.tiles)};
  return detail::draw_picture(random, lengths);
}

inline picture picture_task::picture_of(std::uint64_t sample) const {
  random_stream random = stream_of(sample);
  return draw(random);
}

inline std::vector<float> picture_task::pixels_of(std::uint64_t sample) const {
  random_stream random = stream_of(sample);
  const picture shown = draw(random);
  const std::size_t tile_pixels = options_.tile_side * options_.tile_side;
  std::vector<float> pixels(shown.tiles() * tile_pixels, 0.0F);
  if (options_.blind) return pixels;
  for (float& pixel : pixels) pixel = options_.noise * detail::draw_noise(random);
  for (std::size_t tile = 0; tile < shown.tiles(); ++tile)
    detail::draw_symbol(std::span(pixels).subspan(tile * tile_pixels, tile_pixels),
                        options_.tile_side, shown.symbols[tile]);
  return pixels;
}

inline vision_language_sample picture_task::size_of(std::uint64_t sample) const {
  const picture shown = picture_of(sample);
  const std::size_t text = std::max(shown.text, detail::words_of(shown));
  return {static_cast<std::int64_t>(shown.tiles()),
          static_cast<std::int64_t>(shown.tiles() * options_.image_rows_per_tile + text)};
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
