// SPDX-License-Identifier: Apache-2.0
/// @file
/// The forms of omnibal-indices whose arrays come from the functors of the module indices through
/// Thrust: on the host with the back end CPP or OMP, on a GPU with CUDA's. The host form checks
/// inputs, and computes what has no functor: weights, lists of blocks, unpadding, offsets of
/// windows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <variant>
#include <vector>

#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/scan.h>

#include <omnibal/indices.hpp>
#include <omnibal/indices/rope_slot.hpp>

#include "forms.hpp"
#include "gpu/thrust_arrays.hpp"

namespace thrust_forms {

namespace indices = omnibal::indices;
using omnibal::examples::any_split;

template <typename Value>
thrust::device_vector<std::remove_const_t<Value>> on_device(std::span<Value> values) {
  return {values.begin(), values.end()};
}

/// Writes function(0), function(1), … into an array, unless it is empty.
template <typename Value, typename Function>
void tabulate(std::span<Value> array, const Function& function) {
  const std::vector<Value> values = tabulated<Value>(array.size(), function);
  std::copy(values.begin(), values.end(), array.begin());
}

/// A row with its offsets on the device.
struct row_on_device {
  explicit row_on_device(const indices::document_row& given)
      : plain(given.cu_seqlens, given.cu_seqlens + given.documents + 1),
        padded(given.cu_seqlens_padded, given.cu_seqlens_padded + given.documents + 1),
        row{address_of(plain), address_of(padded), given.documents, given.slots} {}

  thrust::device_vector<std::int32_t> plain, padded;
  indices::document_row row;
};

template <typename Split>
Split with_row(const Split& split, const indices::document_row& row) {
  if constexpr (std::is_same_v<Split, indices::zigzag>)
    return {row, split.ranks};
  else
    return split;
}

/// A local slot of a rank → what a function of cursors gives there.
template <typename Split, typename Function>
struct of_local {
  indices::document_row row;
  Split split;
  std::int64_t rank;
  Function function;
  OMNIBAL_HD auto operator()(std::int64_t local) const {
    return function(indices::cursor_at(row, split.global(rank, local)));
  }
};

struct slot_of {
  OMNIBAL_HD std::int64_t operator()(const indices::token_cursor& at) const { return at.slot; }
};
struct first_query_of {
  indices::interval_of_key interval;
  OMNIBAL_HD std::int32_t operator()(const indices::token_cursor& at) const {
    return static_cast<std::int32_t>(interval(at).first);
  }
};
struct limit_query_of {
  indices::interval_of_key interval;
  OMNIBAL_HD std::int32_t operator()(const indices::token_cursor& at) const {
    return static_cast<std::int32_t>(interval(at).limit);
  }
};
struct limit_in_tree {
  indices::interval_in_tree interval;
  OMNIBAL_HD std::int32_t operator()(std::int64_t key) const {
    return static_cast<std::int32_t>(interval(key).limit);
  }
};

struct slots_of_length {
  const std::int64_t* lengths;
  std::int64_t multiple;
  OMNIBAL_HD std::int64_t operator()(std::int64_t document) const {
    return indices::round_up(lengths[document], multiple);
  }
};

/// Slot → 1 where it holds this type; counts of such slots are the scan.
struct is_of_type {
  const indices::token_type* types;
  indices::token_type type;
  OMNIBAL_HD std::int32_t operator()(std::int64_t slot) const { return types[slot] == type; }
};

/// Grid → its cells, or its advance of positions.
struct size_of_grid {
  const indices::image_grid* grids;
  std::int64_t merge;
  bool by_frame;
  bool advance;
  OMNIBAL_HD std::int32_t operator()(std::int64_t i) const {
    return static_cast<std::int32_t>(advance ? indices::advance_of_grid(grids[i], merge, by_frame)
                                             : indices::cells_of_grid(grids[i], merge));
  }
};

/// 0 and the sums of function(0), function(1), …
template <typename Value, typename Function>
thrust::device_vector<Value> cumulated(std::size_t count, const Function& function) {
  thrust::device_vector<Value> sums(count + 1);
  const auto values =
      thrust::make_transform_iterator(thrust::make_counting_iterator(std::int64_t{0}), function);
  thrust::inclusive_scan(thrust::device, values, values + static_cast<std::int64_t>(count),
                         sums.begin() + 1);
  return sums;
}

/// Slot → its rotary position on an axis.
struct position_on_axis {
  indices::document_row row;
  indices::rope_slot functor;
  const indices::token_type* types;
  const std::int32_t* images_before;
  const std::int32_t* videos_before;
  int axis;
  OMNIBAL_HD std::int64_t operator()(std::int64_t slot) const {
    const indices::token_cursor at = indices::cursor_at(row, slot);
    const auto before = [&](std::int64_t s) {
      return indices::token_counts{images_before[s], videos_before[s]};
    };
    const indices::rope_position found = functor(at, types[slot], before(slot), before(at.begin));
    return axis == 0 ? found.t : axis == 1 ? found.h : found.w;
  }
};

template <int Axis>
struct axis_of_patch {
  indices::place_in_grid place;
  OMNIBAL_HD std::int64_t operator()(std::int64_t patch) const {
    const indices::patch_place at = place(patch);
    return Axis == 0 ? at.t : Axis == 1 ? at.h : at.w;
  }
};

/// Entry of an array of taps → its index, or its weight.
struct index_of_tap {
  indices::interpolation_of interpolation;
  OMNIBAL_HD std::int64_t operator()(std::int64_t entry) const {
    const int taps = interpolation.taps() * interpolation.taps();
    return interpolation.index(entry / taps, static_cast<int>(entry % taps));
  }
};
struct weight_of_tap {
  indices::interpolation_of interpolation;
  OMNIBAL_HD float operator()(std::int64_t entry) const {
    const int taps = interpolation.taps() * interpolation.taps();
    return interpolation.weight_at(entry / taps, static_cast<int>(entry % taps));
  }
};

class forms final : public omnibal::examples::forms {
 public:
  indices::document_summary lay_documents(std::span<const std::int64_t> lengths,
                                          const indices::document_layout& layout,
                                          const indices::document_arrays& arrays) const override {
    const indices::document_summary summary = indices::lay_documents(lengths, layout);
    const auto given = on_device(lengths);
    const auto write = [&](std::span<std::int32_t> offsets, std::int64_t multiple) {
      if (offsets.empty()) return;
      const auto sums =
          cumulated<std::int64_t>(lengths.size(), slots_of_length{address_of(given), multiple});
      std::vector<std::int64_t> all(sums.begin(), sums.end());
      const std::int64_t tail = layout.tail == indices::tail_policy::counted ? summary.tail : 0;
      all.resize(offsets.size(), all.back() + tail);
      for (std::size_t i = 0; i < all.size(); ++i) offsets[i] = static_cast<std::int32_t>(all[i]);
    };
    write(arrays.cu_seqlens, 1);
    write(arrays.cu_seqlens_padded, layout.multiple);
    return summary;
  }

