// SPDX-License-Identifier: Apache-2.0
#include "emulated_forms.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/gpu/blocks.cuh>
#include <omnibal/gpu/documents.cuh>
#include <omnibal/gpu/images.cuh>
#include <omnibal/gpu/offsets.cuh>
#include <omnibal/gpu/rope.cuh>
#include <omnibal/gpu/tokens.cuh>
#include <omnibal/gpu/tree.cuh>
#include <omnibal/gpu/unpad.cuh>
#include <omnibal/gpu/weights.cuh>
#include <omnibal/indices.hpp>

#include "device_rows.hpp"
#include "device_values.hpp"

namespace omnibal::examples {

namespace {

using namespace indices;

class emulated_forms final : public forms {
 public:
  [[nodiscard]] std::int64_t most_entries() const override { return 1 << 22; }

  document_summary lay_documents(std::span<const std::int64_t> lengths,
                                 const document_layout& layout,
                                 const document_arrays& arrays) const override {
    std::vector<std::int32_t> narrow(lengths.begin(), lengths.end());
    const device_values<std::int32_t> given{std::span<const std::int32_t>(narrow)};
    const device_output plain(arrays.cu_seqlens);
    const device_output padded(arrays.cu_seqlens_padded);
    const device_values<gpu::row_summary> summary(1);
    const gpu::row_summary row =
        gpu::lay_documents(given.span(), layout, {plain.span(), padded.span(), summary.data()});
    plain.get();
    padded.get();
    return {.documents = static_cast<std::int64_t>(lengths.size()),
            .tokens = row.tokens,
            .slots_used = row.slots_used,
            .tail = layout.slots - row.slots_used,
            .longest = row.longest,
            .longest_padded = round_up(row.longest, layout.multiple)};
  }

  void fill_tokens(const document_row& row, const any_split& split, std::int64_t rank,
                   const token_inputs& inputs, const token_arrays& arrays) const override {
    const device_row device(row);
    const device_values<std::int64_t> labels(inputs.labels);
    const device_values<float> weights(inputs.document_weight);
    const device_values<std::int32_t> image_first(inputs.image_first);
    const device_output position_ids(arrays.position_ids);
    const device_output position_ids_int32(arrays.position_ids_int32);
    const device_output sequence_index(arrays.sequence_index);
    const device_output padding_mask(arrays.padding_mask);
    const device_output source_slot(arrays.source_slot);
    const device_output global_slot(arrays.global_slot);
    const device_output output_labels(arrays.labels);
    const device_output loss_weights(arrays.loss_weights);
    const device_output first(arrays.first_query);
    const device_output limit(arrays.limit_query);
    token_inputs given = inputs;
    given.labels = labels.span();
    given.document_weight = weights.span();
    given.image_first = image_first.span();
    std::visit(
        [&](const auto& one) {
          gpu::fill_tokens(device.row(), on_device(one, device.row()), rank, given,
                           {position_ids.span(), position_ids_int32.span(), sequence_index.span(),
                            padding_mask.span(), source_slot.span(), global_slot.span(),
                            output_labels.span(), loss_weights.span(), first.span(), limit.span()});
        },
        split);
    const auto get_all = [](const auto&... outputs) { (outputs.get(), ...); };
    get_all(position_ids, position_ids_int32, sequence_index, padding_mask, source_slot,
            global_slot, output_labels, loss_weights, first, limit);
  }

  std::vector<std::int64_t> invert_split(const any_split& split,
                                         std::int64_t slots) const override {
    const device_values<std::int64_t> place(static_cast<std::size_t>(slots));
    std::visit(
        [&](const auto& one) {
          if constexpr (std::is_same_v<std::decay_t<decltype(one)>, zigzag>) {
            const device_row row(one.row);
            gpu::invert_split(on_device(one, row.row()), place.span());
          } else {
            gpu::invert_split(one, place.span());
          }
        },
        split);
    return place.get();
  }

