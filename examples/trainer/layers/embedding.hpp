// SPDX-License-Identifier: Apache-2.0
/// @file
/// Where text and images meet: every token takes the row of its id in a table, or an image row in
/// the tokens that the micro-batch names.
///
/// Nothing is saved. The gradient of the table costs additions alone and is added in the backward,
/// one row of the table after the other, so that its bits do not depend on the order of lanes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "block.hpp"

namespace omnibal::trainer {

namespace detail {

/// Every token's row of the table, or the image row that takes its place.
template <typename Real>
void gather_rows(const placed_batch& batch, matrix_view<const Real> table,
                 matrix_view<const Real> images, matrix_view<Real> out) {
  const std::int32_t* const ids = batch.token_ids.data();
  const std::int32_t* const image_row = batch.image_row.data();
  for_rows(*batch.on, out.rows, [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const Real* const from = image_row[row] < 0 ? table[static_cast<std::size_t>(ids[row])]
                                                : images[static_cast<std::size_t>(image_row[row])];
    group.each(out.columns, [&](std::size_t i) { out[row][i] = from[i]; });
  });
}

/// The gradients of the image rows.
template <typename Real>
void gather_image_gradients(const placed_batch& batch, matrix_view<const Real> given,
                            matrix_view<Real> out) {
  const std::int32_t* const slots = batch.image_slots.data();
  for_rows(*batch.on, out.rows, [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const Real* const from = given[static_cast<std::size_t>(slots[row])];
    group.each(out.columns, [&](std::size_t i) { out[row][i] = from[i]; });
  });
}

/// Adds the gradients of all tokens of text to the rows of their ids.
template <typename Real>
void add_table_gradient(const placed_batch& batch, matrix_view<const Real> given,
                        matrix_view<wide<Real>> out) {
  const std::int32_t* const ids = batch.token_ids.data();
  const std::int32_t* const tokens = batch.tokens_by_id.data();
  const std::int32_t* const begin = batch.id_begin.data();
  for_rows(*batch.on, batch.id_begin.size() - 1,
           [=] OMNIBAL_ON_LANES(std::size_t entry, lanes group) {
             wide<Real>* const sum = out[static_cast<std::size_t>(ids[tokens[begin[entry]]])];
             for (std::int32_t t = begin[entry]; t < begin[entry + 1]; ++t) {
               const Real* const from = given[static_cast<std::size_t>(tokens[t])];
               group.each(out.columns, [&](std::size_t i) { sum[i] += from[i]; });
             }
           });
}

}  // namespace detail

template <typename Real>
class embedding {
 public:
  struct saved {};

  embedding(initial_values initial, const tile_shape& tiles, std::size_t vocabulary,
            std::size_t columns)
      : image_rows_(tiles.image_rows()),
        columns_(columns),
        table_(initial.normal<Real>("table", vocabulary, columns, 1)) {}

  [[nodiscard]] matrix<Real> forward(placed_batch& batch, matrix<Real> image_rows, recompute_kind,
                                     saved&) {
    matrix<Real> y(*batch.on, batch.tokens(), columns_);
    detail::gather_rows<Real>(batch, table_.used(), image_rows, y);
    return y;
  }

  [[nodiscard]] matrix<Real> backward(placed_batch& batch, matrix<Real> dy, saved&) {
    if (table_.is_trained()) detail::add_table_gradient<Real>(batch, dy, table_.gradient);
    matrix<Real> dx(*batch.on, batch.image_slots.size(), columns_);
    detail::gather_image_gradients<Real>(batch, dy, dx);
    return dx;
  }

  void weight_gradient(placed_batch&, saved&) {}

  [[nodiscard]] std::vector<layer_parameter<Real>*> parameters() { return {&table_}; }
  [[nodiscard]] std::int64_t saved_bytes(const workload&, recompute_kind) const { return 0; }
  [[nodiscard]] std::int64_t waiting_bytes(const workload&) const { return 0; }
  /// What it is given stays until its output is converted.
  [[nodiscard]] pass_peaks peak_bytes(const workload& work, recompute_kind) const {
    const std::int64_t images = work.tiles * static_cast<std::int64_t>(image_rows_);
    return {.forward = passing_bytes(images, work.tokens),
            .backward = passing_bytes(work.tokens, images)};
  }

 private:
  [[nodiscard]] std::int64_t passing_bytes(std::int64_t given, std::int64_t made) const {
    return std::max(
        detail::converted_bytes<Real>(given, columns_),
        detail::bytes_of<Real>(given, columns_) + detail::converted_bytes<Real>(made, columns_));
  }

  std::size_t image_rows_;  // of a tile
  std::size_t columns_;
  layer_parameter<Real> table_;
};

}  // namespace omnibal::trainer
