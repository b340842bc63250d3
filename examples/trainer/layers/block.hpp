// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a layer of the trainer is: the concept `block`, its parameters, and a micro-batch as layers
/// read it.
///
/// A block has three passes, so that a schedule can put the third anywhere after the second:
///
///     y  = forward(batch, x, kind, saved)     saves what the recompute kind says
///     dx = backward(batch, dy, saved)         computes the rest again; leaves what the third needs
///     weight_gradient(batch, saved)           adds to the gradients of the weight matrices
///
/// Gradients that cost additions alone (gains of norms, biases, rows of tables) are added in the
/// backward. What waits for the weight gradient is never more than what was saved without
/// recomputation.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

#include "batch.hpp"
#include "machine.hpp"

namespace omnibal::trainer {

// ---- parameters ---------------------------------------------------------------------------------

/// Numbers that are trained. Gradients are added to until whoever steps them sets them to 0.
template <typename Real>
struct layer_parameter {
  std::string name = {};
  matrix<Real> value = {};
  matrix<Real> gradient = {};
};

/// Initial values of the parameters of one layer: they depend on the seed, the layer's index in the
/// model and the order of the calls, not on the stage that the layer is in.
class initial_values {
 public:
  initial_values(machine& on, std::uint64_t seed, std::size_t layer) noexcept
      : on_(&on), seed_(seed), stream_(std::uint64_t{1} << 63 | std::uint64_t{layer} << 16) {}

  [[nodiscard]] machine& on() const noexcept { return *on_; }

  /// Normally distributed around 0.
  template <typename Real>
  [[nodiscard]] layer_parameter<Real> normal(std::string name, std::size_t rows,
                                             std::size_t columns, double deviation) {
    random_stream random(seed_, stream_++);
    std::vector<double> values(rows * columns);
    for (double& value : values) value = deviation * standard_normal(random);
    return made<Real>(std::move(name), rows, columns, values);
  }

  /// A matrix for inputs of `rows` numbers: its outputs are a little smaller than its inputs.
  template <typename Real>
  [[nodiscard]] layer_parameter<Real> weights(std::string name, std::size_t rows,
                                              std::size_t columns) {
    return normal<Real>(std::move(name), rows, columns,
                        1 / std::sqrt(3 * static_cast<double>(rows)));
  }

  template <typename Real>
  [[nodiscard]] layer_parameter<Real> constant(std::string name, std::size_t columns,
                                               double value) {
    return made<Real>(std::move(name), 1, columns, std::vector(columns, value));
  }

 private:
  /// Box and Muller's transform.
  [[nodiscard]] static double standard_normal(random_stream& random) noexcept {
    const double radius = (static_cast<double>(random()) + 1) * 0x1p-32;
    const double turn = static_cast<double>(random()) * 0x1p-32;
    return std::sqrt(-2 * std::log(radius)) * std::cos(2 * std::numbers::pi * turn);
  }

  template <typename Real>
  [[nodiscard]] layer_parameter<Real> made(std::string name, std::size_t rows, std::size_t columns,
                                           const std::vector<double>& values) {
    layer_parameter<Real> result{
        .name = std::move(name),
        .value = matrix<Real>(*on_, rows, columns, memory_use::parameters),
        .gradient = matrix<Real>(*on_, rows, columns, memory_use::parameters)};
    copy_in(*on_, std::span<const double>(values), result.value.view().data);
    return result;
  }

  machine* on_;
  std::uint64_t seed_;
  std::uint64_t stream_;
};

/// y = x · w.
template <typename Real>
[[nodiscard]] matrix<Real> times(machine& on, const matrix<Real>& x,
                                 const layer_parameter<Real>& w) {
  matrix<Real> y(on, x.rows(), w.value.columns());
  product<Real>(on, y, {x}, {w.value});
  return y;
}

/// dx = dy · wᵀ.
template <typename Real>
[[nodiscard]] matrix<Real> times_transposed(machine& on, const matrix<Real>& dy,
                                            const layer_parameter<Real>& w) {
  matrix<Real> dx(on, dy.rows(), w.value.rows());
  product<Real>(on, dx, {dy}, {w.value, true});
  return dx;
}

/// dw += xᵀ · dy.
template <typename Real>
void add_weight_gradient(machine& on, layer_parameter<Real>& w, const matrix<Real>& x,
                         const matrix<Real>& dy) {
  product<Real>(on, w.gradient, {x, true}, {dy}, 1);
}

// ---- micro-batches ------------------------------------------------------------------------------

/// The tiles that the model reads.
struct tile_shape {
  std::size_t side = 16;  ///< Pixels; tiles are square.
  std::size_t patch = 4;  ///< Side of a patch in pixels; divides that of the tile.
  std::size_t merge = 2;  ///< Side in patches of the square that becomes one image row.