  void fill_tokens(const indices::document_row& row, const any_split& split, std::int64_t rank,
                   const indices::token_inputs& inputs,
                   const indices::token_arrays& arrays) const override {
    std::visit([&](const auto& one) { fill(row, one, rank, inputs, arrays); }, split);
  }

  std::vector<std::int64_t> invert_split(const any_split& split,
                                         std::int64_t slots) const override {
    std::vector<std::int64_t> place(static_cast<std::size_t>(slots));
    std::visit(
        [&](const auto& one) {
          using split_type = std::decay_t<decltype(one)>;
          if constexpr (std::is_same_v<split_type, indices::zigzag>) {
            const row_on_device device(one.row);
            tabulate(std::span(place),
                     indices::place_among_ranks<split_type>{with_row(one, device.row)});
          } else {
            tabulate(std::span(place), indices::place_among_ranks<split_type>{one});
          }
        },
        split);
    return place;
  }

  std::vector<std::int32_t> lay_rank(const indices::zigzag& split,
                                     std::int64_t rank) const override {
    const row_on_device device(split.row);
    const auto sums =
        cumulated<std::int32_t>(static_cast<std::size_t>(split.row.documents),
                                indices::zigzag_tokens_of{device.row, split.ranks, rank});
    return {sums.begin(), sums.end()};
  }

  void place_images(const indices::document_row& row, const indices::rope_inputs& inputs,
                    std::span<std::int64_t> position_ids,
                    std::span<std::int64_t> delta) const override {
    using enum indices::rope_variant;
    const indices::rope_row placed = indices::place_images(row, inputs);
    std::copy(placed.delta.begin(), placed.delta.end(), delta.begin());
    const row_on_device device(row);
    const auto types = on_device(inputs.types);
    const auto before = [&](indices::token_type type) {
      return cumulated<std::int32_t>(types.size(), is_of_type{address_of(types), type});
    };
    const auto images_before = before(indices::token_type::image);
    const auto videos_before = before(indices::token_type::video);
    const bool by_frame = inputs.variant == qwen3_vl || inputs.variant == glm4v;
    const grids_on_device images(inputs.images, inputs.merge, false);
    const grids_on_device videos(inputs.videos, inputs.merge, by_frame);
    const auto seconds = on_device(inputs.seconds_per_grid);
    indices::rope_slot functor{images.sequence(), videos.sequence()};
    if (inputs.variant == qwen2_5_vl) {
      functor.videos.seconds = address_of(seconds);
      functor.videos.rate = inputs.tokens_per_second;
    }
    const auto slots = static_cast<std::size_t>(row.slots);
    for (std::size_t axis = 0; axis < 3; ++axis)
      tabulate(position_ids.subspan(axis * slots, slots),
               position_on_axis{device.row, functor, address_of(types), address_of(images_before),
                                address_of(videos_before), static_cast<int>(axis)});
  }

  void fill_tree(const indices::tree_row& tree, std::span<std::int64_t> position_ids,
                 std::span<std::int32_t> first, std::span<std::int32_t> limit) const override {
    omnibal::examples::forms::fill_tree(tree, position_ids, first, limit);
    const auto ends = on_device(std::span(tree.subtree_end));
    tabulate(limit, limit_in_tree{{address_of(ends)}});
  }

