// SPDX-License-Identifier: Apache-2.0
/// @file
/// The functors of the module indices, of which the kernels are made too, run through Thrust as
/// parallel algorithms: on the host where this is compiled for a host back end.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <type_traits>
#include <vector>

#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/scan.h>

#include <omnibal/indices.hpp>
#include <omnibal/indices/rope_slot.hpp>

#include "catch.hpp"
#include "gpu/thrust_arrays.hpp"

namespace {

namespace indices = omnibal::indices;

/// A random row on the host and its offsets on the device.
struct row_of_both {
  row_of_both(std::size_t documents, std::int64_t multiple, std::int64_t tail)
      : random(static_cast<std::uint32_t>(documents) + 1) {
    std::vector<std::int64_t> lengths;
    for (std::size_t d = 0; d < documents; ++d)
      lengths.push_back(static_cast<std::int64_t>(random() % 3 == 0 ? 0 : random() % 90));
    laid = indices::lay_row(lengths, std::nullopt, multiple);
    laid = indices::lay_row(lengths, laid.row().slots + tail, multiple);
    plain = laid.cu_seqlens;
    padded = laid.cu_seqlens_padded;
    host = device = laid.row();
    device.cu_seqlens = address_of(plain);
    device.cu_seqlens_padded = address_of(padded);
  }
  [[nodiscard]] std::size_t slots() const { return static_cast<std::size_t>(host.slots); }

  std::mt19937 random;
  indices::laid_documents laid;
  thrust::device_vector<std::int32_t> plain, padded;
  indices::document_row host, device;
};

struct first_of_interval {
  indices::by_slot<indices::interval_of_key> interval;
  OMNIBAL_HD std::int32_t operator()(std::int64_t slot) const {
    return static_cast<std::int32_t>(interval(slot).first);
  }
};
struct limit_of_interval {
  indices::by_slot<indices::interval_of_key> interval;
  OMNIBAL_HD std::int32_t operator()(std::int64_t slot) const {
    return static_cast<std::int32_t>(interval(slot).limit);
  }
};
template <typename Split>
struct global_of {
  Split split;
  std::int64_t rank;
  OMNIBAL_HD std::int64_t operator()(std::int64_t local) const { return split.global(rank, local); }
};

}  // namespace

TEST_CASE("arrays with an entry per slot through Thrust are those of the host") {
  for (const std::size_t documents : {0U, 1U, 300U}) {
    row_of_both row(documents, 8, 5);
    const std::size_t slots = row.slots();
    std::vector<std::int64_t> labels(slots);
    for (auto& label : labels) label = row.random() % 3 == 0 ? -100 : 1;
    std::vector<float> weights(documents);
    const indices::label_policy policy{.shift = indices::label_shift::shifted};
    indices::weigh_documents(row.host, labels, policy, indices::loss_weighting::sample,
                             {.weight = weights});
    std::vector<std::int64_t> position(slots), source(slots), label(slots);
    std::vector<std::int32_t> first(slots), limit(slots);
    std::vector<float> loss(slots);
    const auto mask = indices::mask_kind::causal_window;
    indices::fill_tokens(row.host,
                         {.labels = labels,
                          .document_weight = weights,
                          .label = policy,
                          .mask = mask,
                          .mask_parameter = 6},
                         {.position_ids = position,
                          .source_slot = source,
                          .labels = label,
                          .loss_weights = loss,
                          .first_query = first,
                          .limit_query = limit});
    const thrust::device_vector<std::int64_t> device_labels = labels;
    const thrust::device_vector<float> device_weights = weights;
    const indices::label_of label_of{address_of(device_labels), policy};
    const auto by_slot = [&](const auto& function) {
      return indices::by_slot<std::decay_t<decltype(function)>>{row.device, function};
    };
    CHECK(tabulated<std::int64_t>(slots, by_slot(indices::position_of{})) == position);
    CHECK(tabulated<std::int64_t>(slots, by_slot(indices::source_of{address_of(row.plain)})) ==
          source);
    CHECK(tabulated<std::int64_t>(slots, by_slot(label_of)) == label);
    CHECK(tabulated<float>(slots, by_slot(indices::loss_weight_of{
                                      label_of, address_of(device_weights)})) == loss);
    const auto interval = by_slot(indices::interval_of_key{mask, 6, nullptr});
    CHECK(tabulated<std::int32_t>(slots, first_of_interval{interval}) == first);
    CHECK(tabulated<std::int32_t>(slots, limit_of_interval{interval}) == limit);
  }
}