  std::vector<std::int32_t> lay_rank(const zigzag& split, std::int64_t rank) const override {
    const device_row row(split.row);
    const device_values<std::int32_t> offsets(static_cast<std::size_t>(split.row.documents) + 1);
    gpu::lay_rank({row.row(), split.ranks}, rank, offsets.span());
    return offsets.get();
  }

  weight_sums weigh_documents(const document_row& row, std::span<const std::int64_t> labels,
                              const label_policy& policy, loss_weighting weighting,
                              std::span<float> weight) const override {
    const device_row device(row);
    const device_values<std::int64_t> given(labels);
    const device_values<std::int32_t> counts(static_cast<std::size_t>(row.documents));
    const device_output weights(weight);
    const device_values<weight_sums> sums(1);
    const weight_sums found = gpu::weigh_documents(device.row(), given.span(), policy, weighting,
                                                   {counts.span(), weights.span(), sums.data()});
    weights.get();
    return found;
  }

  unpadded unpad(std::span<const std::uint8_t> mask, std::span<const std::uint8_t> unused,
                 std::size_t rows) const override {
    indices::detail::check_unpad(mask, unused, rows);
    const device_values<std::uint8_t> given(mask);
    const device_values<std::uint8_t> reserved(unused);
    const device_values<std::int64_t> places(mask.size());
    const device_values<std::int32_t> cu_seqlens(rows + 1);
    const device_values<std::int32_t> cu_used(rows + 1);
    const device_values<std::int32_t> seqused(rows);
    const device_values<gpu::mark_counts> tiles(
        gpu::mark_tiles(static_cast<std::int64_t>(mask.size())));
    gpu::unpad({given.span(), reserved.span(), static_cast<std::int64_t>(rows)},
               {places.span(), cu_seqlens.span(), cu_used.span(), seqused.span(), tiles.span()});
    unpadded found{
        .indices = places.get(), .cu_seqlens = cu_seqlens.get(), .seqused = seqused.get()};
    found.indices.resize(static_cast<std::size_t>(found.cu_seqlens.back()));
    for (std::size_t r = 0; r < rows; ++r)
      found.max_seqlen =
          std::max<std::int64_t>(found.max_seqlen, found.cu_seqlens[r + 1] - found.cu_seqlens[r]);
    return found;
  }

  std::vector<std::int64_t> places_in_rows(std::span<const std::int64_t> lengths,
                                           std::span<const std::int64_t> row_of_document,
                                           std::int64_t rows,
                                           std::int64_t row_slots) const override {
    std::vector<std::int64_t> tokens(static_cast<std::size_t>(rows));
    for (std::size_t d = 0; d < lengths.size(); ++d)
      tokens[static_cast<std::size_t>(row_of_document[d])] += lengths[d];
    for (std::size_t r = 0; r < tokens.size(); ++r)
      if (tokens[r] > row_slots)
        throw invalid_input("lengths_in_rows", r, tokens[r],
                            "tokens: must be at most row_slots, " + std::to_string(row_slots));
    const laid_documents laid = lay_row(tokens);
    const device_values<std::int32_t> cu_tokens{std::span<const std::int32_t>(laid.cu_seqlens)};
    const device_values<std::int64_t> places(static_cast<std::size_t>(laid.summary.tokens));
    gpu::places_in_rows(cu_tokens.span(), row_slots, places.span());
    return places.get();
  }

  std::vector<std::int64_t> source_row_of_slot(std::span<const std::int64_t> tokens,
                                               std::int64_t image_token,
                                               std::span<const std::uint8_t> tile_used,
                                               std::int64_t rows_per_tile) const override {
    const device_values<std::int64_t> given(tokens);
    const device_values<std::uint8_t> used(tile_used);
    const device_values<gpu::scatter_summary> summary(1);
    const device_values<std::int32_t> numbers(tile_used.size());
    const device_values<std::int64_t> source(tokens.size());
    const auto tiles = [](std::size_t slots) {
      return gpu::mark_tiles(static_cast<std::int64_t>(slots));
    };
    const device_values<gpu::mark_counts> of_slots(tiles(tokens.size()));
    const device_values<gpu::mark_counts> of_tiles(tiles(tile_used.size()));
    gpu::plan_scatter(given.span(), image_token, used.span(), rows_per_tile,
                      {.summary = summary.data(),
                       .used_tiles = numbers.span(),
                       .source_row = source.span(),
                       .of_slots = of_slots.span(),
                       .of_tiles = of_tiles.span()});
    return source.get();
  }

