// SPDX-License-Identifier: Apache-2.0
/// @file
/// The kernels of M-RoPE give what the host form gives, and refuse what it refuses.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/rope.cuh>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/rope.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;
using indices::rope_variant;
using indices::token_type;

/// A row with images, on the host.
struct image_text_row {
  indices::laid_documents laid;
  std::vector<token_type> types;
  std::vector<indices::image_grid> images, videos;
  std::vector<float> seconds;
  indices::rope_inputs inputs;
};

class row_maker {
 public:
  row_maker(rope_variant variant, std::uint32_t seed, std::int64_t merge)
      : by_frame_(variant == rope_variant::qwen3_vl || variant == rope_variant::glm4v),
        merge_(merge),
        random_(seed) {
    row_.inputs.variant = variant;
    row_.inputs.merge = merge;
    row_.inputs.tokens_per_second = 2.5F;
  }

  [[nodiscard]] image_text_row make(std::size_t documents, std::size_t parts,
                                    std::int64_t multiple) {
    std::vector<std::vector<token_type>> all(documents);
    std::vector<std::int64_t> lengths;
    for (auto& document : all) {
      for (std::size_t p = random_() % (parts + 1); p > 0; --p) append_part(document);
      lengths.push_back(static_cast<std::int64_t>(document.size()));
    }
    row_.laid = indices::lay_row(lengths, std::nullopt, multiple);
    row_.laid = indices::lay_row(lengths, row_.laid.row().slots + 5, multiple);
    row_.types.assign(static_cast<std::size_t>(row_.laid.row().slots), token_type::text);
    for (std::size_t d = 0; d < documents; ++d)
      std::copy(all[d].begin(), all[d].end(), row_.types.begin() + row_.laid.cu_seqlens_padded[d]);
    for (std::size_t v = 0; v < row_.videos.size(); ++v)
      row_.seconds.push_back(0.25F * static_cast<float>(random_() % 9));
    return row_;
  }

 private:
  void append_part(std::vector<token_type>& document) {
    switch (random_() % 4) {
      case 0: return append_grid(document, row_.images, token_type::image, 1);
      case 1: return append_grid(document, row_.videos, token_type::video, 1 + below(3));
      default: document.insert(document.end(), 1 + random_() % 300, token_type::text);
    }
  }
  [[nodiscard]] std::int32_t below(std::uint32_t bound) {
    return static_cast<std::int32_t>(random_() % bound);
  }
  void append_grid(std::vector<token_type>& document, std::vector<indices::image_grid>& grids,
                   token_type type, std::int32_t frames) {
    const auto side = [&] { return static_cast<std::int32_t>(merge_) * (1 + below(12)); };
    if (random_() % 5 == 0) grids.push_back({1, 0, static_cast<std::int32_t>(merge_)});
    grids.push_back({frames, side(), side()});
    const auto cells = static_cast<std::size_t>(grids.back().h / merge_ * grids.back().w / merge_);
    for (std::int32_t frame = 0; frame < frames; ++frame) {
      if (by_frame_ && frame > 0) document.push_back(token_type::text);
      document.insert(document.end(), cells, type);
    }
  }

  bool by_frame_;
  std::int64_t merge_;
  std::mt19937 random_;
  image_text_row row_;
};