TEST_CASE("splits and offsets through Thrust are those of the host") {
  const std::int64_t ranks = 3;
  const row_of_both row(200, 2 * ranks, 0);
  const indices::zigzag host{row.host, ranks};
  const indices::zigzag device{row.device, ranks};
  std::vector<std::int64_t> inverse(row.slots());
  indices::invert_split(host, inverse);
  CHECK(tabulated<std::int64_t>(row.slots(), indices::place_among_ranks<indices::zigzag>{device}) ==
        inverse);
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    std::vector<std::int64_t> global(row.slots() / static_cast<std::size_t>(ranks));
    indices::fill_tokens(row.host, host, rank, {}, {.global_slot = global});
    CHECK(tabulated<std::int64_t>(global.size(), global_of<indices::zigzag>{device, rank}) ==
          global);
    thrust::device_vector<std::int32_t> sums(201);
    const auto tokens =
        thrust::make_transform_iterator(thrust::make_counting_iterator(std::int64_t{0}),
                                        indices::zigzag_tokens_of{row.device, ranks, rank});
    thrust::inclusive_scan(thrust::device, tokens, tokens + 200, sums.begin() + 1);
    CHECK(copied(sums) == indices::zigzag_cu_seqlens(host, rank));
  }
  const std::vector<std::int64_t> ragged =
      tabulated<std::int64_t>(220, indices::ragged_offset{address_of(row.padded), 200, 1 << 20});
  CHECK(ragged[7] == std::int64_t{row.laid.cu_seqlens_padded[7]} << 20);
  CHECK(ragged[219] == std::int64_t{row.laid.cu_seqlens_padded[200]} << 20);
  const std::vector<std::int64_t> tiles =
      tabulated<std::int64_t>(200, indices::tile_padded_offset{address_of(row.plain), 64});
  CHECK(tiles[150] == (row.laid.cu_seqlens[150] + 150 * 64) / 64 * 64);
}

TEST_CASE("places of patches and their taps through Thrust are those of the host") {
  const std::vector<indices::image_grid> grids{{1, 6, 10}, {0, 4, 4}, {3, 8, 2}, {2, 2, 14}};
  const indices::laid_images laid = indices::lay_images(grids, 2);
  const thrust::device_vector<indices::image_grid> device_grids = grids;
  const thrust::device_vector<std::int32_t> cu_patches = laid.cu_patches;
  indices::image_row row = laid.row();
  row.grids = address_of(device_grids);
  row.cu_patches = address_of(cu_patches);
  const auto cells = static_cast<std::size_t>(laid.cells());
  std::vector<std::int64_t> window_index(cells), inverse(cells);
  indices::lay_patches(laid, 2, {.window_index = window_index, .inverse = inverse});
  CHECK(tabulated<std::int64_t>(cells, indices::window_place{row, 2, true}) == window_index);
  CHECK(tabulated<std::int64_t>(cells, indices::window_place{row, 2, false}) == inverse);
  const std::vector<indices::patch_place> places = tabulated<indices::patch_place>(
      static_cast<std::size_t>(laid.patches()), indices::place_in_grid{row});
  const indices::place_in_grid place{laid.row()};
  for (std::size_t patch = 0; patch < places.size(); ++patch)
    REQUIRE(places[patch] == place(static_cast<std::int64_t>(patch)));
}