  [[nodiscard]] std::size_t pixels() const noexcept { return side * side; }
  [[nodiscard]] std::size_t patch_pixels() const noexcept { return patch * patch; }
  [[nodiscard]] std::size_t merged_patches() const noexcept { return merge * merge; }
  [[nodiscard]] std::size_t patches() const noexcept { return pixels() / patch_pixels(); }
  [[nodiscard]] std::size_t image_rows() const noexcept { return patches() / merged_patches(); }
};

/// A micro-batch on a machine. `result` is the head's; all other members stay as they were made.
struct placed_batch {
  machine* on = nullptr;
  workload work = {};
  buffer<std::int32_t> token_ids = {};       ///< [tokens]
  buffer<std::int32_t> position_ids = {};    ///< [tokens]
  buffer<std::int32_t> document_begin = {};  ///< [tokens] the first token of the document
  buffer<std::int32_t> query_limit = {};  ///< [tokens] one past the last token that attends to it
  buffer<float> pixels = {};
  buffer<std::int32_t> image_slots = {};  ///< [image rows]
  buffer<std::int32_t> image_row = {};    ///< [tokens] the image row that takes its place, or −1
  /// Tokens of text in the order of their ids; those of the i-th id that occurs are
  /// tokens_by_id[id_begin[i]] … tokens_by_id[id_begin[i + 1] − 1].
  buffer<std::int32_t> tokens_by_id = {};
  buffer<std::int32_t> id_begin = {};  ///< [ids that occur + 1]
  buffer<std::int32_t> targets = {};   ///< [tokens]
  buffer<float> loss_weights = {};     ///< [tokens]
  microbatch_result result = {};

  [[nodiscard]] std::size_t tokens() const noexcept { return token_ids.size(); }
  [[nodiscard]] std::size_t tiles() const noexcept { return static_cast<std::size_t>(work.tiles); }
};

namespace detail {

/// Throws invalid_input naming the member of the micro-batch that does not fit the others.
inline void validate(const microbatch& batch, const tile_shape& tiles, std::size_t vocabulary) {
  const auto require_size = [](std::string_view field, std::size_t size, std::size_t wanted) {
    if (size != wanted)
      throw invalid_input(field, size, "entries are given: must be " + std::to_string(wanted));
  };
  require_size("microbatch.position_ids", batch.position_ids.size(), batch.tokens());
  require_size("microbatch.targets", batch.targets.size(), batch.tokens());
  require_size("microbatch.loss_weights", batch.loss_weights.size(), batch.tokens());
  if (batch.pixels.size() % tiles.pixels() != 0)
    throw invalid_input(
        "microbatch.pixels", batch.pixels.size(),
        "entries are given: must be a multiple of " + std::to_string(tiles.pixels()));
  require_size("microbatch.image_slots", batch.image_slots.size(),
               batch.pixels.size() / tiles.pixels() * tiles.image_rows());
  const auto& ends = batch.cu_seqlens;
  if (ends.empty() || ends.front() != 0 || !std::ranges::is_sorted(ends) ||
      static_cast<std::size_t>(ends.back()) != batch.tokens())
    throw invalid_input(
        "microbatch.cu_seqlens", ends.empty() ? 0 : ends.back(),
        "must ascend from 0 to the number of tokens, " + std::to_string(batch.tokens()));
  const auto require_below = [](std::string_view field, std::span<const std::int32_t> values,
                                std::size_t limit, std::int32_t exception) {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i] != exception && (values[i] < 0 || static_cast<std::size_t>(values[i]) >= limit))
        throw invalid_input(field, i, values[i],
                            "must be at least 0 and less than " + std::to_string(limit));
  };
  require_below("microbatch.token_ids", batch.token_ids, vocabulary, 0);
  require_below("microbatch.targets", batch.targets, vocabulary, no_target);
  require_below("microbatch.image_slots", batch.image_slots, batch.tokens(), 0);
  for (std::size_t i = 1; i < batch.image_slots.size(); ++i)
    if (batch.image_slots[i] <= batch.image_slots[i - 1])
      throw invalid_input("microbatch.image_slots", i, batch.image_slots[i],
                          "must be greater than the one before it");
}