  std::vector<std::int64_t> ragged_offsets(const indices::document_row& row,
                                           std::int64_t multiplier, std::size_t entries,
                                           bool wide) const override {
    auto offsets = omnibal::examples::forms::ragged_offsets(row, multiplier, entries, wide);
    const row_on_device device(row);
    tabulate(std::span(offsets),
             indices::ragged_offset{device.row.cu_seqlens_padded, row.documents, multiplier});
    return offsets;
  }

  std::vector<std::int64_t> tile_padded_offsets(const indices::document_row& row,
                                                std::int64_t tile) const override {
    auto offsets = omnibal::examples::forms::tile_padded_offsets(row, tile);
    const row_on_device device(row);
    tabulate(std::span(offsets), indices::tile_padded_offset{device.row.cu_seqlens, tile});
    return offsets;
  }

  void lay_patches(const indices::laid_images& images, std::int64_t side,
                   const indices::patch_arrays& arrays) const override {
    omnibal::examples::forms::lay_patches(images, side, arrays);
    const images_on_device device(images);
    const indices::image_row row = device.row;
    const indices::place_in_grid place{row};
    tabulate(arrays.t, axis_of_patch<0>{place});
    tabulate(arrays.h, axis_of_patch<1>{place});
    tabulate(arrays.w, axis_of_patch<2>{place});
    tabulate(arrays.window_index, indices::window_place{row, side, true});
    tabulate(arrays.inverse, indices::window_place{row, side, false});
  }

  void interpolate_patches(const indices::laid_images& images,
                           const omnibal::examples::tap_table& table, std::span<std::int64_t> taps,
                           std::span<float> weights) const override {
    omnibal::examples::forms::interpolate_patches(images, table, taps, weights);
    const images_on_device device(images);
    const indices::interpolation_of interpolation{device.row, table.side, table.align_corners,
                                                  table.mode};
    tabulate(taps, index_of_tap{interpolation});
    tabulate(weights, weight_of_tap{interpolation});
  }

 private:
  /// A row of images with its offsets on the device.
  struct images_on_device {
    explicit images_on_device(const indices::laid_images& images)
        : grids(on_device(std::span(images.grids))),
          cu_patches(on_device(std::span(images.cu_patches))),
          row(images.row()) {
      row.grids = address_of(grids);
      row.cu_patches = address_of(cu_patches);
    }
    thrust::device_vector<indices::image_grid> grids;
    thrust::device_vector<std::int32_t> cu_patches;
    indices::image_row row;
  };

  /// The grids of one kind with their cumulated sizes.
  struct grids_on_device {
    grids_on_device(std::span<const indices::image_grid> given, std::int64_t of_merge, bool frames)
        : grids(on_device(given)),
          cells(cumulated<std::int32_t>(given.size(),
                                        size_of_grid{address_of(grids), of_merge, frames, false})),
          positions(cumulated<std::int32_t>(
              given.size(), size_of_grid{address_of(grids), of_merge, frames, true})),
          merge(of_merge),
          by_frame(frames) {}
    [[nodiscard]] indices::grid_sequence sequence() const {
      return {.grids = address_of(grids),
              .cu_cells = address_of(cells),
              .cu_positions = address_of(positions),
              .count = static_cast<std::int32_t>(grids.size()),
              .merge = static_cast<std::int32_t>(merge),
              .by_frame = by_frame};
    }
    thrust::device_vector<indices::image_grid> grids;
    thrust::device_vector<std::int32_t> cells, positions;
    std::int64_t merge;
    bool by_frame;
  };

  template <typename Split>
  static void fill(const indices::document_row& row, const Split& split, std::int64_t rank,
                   const indices::token_inputs& inputs, const indices::token_arrays& arrays) {
    indices::detail::check_tokens(row, split.local_slots(), inputs, arrays);
    const row_on_device device(row);
    const auto labels = on_device(inputs.labels);
    const auto weights = on_device(inputs.document_weight);
    const auto image_first = on_device(inputs.image_first);
    const auto write = [&](auto array, const auto& function) {
      using function_type = std::decay_t<decltype(function)>;
      tabulate(array, of_local<Split, function_type>{device.row, with_row(split, device.row), rank,
                                                     function});
    };
    const indices::label_of label{address_of(labels), inputs.label};
    const indices::interval_of_key interval{inputs.mask, inputs.mask_parameter,
                                            address_of(image_first)};
    write(arrays.position_ids, indices::position_of{inputs.zero_in_padding});
    write(arrays.position_ids_int32, indices::position_of{inputs.zero_in_padding});
    write(arrays.sequence_index, indices::sequence_of{});
    write(arrays.padding_mask, indices::padding_of{});
    write(arrays.source_slot, indices::source_of{device.row.cu_seqlens});
    write(arrays.global_slot, slot_of{});
    write(arrays.labels, label);
    write(arrays.loss_weights, indices::loss_weight_of{label, address_of(weights)});
    write(arrays.first_query, first_query_of{interval});
    write(arrays.limit_query, limit_query_of{interval});
  }
};

}  // namespace thrust_forms