/// What the device made of a row.
struct placed_on_device {
  explicit placed_on_device(const image_text_row& row, std::size_t axes)
      : plain(row.laid.cu_seqlens),
        padded(row.laid.cu_seqlens_padded),
        types(row.types.size()),
        images(row.images),
        videos(row.videos),
        seconds(row.seconds),
        positions(axes * row.types.size(), 1),
        image_cells(row.images.size() + 1),
        image_positions(row.images.size() + 1),
        video_cells(row.videos.size() + 1),
        video_positions(row.videos.size() + 1),
        tiles(gpu::mark_tiles(row.laid.row().slots)),
        delta(row.laid.cu_seqlens.size() - 1, 1),
        source_row(row.types.size()),
        group(row.types.size()),
        first(row.types.size()),
        summary(1) {
    types.set(row.types);
    indices::document_row on_device = row.laid.row();
    on_device.cu_seqlens = plain.span().data();
    on_device.cu_seqlens_padded = padded.span().data();
    indices::rope_inputs given = row.inputs;
    given.types = types.span();
    given.images = images.span();
    given.videos = videos.span();
    given.seconds_per_grid = seconds.span();
    gpu::place_images(on_device, given,
                      {positions.span(),
                       summary.span().data(),
                       image_cells.span(),
                       image_positions.span(),
                       video_cells.span(),
                       video_positions.span(),
                       tiles.span(),
                       delta.span(),
                       source_row.span(),
                       {group.span(), first.span()}});
  }

  device_array<std::int32_t> plain, padded;
  device_array<token_type> types;
  device_array<indices::image_grid> images, videos;
  device_array<float> seconds;
  device_array<std::int64_t> positions;
  device_array<std::int32_t> image_cells, image_positions, video_cells, video_positions;
  device_array<gpu::mark_counts> tiles;
  device_array<std::int64_t> delta, source_row;
  device_array<std::int32_t> group, first;
  device_array<gpu::rope_summary> summary;
};

/// Of the host form, whose inputs are views of the row.
indices::rope_row place_on_host(const image_text_row& row) {
  indices::rope_inputs given = row.inputs;
  given.types = row.types;
  given.images = row.images;
  given.videos = row.videos;
  given.seconds_per_grid = row.seconds;
  return indices::place_images(row.laid.row(), given);
}

void compare_places(const image_text_row& row, std::size_t axes) {
  const indices::rope_row host = place_on_host(row);
  std::vector<std::int64_t> expected(axes * row.types.size());
  indices::fill_rope_positions(row.laid.row(), host, expected);
  const placed_on_device device(row, axes);
  REQUIRE(device.positions.get() == expected);
  REQUIRE(device.positions.surroundings_untouched());
  REQUIRE(device.delta.get() == host.delta);
  REQUIRE(device.delta.surroundings_untouched());
  std::vector<std::int64_t> source;
  std::int64_t found[3] = {};
  for (const token_type type : row.types)
    source.push_back(type == token_type::text ? -1 : found[static_cast<std::size_t>(type)]++);
  REQUIRE(device.source_row.get() == source);
  std::vector<std::int32_t> group(row.types.size()), first(row.types.size());
  indices::fill_image_groups(row.laid.row(), host, {.image_group = group, .image_first = first});
  REQUIRE(device.group.get() == group);
  REQUIRE(device.group.surroundings_untouched());
  REQUIRE(device.first.get() == first);
  REQUIRE(device.first.surroundings_untouched());
}