/// Which tokens see each other: causal attention within documents.
inline void place_documents(const microbatch& batch, placed_batch& placed) {
  const indices::document_row row{.cu_seqlens = batch.cu_seqlens.data(),
                                  .cu_seqlens_padded = batch.cu_seqlens.data(),
                                  .documents = static_cast<std::int32_t>(batch.documents()),
                                  .slots = static_cast<std::int64_t>(batch.tokens())};
  const indices::interval_of_key queries{.kind = indices::mask_kind::causal};
  std::vector<std::int64_t> begin(batch.tokens());
  std::vector<std::int64_t> limit(batch.tokens());
  for (std::size_t token = 0; token < batch.tokens(); ++token) {
    const auto cursor = indices::cursor_at(row, static_cast<std::int64_t>(token));
    begin[token] = cursor.begin;
    limit[token] = queries(cursor).limit;
    placed.work.squared_tokens += cursor.offset() == 0 ? cursor.length * cursor.length : 0;
  }
  placed.document_begin =
      trainer::placed<std::int32_t>(*placed.on, std::span<const std::int64_t>(begin));
  placed.query_limit =
      trainer::placed<std::int32_t>(*placed.on, std::span<const std::int64_t>(limit));
}

/// Where image rows go, and which tokens of text have each id.
inline void place_rows(const microbatch& batch, placed_batch& placed) {
  std::vector<std::int32_t> image_row(batch.tokens(), -1);
  for (std::size_t row = 0; row < batch.image_slots.size(); ++row)
    image_row[static_cast<std::size_t>(batch.image_slots[row])] = static_cast<std::int32_t>(row);
  std::map<std::int32_t, std::vector<std::int32_t>> of_id;
  for (std::size_t token = 0; token < batch.tokens(); ++token)
    if (image_row[token] < 0)
      of_id[batch.token_ids[token]].push_back(static_cast<std::int32_t>(token));
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> begin = {0};
  for (const auto& [id, its] : of_id) {
    tokens.insert(tokens.end(), its.begin(), its.end());
    begin.push_back(static_cast<std::int32_t>(tokens.size()));
  }
  const auto on_machine = [&](const std::vector<std::int32_t>& values) {
    return trainer::placed<std::int32_t>(*placed.on, std::span(values));
  };
  placed.image_row = on_machine(image_row);
  placed.tokens_by_id = on_machine(tokens);
  placed.id_begin = on_machine(begin);
}

}  // namespace detail

/// Puts a micro-batch on a machine. Throws invalid_input naming member, index and value where a
/// member does not fit the others, the tiles or the vocabulary. O(tokens · log documents + pixels).
[[nodiscard]] inline placed_batch place(machine& on, const microbatch& batch,
                                        const tile_shape& tiles, std::size_t vocabulary) {
  detail::validate(batch, tiles, vocabulary);
  placed_batch placed{
      .on = &on,
      .work = {.tiles = static_cast<std::int64_t>(batch.pixels.size() / tiles.pixels()),
               .tokens = static_cast<std::int64_t>(batch.tokens())}};
  placed.token_ids = trainer::placed<std::int32_t>(on, std::span(batch.token_ids));
  placed.position_ids = trainer::placed<std::int32_t>(on, std::span(batch.position_ids));
  placed.pixels = trainer::placed<float>(on, std::span(batch.pixels));
  placed.image_slots = trainer::placed<std::int32_t>(on, std::span(batch.image_slots));
  placed.targets = trainer::placed<std::int32_t>(on, std::span(batch.targets));
  placed.loss_weights = trainer::placed<float>(on, std::span(batch.loss_weights));
  detail::place_documents(batch, placed);
  detail::place_rows(batch, placed);
  return placed;
}

// ---- layers -------------------------------------------------------------------------------------

/// Rows and columns of what passes between two layers.
struct extent {
  std::size_t rows = 0;
  std::size_t columns = 0;

  [[nodiscard]] std::size_t size() const noexcept { return rows * columns; }
  friend bool operator==(const extent&, const extent&) = default;
};

/// A layer. `saved_bytes` are what a forward leaves allocated, `waiting_bytes` what a backward
/// leaves for the weight gradient where the kind is `none`; both exactly. Layers that recompute
/// leave nothing: whoever runs them lets the weight gradient follow the backward at once.
template <typename Block, typename Real>
concept block = requires(Block layer, const Block constant, placed_batch& batch, matrix<Real> rows,
                         typename Block::saved& saved, recompute_kind kind, const workload& work) {
  { layer.forward(batch, std::move(rows), kind, saved) } -> std::same_as<matrix<Real>>;
  { layer.backward(batch, std::move(rows), saved) } -> std::same_as<matrix<Real>>;
  { layer.weight_gradient(batch, saved) } -> std::same_as<void>;
  { layer.parameters() } -> std::same_as<std::vector<layer_parameter<Real>*>>;
  { constant.saved_bytes(work, kind) } -> std::same_as<std::int64_t>;
  { constant.waiting_bytes(work) } -> std::same_as<std::int64_t>;
};

namespace detail {

/// Bytes of `rows` rows of `columns` numbers.
template <typename Real>
[[nodiscard]] std::int64_t bytes_of(std::int64_t rows, std::size_t columns) noexcept {
  return rows * static_cast<std::int64_t>(columns * sizeof(Real));
}

}  // namespace detail

}  // namespace omnibal::trainer