  void place_images(const document_row& row, const rope_inputs& inputs,
                    std::span<std::int64_t> position_ids,
                    std::span<std::int64_t> delta) const override {
    const device_row device(row);
    const device_values<token_type> types(inputs.types);
    const device_values<image_grid> images(inputs.images);
    const device_values<image_grid> videos(inputs.videos);
    const device_values<float> seconds(inputs.seconds_per_grid);
    const device_values<std::int32_t> image_cells(inputs.images.size() + 1);
    const device_values<std::int32_t> image_positions(inputs.images.size() + 1);
    const device_values<std::int32_t> video_cells(inputs.videos.size() + 1);
    const device_values<std::int32_t> video_positions(inputs.videos.size() + 1);
    const device_values<gpu::mark_counts> tiles(gpu::mark_tiles(row.slots));
    const device_values<gpu::rope_summary> summary(1);
    const device_output positions(position_ids);
    const device_output deltas(delta);
    rope_inputs given = inputs;
    given.types = types.span();
    given.images = images.span();
    given.videos = videos.span();
    given.seconds_per_grid = seconds.span();
    gpu::place_images(device.row(), given,
                      {.position_ids = positions.span(),
                       .summary = summary.data(),
                       .image_cells = image_cells.span(),
                       .image_positions = image_positions.span(),
                       .video_cells = video_cells.span(),
                       .video_positions = video_positions.span(),
                       .tiles = tiles.span(),
                       .delta = deltas.span()});
    positions.get();
    deltas.get();
  }

  void fill_tree(const tree_row& tree, std::span<std::int64_t> position_ids,
                 std::span<std::int32_t> first, std::span<std::int32_t> limit) const override {
    const device_values<tree_run> runs{std::span<const tree_run>(tree.runs)};
    const device_output positions(position_ids);
    const device_output firsts(first);
    const device_output limits(limit);
    gpu::fill_tree(runs.span(), static_cast<std::int64_t>(tree.tokens.size()),
                   static_cast<std::int64_t>(position_ids.size()),
                   {positions.span(), firsts.span(), limits.span()});
    positions.get();
    firsts.get();
    limits.get();
  }

  chunk_offsets lay_chunks(std::span<const std::int64_t> lengths,
                           std::int64_t chunk) const override {
    const laid_documents laid = lay_row(lengths);
    const device_row device(laid.row());
    const auto documents = static_cast<std::size_t>(laid.summary.documents);
    const auto most = static_cast<std::size_t>(laid.summary.slots_used);
    const device_values<std::int32_t> offsets(documents + 1);
    const device_values<std::int32_t> pairs(2 * most);
    const device_values<std::int32_t> begins(most + 1);
    gpu::lay_chunks(device.row(), chunk, {offsets.span(), pairs.span(), begins.span()});
    chunk_offsets chunks{
        .offsets = offsets.get(), .indices = pairs.get(), .split_cu_seqlens = begins.get()};
    const auto found = static_cast<std::size_t>(chunks.offsets.back());
    chunks.indices.resize(2 * found);
    chunks.split_cu_seqlens.resize(found + 1);
    return chunks;
  }

  std::vector<std::int64_t> ragged_offsets(const document_row& row, std::int64_t multiplier,
                                           std::size_t entries, bool wide) const override {
    const device_row device(row);
    const ragged_multipliers elements{.q = multiplier};
    const auto offsets_of = [&](auto type) {
      using offset_type = decltype(type);
      const device_values<offset_type> offsets(entries);
      gpu::ragged_offsets<offset_type>(device.row(), device.row(), elements, {.q = offsets.span()});
      const std::vector<offset_type> found = offsets.get();
      return std::vector<std::int64_t>(found.begin(), found.end());
    };
    return wide ? offsets_of(std::int64_t{}) : offsets_of(std::int32_t{});
  }