bool is_refused_on_host(const image_text_row& row) {
  try {
    static_cast<void>(place_on_host(row));
  } catch (const omnibal::invalid_input&) {
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("kernels place images as the host does") {
  std::uint32_t seed = 0;
  for (const auto variant : {rope_variant::qwen2_vl, rope_variant::qwen2_5_vl,
                             rope_variant::qwen3_vl, rope_variant::glm4v})
    for (const std::size_t documents : {0U, 1U, 3U, 40U})
      for (const std::int64_t multiple : {1, 16}) {
        ++seed;
        row_maker make(variant, seed, seed % 3 == 0 ? 1 : 2);
        compare_places(make.make(documents, documents == 1 ? 60 : 9, multiple), 3 + seed % 2);
      }
}

TEST_CASE("documents that begin where tiles of slots begin, and in the tile before") {
  for (const std::int64_t first : {4095, 4096, 4097, 8192, 9000}) {
    image_text_row row;
    row.laid = indices::lay_row(std::vector<std::int64_t>{first, 4096, 30});
    row.types.assign(static_cast<std::size_t>(first) + 4126, token_type::text);
    const auto place = [&](std::int64_t slot) {
      row.images.push_back({1, 4, 6});
      std::fill_n(row.types.begin() + slot, 6, token_type::image);
    };
    place(0);
    place(first - 6);
    place(first);
    place(first + 4096);
    row.inputs.merge = 2;
    compare_places(row, 3);
  }
}

TEST_CASE("more grids than threads of a block") {
  image_text_row row;
  row.laid = indices::lay_row(std::vector<std::int64_t>{400, 500});
  row.types.assign(900, token_type::image);
  row.images.assign(900, {1, 1, 1});
  row.inputs.merge = 1;
  compare_places(row, 3);
}

TEST_CASE("kernels refuse the rows that the host refuses") {
  std::mt19937 random(7);
  std::size_t refused = 0;
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    row_maker make(seed % 2 == 0 ? rope_variant::qwen2_vl : rope_variant::qwen3_vl, seed, 2);
    image_text_row row = make.make(4, 6, seed % 4 == 0 ? 8 : 1);
    switch (seed % 4) {
      case 0: row.types[random() % row.types.size()] = static_cast<token_type>(random() % 3); break;
      case 1: row.images.push_back({1, 2, 2}); break;
      case 2: row.videos.push_back({1, 0, 2}), row.seconds.push_back(1); break;
      default:
        if (!row.images.empty()) row.images.back().h += 2;
    }
    if (is_refused_on_host(row)) {
      ++refused;
      CHECK_THROWS_AS(placed_on_device(row, 3), omnibal::invalid_input);
    } else {
      compare_places(row, 3);
    }
  }
  CHECK(refused > 15);
  CHECK(refused < 55);
}

TEST_CASE("grids and seconds at the ends of their ranges are refused as on the host") {
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  const auto refused = [](const image_text_row& row) {
    const bool on_host = is_refused_on_host(row);
    if (on_host)
      CHECK_THROWS_AS(placed_on_device(row, 3), omnibal::invalid_input);
    else
      compare_places(row, 3);
    return on_host;
  };
  image_text_row row;
  row.laid = indices::lay_row(std::vector<std::int64_t>{3});
  row.types.assign(3, token_type::text);
  row.inputs.merge = 1;
  row.inputs.variant = rope_variant::qwen2_5_vl;
  row.inputs.tokens_per_second = 100;
  using grids = std::vector<indices::image_grid>;
  for (const grids& bad : {grids{{most, 0, 0}}, grids{{0, 1, 1}, {most, most, most}},
                           grids{{most, 2, 1}}, grids{{-1, 1, 1}}, grids{{1, -1, most}}}) {
    row.images = bad;
    CHECK(refused(row));
    row.images.clear();
    row.videos = bad;
    row.seconds.assign(bad.size(), 1);
    CHECK(refused(row));
    row.videos.clear();
    row.seconds.clear();
  }
  row.videos = {{indices::most_frames_without_patches, 0, 5}, {0, most, most}};
  for (const float seconds : {0.0F, 1.0F, 1e6F}) {
    row.seconds = {1, seconds};
    CHECK_FALSE(refused(row));
  }
  for (const float seconds : {-1.0F, 1.01e6F, std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()}) {
    row.seconds = {1, seconds};
    CHECK(refused(row));
  }
  row.inputs.tokens_per_second = 1e6F;
  row.seconds = {1, 999};
  CHECK_FALSE(refused(row));
  row.seconds = {1, 1001};
  CHECK(refused(row));
}

TEST_CASE("grids that are not legal are named") {
  image_text_row row;
  row.laid = indices::lay_row(std::vector<std::int64_t>{3});
  row.types.assign(3, token_type::text);
  row.inputs.merge = 2;
  row.videos = {{1, 0, 0}, {1, 3, 2}};
  CHECK_THROWS_WITH(placed_on_device(row, 3), Catch::Matchers::Contains("video grid[1]"));
}
