// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the trainer's task is about: pictures of symbols, one per tile, and questions about them,
/// in words. data.hpp makes samples of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/random.hpp>

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

/// Of a document of the task's own lengths.
inline constexpr std::int32_t most_tiles = 6;

/// Token ids: a symbol is its index in symbol_bitmaps, a count the symbols of its digits.
enum word : std::int32_t {
  ask_which = symbol_bitmaps.size(),
  ask_count,
  ask_all,
  end_of_answer,
  image_place,  ///< Takes the place of an image row.
  first_tile,   ///< first_tile + k is the number of tile k, from 0.
  vocabulary = first_tile + most_tiles
};

/// How long a sample is.
struct sample_lengths {
  std::int64_t tiles = 0;
  std::int64_t text = 0;  ///< Tokens that are no image rows.

  friend bool operator==(const sample_lengths&, const sample_lengths&) = default;
};

/// Lengths that are longer are refused, since they are some mistake.
inline constexpr sample_lengths longest_sample = {.tiles = 1024, .text = 1'000'000};

/// Token ids of a task with samples of these lengths: more where they have more tiles.
[[nodiscard]] std::int64_t vocabulary_of(std::span<const sample_lengths> lengths);

// ---- pictures and questions --------------------------------------------------------------------

struct question {
  std::vector<std::int32_t> words = {};
  std::vector<std::int32_t> answer = {};  ///< Ends with end_of_answer.

  friend bool operator==(const question&, const question&) = default;
};

/// A picture without its pixels, and what is asked of it.
struct picture {
  std::vector<std::int32_t> symbols = {};  ///< One per tile.
  bool in_words = false;                   ///< The symbols are told in words: there are no tiles.
  std::vector<question> questions = {};
  std::size_t text = 0;  ///< Tokens that are no image rows, at least.

  [[nodiscard]] std::size_t tiles() const noexcept { return in_words ? 0 : symbols.size(); }

  friend bool operator==(const picture&, const picture&) = default;
};

// ---- implementation ----------------------------------------------------------------------------

inline std::int64_t vocabulary_of(std::span<const sample_lengths> lengths) {
  std::int64_t tiles = most_tiles;
  for (const sample_lengths& each : lengths) tiles = std::max(tiles, each.tiles);
  return first_tile + tiles;
}

namespace detail {

[[nodiscard]] inline std::int32_t draw_below(random_stream& random, std::size_t bound) {
  return static_cast<std::int32_t>(uniform_below(random, static_cast<std::uint32_t>(bound)));
}

/// Few tiles are more frequent than many.
[[nodiscard]] inline std::size_t draw_tiles(random_stream& random) {
  const std::int32_t first = draw_below(random, most_tiles);
  const std::int32_t second = draw_below(random, most_tiles);
  return static_cast<std::size_t>(1 + std::min(first, second));
}

[[nodiscard]] inline std::vector<std::int32_t> draw_symbols(random_stream& random,
                                                            std::size_t count) {
  std::vector<std::int32_t> symbols(count);
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
    for (const char digit : std::to_string(std::ranges::count(symbols, symbol)))
      drawn.answer.push_back(digit - '0');
  } else {
    drawn.answer = symbols;
  }
  drawn.answer.push_back(end_of_answer);
  return drawn;
}

[[nodiscard]] inline std::array<std::int32_t, 3> draw_kinds(random_stream& random) {
  std::array<std::int32_t, 3> kinds = {ask_which, ask_count, ask_all};
  shuffle_randomly(kinds, random);
  return kinds;
}

/// The tokens of a picture that are no image rows, without those that fill its text. The last word
/// of the last answer is none.
[[nodiscard]] inline std::size_t words_of(const picture& shown) {
  std::size_t words = shown.symbols.size() * (shown.in_words ? 2 : 1) - 1;
  for (const question& each : shown.questions) words += each.words.size() + each.answer.size();
  return words;
}

[[nodiscard]] inline picture draw_picture(random_stream& random, std::size_t questions) {
  picture drawn{.symbols = draw_symbols(random, draw_tiles(random))};
  const std::array<std::int32_t, 3> kinds = draw_kinds(random);
  for (std::size_t q = 0; q < questions; ++q)
    drawn.questions.push_back(draw_question(random, kinds[q], drawn.symbols));
  return drawn;
}

/// Questions of all kinds in turn: as many as the text has room for, at least one.
[[nodiscard]] inline picture draw_picture(random_stream& random, const sample_lengths& lengths) {
  const bool in_words = lengths.tiles == 0;
  const std::size_t symbols =
      in_words ? draw_tiles(random) : static_cast<std::size_t>(lengths.tiles);
  picture drawn{.symbols = draw_symbols(random, symbols),
                .in_words = in_words,
                .text = static_cast<std::size_t>(lengths.text)};
  const std::array<std::int32_t, 3> kinds = draw_kinds(random);
  std::size_t words = words_of(drawn);
  for (std::size_t q = 0;; ++q) {
    question next = draw_question(random, kinds[q % kinds.size()], drawn.symbols);
    words += next.words.size() + next.answer.size();
    if (q > 0 && words > drawn.text) return drawn;
    drawn.questions.push_back(std::move(next));
  }
}

}  // namespace detail

}  // namespace omnibal::trainer