namespace {

struct rope_of_slot {
  indices::by_slot<indices::position_of> cursor;  ///< for its row
  indices::rope_slot functor;
  const indices::token_type* types;
  const indices::token_counts* before;
  OMNIBAL_HD indices::rope_position operator()(std::int64_t slot) const {
    const indices::token_cursor at = indices::cursor_at(cursor.row, slot);
    return functor(at, types[slot], before[slot], before[at.begin]);
  }
};
struct count_of_slot {
  const indices::token_type* types;
  OMNIBAL_HD indices::token_counts operator()(std::int64_t slot) const {
    return {types[slot] == indices::token_type::image ? 1 : 0,
            types[slot] == indices::token_type::video ? 1 : 0};
  }
};
struct add_counts {
  OMNIBAL_HD indices::token_counts operator()(const indices::token_counts& a,
                                              const indices::token_counts& b) const {
    return {a.images + b.images, a.videos + b.videos};
  }
};

}  // namespace

TEST_CASE("M-RoPE positions through Thrust, from counted tokens, are those of the host") {
  using indices::token_type;
  const std::vector<indices::image_grid> images{{1, 2, 4}, {1, 0, 2}, {1, 6, 2}};
  const std::vector<indices::image_grid> videos{{3, 2, 2}};
  std::vector<token_type> types(40);
  const auto set = [&](std::size_t begin, std::size_t count, token_type type) {
    for (std::size_t i = begin; i < begin + count; ++i) types[i] = type;
  };
  set(2, 2, token_type::image);
  set(10, 3, token_type::image);
  set(20, 3, token_type::video);
  const std::vector<float> seconds{1.5F};
  const indices::laid_documents laid =
      indices::lay_row(std::vector<std::int64_t>{9, 5, 0, 20}, 40, 2);
  const indices::rope_row placed =
      indices::place_images(laid.row(), {.variant = indices::rope_variant::qwen2_5_vl,
                                         .merge = 2,
                                         .types = types,
                                         .images = images,
                                         .videos = videos,
                                         .tokens_per_second = 2,
                                         .seconds_per_grid = seconds});
  std::vector<std::int64_t> expected(120);
  indices::fill_rope_positions(laid.row(), placed, expected);

  const auto cumulated = [](const std::vector<indices::image_grid>& grids, auto of) {
    std::vector<std::int32_t> sums{0};
    for (const auto& grid : grids)
      sums.push_back(sums.back() + static_cast<std::int32_t>(of(grid)));
    return thrust::device_vector<std::int32_t>(sums);
  };
  const auto cells = [](const auto& grid) { return indices::cells_of_grid(grid, 2); };
  const auto advance = [](const auto& grid) { return indices::advance_of_grid(grid, 2, false); };
  const auto image_cells = cumulated(images, cells), image_positions = cumulated(images, advance);
  const auto video_cells = cumulated(videos, cells), video_positions = cumulated(videos, advance);
  const thrust::device_vector<indices::image_grid> device_images = images, device_videos = videos;
  const thrust::device_vector<token_type> device_types = types;
  const thrust::device_vector<float> device_seconds = seconds;
  const thrust::device_vector<std::int32_t> plain = laid.cu_seqlens,
                                            padded = laid.cu_seqlens_padded;
  thrust::device_vector<indices::token_counts> before(41);
  const auto counts = thrust::make_transform_iterator(
      thrust::make_counting_iterator(std::int64_t{0}), count_of_slot{address_of(device_types)});
  thrust::inclusive_scan(thrust::device, counts, counts + 40, before.begin() + 1, add_counts{});
  const std::vector<indices::rope_position> found = tabulated<indices::rope_position>(
      40, rope_of_slot{{{address_of(plain), address_of(padded), 4, 40}, {}},
                       {{.grids = address_of(device_images),
                         .cu_cells = address_of(image_cells),
                         .cu_positions = address_of(image_positions),
                         .count = 3,
                         .merge = 2},
                        {.grids = address_of(device_videos),
                         .cu_cells = address_of(video_cells),
                         .cu_positions = address_of(video_positions),
                         .count = 1,
                         .merge = 2,
                         .seconds = address_of(device_seconds),
                         .rate = 2}},
                       address_of(device_types),
                       address_of(before)});
  for (std::size_t slot = 0; slot < 40; ++slot) {
    REQUIRE(found[slot].t == expected[slot]);
    REQUIRE(found[slot].h == expected[40 + slot]);
    REQUIRE(found[slot].w == expected[80 + slot]);
  }
}
