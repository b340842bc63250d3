// SPDX-License-Identifier: Apache-2.0
/// @file
/// Movement of rows of values between tensors by source slots: padding and unpadding of batches,
/// the parts of context parallelism, embeddings of images into the slots of their tokens. The
/// adjoint sums in a fixed order, so that gradients have the same bits every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

/// Rows of `width` values each.
template <typename Value>
struct rows_view {
  std::span<Value> values = {};
  std::size_t width = 1;

  [[nodiscard]] constexpr std::size_t rows() const noexcept {
    return width == 0 ? 0 : values.size() / width;
  }
  [[nodiscard]] constexpr std::span<Value> row(std::size_t number) const {
    return values.subspan(number * width, width);
  }
};

namespace detail {

void check_sources(std::span<const std::int64_t> source, std::size_t rows);
void check_unpad(std::span<const std::uint8_t> mask, std::span<const std::uint8_t> unused,
                 std::size_t rows);

template <typename Value>
void check_rows(std::span<const std::int64_t> source, std::size_t sources,
                const rows_view<Value>& target) {
  if (target.width == 0) throw invalid_input("width", 0, "must be at least 1");
  if (target.values.size() != source.size() * target.width)
    throw invalid_input("rows", target.values.size(),
                        "values are given: must be the width for each of the " +
                            std::to_string(source.size()) + " source slots");
  check_sources(source, sources);
}

}  // namespace detail

/// target[i] = rows[source[i]], and `fill` in every value where source[i] is −1. Throws
/// invalid_input for sources out of range and sizes that do not agree. O(values of the target).
template <typename Value>
void gather_rows(std::span<const std::int64_t> source, rows_view<const Value> rows,
                 rows_view<Value> target, Value fill = Value{}) {
  detail::check_rows(source, rows.rows(), target);
  if (rows.width != target.width) throw invalid_input("width", rows.width, "must be the target's");
  for (std::size_t i = 0; i < source.size(); ++i)
    for (std::size_t c = 0; c < target.width; ++c)
      target.row(i)[c] = source[i] < 0 ? fill : rows.row(static_cast<std::size_t>(source[i]))[c];
}

/// rows[source[i]] = values[i] for each source[i] ≥ 0, later ones over earlier ones; other rows
/// remain as they are. Errors and complexity as gather_rows.
template <typename Value>
void scatter_rows(std::span<const std::int64_t> source, rows_view<const Value> values,
                  rows_view<Value> rows) {
  detail::check_rows(source, rows.rows(), values);
  if (rows.width != values.width) throw invalid_input("width", rows.width, "must be the values'");
  for (std::size_t i = 0; i < source.size(); ++i)
    if (source[i] >= 0)
      for (std::size_t c = 0; c < values.width; ++c)
        rows.row(static_cast<std::size_t>(source[i]))[c] = values.row(i)[c];
}

/// A tensor whose rows move_rows moves: rows of `row_bytes` bytes, of any type. The side that
/// `source` numbers has `rows` of them, the other one as many as there are sources.
struct moved_rows {
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
  std::size_t row_bytes = 0;
  std::size_t rows = 0;
};

/// Where rows move: to[i] = from[source[i]], zeros where source[i] is −1; or to[source[i]] =
/// from[i], −1 is left out.
enum class row_move : std::int32_t { gather, scatter };

/// Moves the rows of several tensors by the same sources. In `scatter` each row has one source at
/// most, or the last one's values remain. Throws invalid_input for sources out of range.
/// O(sources · tensors + bytes).
void move_rows(row_move move, std::span<const std::int64_t> source,
               std::span<const moved_rows> tensors);

/// The adjoint of gather_rows: rows[s] += values[i] for each source[i] = s, in ascending order of
/// i. Errors and complexity as gather_rows.
template <typename Value>
void add_rows(std::span<const std::int64_t> source, rows_view<const Value> values,
              rows_view<Value> rows) {
  detail::check_rows(source, rows.rows(), values);
  if (rows.width != values.width) throw invalid_input("width", rows.width, "must be the values'");
  for (std::size_t i = 0; i < source.size(); ++i)
    if (source[i] >= 0)
      for (std::size_t c = 0; c < values.width; ++c)
        rows.row(static_cast<std::size_t>(source[i]))[c] += values.row(i)[c];
}

/// Where the set slots of a mask are.
struct unpadded {
  std::vector<std::int64_t> indices = {};     ///< flat places, ascending
  std::vector<std::int32_t> cu_seqlens = {};  ///< [rows + 1] cumulated set slots of each row
  std::vector<std::int32_t> seqused = {};     ///< [rows] those that `mask` alone sets
  std::int64_t max_seqlen = 0;
};

/// Finds the slots of a batch of `rows` rows in which `mask` or `unused` is 1 (FlashAttention's
/// unpad_input; `unused` slots are reserved and not attended to; empty: none). Throws invalid_input
/// for sizes that do not agree, values other than 0 and 1 and slots set in both. O(slots).
[[nodiscard]] unpadded unpad(std::span<const std::uint8_t> mask,
                             std::span<const std::uint8_t> unused, std::size_t rows);

/// Flat places of the documents' tokens in a batch whose rows of `row_slots` slots hold documents
/// one after the other: `row_of_document` ascends. Throws invalid_input where a row overflows.
/// O(tokens).
[[nodiscard]] std::vector<std::int64_t> places_in_rows(
    std::span<const std::int64_t> lengths, std::span<const std::int64_t> row_of_document,
    std::int64_t row_slots);

/// Token → its flat place in a batch whose rows of `row_slots` slots begin with their tokens: row r
/// has the tokens cu_tokens[r] … cu_tokens[r + 1] − 1.
struct place_in_rows {
  const std::int32_t* cu_tokens = nullptr;  ///< [rows + 1]
  std::int32_t rows = 0;
  std::int64_t row_slots = 0;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(std::int64_t token) const noexcept {
    const std::int32_t row = first_greater(cu_tokens + 1, rows, token);
    return row * row_slots + token - cu_tokens[row];
  }
};

/// Slots that take a row of an image, and rows that they take.
struct scatter_plan {
  std::vector<std::int64_t> slots = {};  ///< where tokens are the image token
  std::vector<std::int64_t> rows = {};   ///< those of used tiles, in order
};
[[nodiscard]] scatter_plan plan_scatter(std::span<const std::int64_t> tokens,
                                        std::int64_t image_token,
                                        std::span<const std::uint8_t> tile_used,
                                        std::int64_t rows_per_tile);

/// Slot → the row that it takes, −1 where it takes none: the n-th slot the n-th row. Throws
/// invalid_input unless there are as many slots as rows.
[[nodiscard]] std::vector<std::int64_t> source_row_of_slot(const scatter_plan& plan,
                                                           std::size_t slots);

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/rows.ipp>
#endif