  std::vector<std::int64_t> tile_padded_offsets(const document_row& row,
                                                std::int64_t tile) const override {
    const device_row device(row);
    const device_values<std::int32_t> offsets(static_cast<std::size_t>(row.documents));
    gpu::tile_padded_offsets(device.row(), tile, offsets.span());
    const std::vector<std::int32_t> found = offsets.get();
    return {found.begin(), found.end()};
  }

  block_mask list_blocks(std::span<const std::int32_t> first, std::span<const std::int32_t> limit,
                         std::int64_t q_block, std::int64_t k_block) const override {
    indices::detail::require_at_least(q_block, 1, "q_block");
    indices::detail::require_at_least(k_block, 1, "k_block");
    const device_values<std::int32_t> firsts(first);
    const device_values<std::int32_t> limits(limit);
    const auto slots = static_cast<std::int64_t>(first.size());
    const auto rows = static_cast<std::size_t>(divide_rounding_up(slots, q_block));
    const auto columns = static_cast<std::size_t>(divide_rounding_up(slots, k_block));
    const device_list kv(rows, columns), full_kv(rows, columns), q(columns, rows),
        full_q(columns, rows);
    gpu::list_blocks(firsts.span(), limits.span(), q_block, k_block,
                     {kv.view(), full_kv.view(), q.view(), full_q.view()});
    return {kv.list(), full_kv.list(), q.list(), full_q.list()};
  }

  std::vector<std::int32_t> vision_cu_seqlens(const laid_images& images,
                                              vision_sequence sequence) const override {
    // The kernel visits every patch, which the emulator cannot do within a minute.
    if (images.patches() > most_entries()) return forms::vision_cu_seqlens(images, sequence);
    const device_images device(images, 0, false);
    if (sequence == vision_sequence::clip) {
      device.lay({});
      return device.cu_patches.get();
    }
    std::int64_t frames = 0;
    for (const image_grid& grid : images.grids) frames += grid.t;
    const device_values<std::int32_t> offsets(static_cast<std::size_t>(frames) + 1);
    device.lay({.cu_seqlens = offsets.span()});
    return offsets.get();
  }

  void lay_patches(const laid_images& images, std::int64_t side,
                   const patch_arrays& arrays) const override {
    const device_images device(images, side, false);
    const device_output t(arrays.t);
    const device_output h(arrays.h);
    const device_output w(arrays.w);
    const device_output window_index(arrays.window_index);
    const device_output inverse(arrays.inverse);
    device.lay({.t = t.span(),
                .h = h.span(),
                .w = w.span(),
                .window_index = window_index.span(),
                .inverse = inverse.span()});
    const auto get_all = [](const auto&... outputs) { (outputs.get(), ...); };
    get_all(t, h, w, window_index, inverse);
  }

  std::vector<std::int32_t> window_cu_seqlens(const laid_images& images, std::int64_t side,
                                              bool empty_last) const override {
    const device_images device(images, side, empty_last);
    std::int64_t windows = 0;
    for (const image_grid& grid : images.grids)
      windows += grid.t * gpu::detail::windows_along(grid.h / images.merge, device.layout) *
                 gpu::detail::windows_along(grid.w / images.merge, device.layout);
    const device_values<std::int32_t> offsets(static_cast<std::size_t>(windows) + 1);
    device.lay({.cu_window_seqlens = offsets.span()});
    return offsets.get();
  }

  void interpolate_patches(const laid_images& images, const tap_table& table,
                           std::span<std::int64_t> taps, std::span<float> weights) const override {
    const device_images device(images, 0, false);
    const device_output places(taps);
    const device_output tap_weights(weights);
    device.lay({.taps = places.span(), .tap_weights = tap_weights.span()},
               {table.side, table.align_corners, table.mode});
    places.get();
    tap_weights.get();
  }
};

}  // namespace

std::unique_ptr<forms> make_emulated_forms() { return std::make_unique<emulated_forms>(); }

}  // namespace omnibal::examples
