// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/interpolation.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/indices/rope.hpp>
#include <omnibal/indices/rows.hpp>
#include <omnibal/indices/tokens.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::indices;

namespace {

using integers = std::vector<std::int64_t>;

std::vector<image_grid> random_grids(std::mt19937& random, std::int32_t merge) {
  std::vector<image_grid> grids(random() % 5);
  for (auto& grid : grids)
    grid = {static_cast<std::int32_t>(random() % 4),
            static_cast<std::int32_t>(random() % 6) * merge,
            static_cast<std::int32_t>(random() % 6) * merge};
  return grids;
}

}  // namespace

TEST_CASE("patches and windows equal loops over frames, squares and windows") {
  std::mt19937 random(8);
  for (int round = 0; round < 500; ++round) {
    const auto merge = static_cast<std::int32_t>(1 + random() % 3);
    const auto side = static_cast<std::int64_t>(1 + random() % 4);
    const auto grids = random_grids(random, merge);
    integers t, h, w, order;
    std::vector<std::int32_t> frames{0}, windows{0};
    std::int64_t cells = 0;
    for (const image_grid& grid : grids)
      for (std::int32_t f = 0; f < grid.t; ++f) {
        frames.push_back(frames.back() + grid.h * grid.w);
        for (std::int32_t y = 0; y < grid.h; y += merge)
          for (std::int32_t x = 0; x < grid.w; x += merge)
            for (std::int32_t i = 0; i < merge * merge; ++i) {
              t.push_back(f);
              h.push_back(y + i / merge);
              w.push_back(x + i % merge);
            }
        const std::int64_t high = grid.h / merge, wide = grid.w / merge;
        for (std::int64_t a = 0; a < high; a += side)
          for (std::int64_t b = 0; b < wide; b += side) {
            for (std::int64_t y = a; y < std::min(high, a + side); ++y)
              for (std::int64_t x = b; x < std::min(wide, b + side); ++x)
                order.push_back(cells + y * wide + x);
            windows.push_back(
                static_cast<std::int32_t>(static_cast<std::int64_t>(order.size()) * merge * merge));
          }
        cells += high * wide;
      }
    const laid_images images = lay_images(grids, merge);
    REQUIRE(images.cells() == cells);
    integers out_t(t.size()), out_h(t.size()), out_w(t.size()), out(order.size()),
        inverse(order.size());
    lay_patches(images, side, {out_t, out_h, out_w, out, inverse});
    REQUIRE(out_t == t);
    REQUIRE(out_h == h);
    REQUIRE(out_w == w);
    REQUIRE(out == order);
    for (std::size_t place = 0; place < order.size(); ++place)
      REQUIRE(inverse[static_cast<std::size_t>(order[place])] == static_cast<std::int64_t>(place));
    REQUIRE(vision_cu_seqlens(images, vision_sequence::frame) == frames);
    REQUIRE(window_cu_seqlens(images, side) == windows);
    auto raw = window_cu_seqlens(images, side, true);
    raw.erase(std::unique(raw.begin(), raw.end()), raw.end());
    REQUIRE(raw == windows);
  }
  CHECK_THROWS_AS(lay_images(std::vector<image_grid>{{1, 3, 4}}, 2), invalid_input);
  CHECK_THROWS_AS(lay_images(std::vector<image_grid>{{1, -2, 4}}, 2), invalid_input);
  CHECK_THROWS_AS(lay_images(std::vector<image_grid>{{3, 32768, 32768}}, 2), invalid_input);
  CHECK_THROWS_AS(window_side(20, 2, 14), invalid_input);
}

double keys_kernel(double x) {
  const double a = -0.75;
  return x <= 1  ? (a + 2) * x * x * x - (a + 3) * x * x + 1
         : x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a
                 : 0;
}

TEST_CASE(
    "weights add up to one and bilinear ones keep lines and bicubic ones are the Keys kernel") {
  constexpr std::int64_t side = 12;
  const laid_images images = lay_images(std::vector<image_grid>{{1, 4, 6}, {2, 24, 2}}, 2);
  for (const bool align_corners : {true, false})
    for (const auto mode : {interpolation_mode::bilinear, interpolation_mode::bicubic}) {
      const std::size_t taps = mode == interpolation_mode::bilinear ? 4 : 16;
      integers index(static_cast<std::size_t>(images.patches()) * taps);
      std::vector<float> weight(index.size());
      interpolate_patches(images, side, align_corners, mode, index, weight);
      const place_in_grid place{images.row()};
      for (std::size_t patch = 0; patch * taps < index.size(); ++patch) {
        double sum = 0, row = 0;
        for (std::size_t i = patch * taps; i < (patch + 1) * taps; ++i) {
          sum += double{weight[i]};
          row += double{weight[i]} * static_cast<double>(index[i] / side);
        }
        REQUIRE(sum == Approx(1).margin(1e-5));
        const auto r = static_cast<double>(place(static_cast<std::int64_t>(patch)).h);
        const double n = patch < 24 ? 4 : 24;
        const double source = align_corners ? r * (side - 1) / (n - 1) : (r + 0.5) * side / n - 0.5;
        if (mode == interpolation_mode::bilinear) {
          // A clamped tap bends the line.
          if (source >= 0 && source <= side - 1) REQUIRE(row == Approx(source).margin(1e-4));
          continue;
        }
        for (std::size_t i = 0; i < 4; ++i) {
          const auto first = weight.begin() + static_cast<std::ptrdiff_t>(patch * taps + i * 4);
          const double tap = std::floor(source + 1e-6) - 1 + static_cast<double>(i);
          REQUIRE(std::accumulate(first, first + 4, 0.0) ==
                  Approx(keys_kernel(std::abs(source - tap))).margin(1e-4));
        }
      }
    }
  CHECK_THROWS_AS(interpolate_patches(images, 0, true, interpolation_mode::bilinear, {}, {}),
                  invalid_input);
}

TEST_CASE("rotary positions equal a walk from token to token") {
  std::mt19937 random(9);
  for (int round = 0; round < 500; ++round) {
    const auto variant = static_cast<rope_variant>(random() % 4);
    const bool by_frame = variant == rope_variant::qwen3_vl || variant == rope_variant::glm4v;
    const std::int32_t merge = 2;
    std::vector<image_grid> images, videos;
    std::vector<float> seconds;
    std::vector<token_type> types;
    integers expected[3], lengths, deltas;
    for (std::size_t d = random() % 4; d-- > 0;) {
      const std::size_t begin = types.size();
      std::int64_t p = 0, largest = -1;
      const auto put = [&](token_type type, std::int64_t t, std::int64_t h, std::int64_t w) {
        types.push_back(type);
        expected[0].push_back(t), expected[1].push_back(h), expected[2].push_back(w);
        largest = std::max({largest, t, h, w});
      };
      for (std::size_t part = random() % 5; part-- > 0;) {
        if (random() % 2 == 0) {
          for (std::size_t i = random() % 4; i-- > 0; ++p) put(token_type::text, p, p, p);
          continue;
        }
        const bool video = random() % 2 == 0;
        const image_grid grid{static_cast<std::int32_t>(video ? 1 + random() % 3 : 1),
                              static_cast<std::int32_t>(1 + random() % 3) * merge,
                              static_cast<std::int32_t>(1 + random() % 3) * merge};
        (video ? videos : images).push_back(grid);
        float step = 1;
        if (video) {
          seconds.push_back(static_cast<float>(random() % 10) / 4);
          if (variant == rope_variant::qwen2_5_vl) step = 2.0F * seconds.back();
        }
        for (std::int32_t f = 0; f < grid.t; ++f) {
          for (std::int32_t y = 0; y < grid.h / merge; ++y)
            for (std::int32_t x = 0; x < grid.w / merge; ++x)
              put(video ? token_type::video : token_type::image,
                  p + (video && by_frame ? 0
                                         : static_cast<std::int64_t>(static_cast<float>(f) * step)),
                  p + y, p + x);
          if (video && by_frame) p += std::max(grid.h, grid.w) / merge;
        }
        if (!(video && by_frame)) p += std::max(grid.h, grid.w) / merge;
      }
      lengths.push_back(static_cast<std::int64_t>(types.size() - begin));
      deltas.push_back(lengths.back() == 0 ? 0 : largest + 1 - lengths.back());
    }
    const auto slots = static_cast<std::int64_t>(types.size() + random() % 3);
    types.resize(static_cast<std::size_t>(slots), token_type::text);
    const auto laid = lay_row(lengths, slots);
    const rope_inputs inputs{.variant = variant,
                             .merge = merge,
                             .types = types,
                             .images = images,
                             .videos = videos,
                             .tokens_per_second = 2,
                             .seconds_per_grid = seconds};
    const rope_row placed = place_images(laid.row(), inputs);
    integers positions(static_cast<std::size_t>(4 * slots));
    fill_rope_positions(laid.row(), placed, positions);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      expected[axis].resize(types.size());
      const auto begin = positions.begin() + static_cast<std::ptrdiff_t>((axis + 1) * types.size());
      REQUIRE(std::equal(expected[axis].begin(), expected[axis].end(), begin));
      for (std::int64_t s = 0; s < slots; ++s)
        REQUIRE(placed.positions()(s, static_cast<int>(axis)) ==
                expected[axis][static_cast<std::size_t>(s)]);
    }
    for (std::int64_t s = 0; s < slots; ++s)
      REQUIRE(positions[static_cast<std::size_t>(s)] == cursor_at(laid.row(), s).offset());
    REQUIRE(placed.delta == deltas);
    // One grid too many is noticed.
    images.push_back({1, 2, 2});
    rope_inputs more = inputs;
    more.images = images;
    REQUIRE_THROWS_AS(place_images(laid.row(), more), invalid_input);
  }
}

TEST_CASE("image groups equal runs written down slot by slot, and give the masks of images") {
  std::mt19937 random(21);
  for (int round = 0; round < 2000; ++round) {
    const auto variant = static_cast<rope_variant>(random() % 4);
    const bool by_frame = variant == rope_variant::qwen3_vl || variant == rope_variant::glm4v;
    std::vector<image_grid> images, videos;
    std::vector<token_type> types;
    std::vector<std::int32_t> group, first, video_of;
    integers lengths;
    for (std::size_t d = random() % 4; d-- > 0;) {
      const std::size_t begin = types.size();
      for (std::size_t part = random() % 6; part-- > 0;) {
        if (random() % 3 == 0) {
          types.push_back(token_type::text), video_of.push_back(-1);
          first.push_back(static_cast<std::int32_t>(group.size())), group.push_back(-1);
          continue;
        }
        const bool video = random() % 3 == 0;
        auto& grids = video ? videos : images;
        if (random() % 6 == 0) grids.push_back({1, 0, 4});  // has no slots, but a number
        grids.push_back({video ? 1 + static_cast<std::int32_t>(random() % 3) : 1,
                         static_cast<std::int32_t>(1 + random() % 3), 2});
        const image_grid& grid = grids.back();
        const auto number = static_cast<std::int32_t>(grids.size()) - 1;
        const auto at = static_cast<std::int32_t>(group.size());
        for (std::int32_t cell = 0; cell < grid.t * grid.h * grid.w; ++cell) {
          types.push_back(video ? token_type::video : token_type::image);
          group.push_back(number), video_of.push_back(video ? number : -1);
          const std::int32_t frame = grid.h * grid.w;
          first.push_back(at + (video && by_frame ? cell / frame * frame : 0));
        }
      }
      lengths.push_back(static_cast<std::int64_t>(types.size() - begin));
    }
    for (std::size_t s = 0; s < group.size(); ++s)
      if (video_of[s] >= 0) group[s] += static_cast<std::int32_t>(images.size());
    for (std::size_t tail = random() % 3; tail-- > 0;) {
      types.push_back(token_type::text);
      first.push_back(static_cast<std::int32_t>(group.size())), group.push_back(-1);
    }
    const auto laid = lay_row(lengths, static_cast<std::int64_t>(types.size()));
    const rope_row placed = place_images(
        laid.row(),
        {.variant = variant, .merge = 1, .types = types, .images = images, .videos = videos});
    std::vector<std::int32_t> found_group(types.size(), 77), found_first(types.size(), 77);
    fill_image_groups(laid.row(), placed, {.image_group = found_group});
    fill_image_groups(laid.row(), placed, {.image_first = found_first});
    REQUIRE(found_group == group);
    REQUIRE(found_first == first);
    if (!by_frame) {
      std::vector<std::int32_t> starts(types.size());
      find_image_starts(found_group, starts);
      REQUIRE(starts == first);
    }
    // Gemma-3's global layers: causal, or of the same image.
    std::vector<std::int32_t> begin(types.size()), limit(types.size());
    fill_tokens(laid.row(), {.image_first = found_first, .mask = mask_kind::prefix},
                {.first_query = begin, .limit_query = limit});
    for (std::size_t q = 0; q < types.size(); ++q)
      for (std::size_t k = 0; k < types.size(); ++k) {
        const auto document = [&](std::size_t s) {
          return cursor_at(laid.row(), static_cast<std::int64_t>(s)).begin;
        };
        const bool sees =
            document(q) == document(k) &&
            (k <= q || (group[k] >= 0 && group[k] == group[q] && first[k] == first[q]));
        const auto query = static_cast<std::int32_t>(q);
        REQUIRE((begin[k] <= query && query < limit[k]) == sees);
      }
  }
  const auto one = lay_row(integers{2});
  std::vector<std::int32_t> wrong(3);
  const std::vector<token_type> text(2);
  const rope_row placed = place_images(one.row(), {.types = text});
  CHECK_THROWS_AS(fill_image_groups(one.row(), placed, {.image_group = wrong}), invalid_input);
  CHECK_THROWS_AS(fill_image_groups(one.row(), placed, {.image_first = wrong}), invalid_input);
}

TEST_CASE("images that leave their document are refused") {
  const std::vector<image_grid> grid{{1, 4, 4}};
  const std::vector<token_type> types(4, token_type::image);
  const auto cut = lay_row(integers{3, 1});
  CHECK_THROWS_AS(place_images(cut.row(), {.types = types, .images = grid}), invalid_input);
  const auto one = lay_row(integers{4});
  CHECK(place_images(one.row(), {.types = types, .images = grid}).delta == integers{-2});
  CHECK_THROWS_AS(place_images(one.row(), {.types = types, .videos = grid}), invalid_input);
  const auto none = lay_row({});
  CHECK(place_images(none.row(), {}).spans.empty());
}

TEST_CASE("grids beyond every row, and frames without patches, are refused by index") {
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  using Catch::Matchers::Contains;
  const auto lay = [](std::vector<image_grid> grids) { return lay_images(grids, 1); };
  CHECK_THROWS_WITH(lay({{1, 1, 1}, {most, 0, 0}}), Contains("grid t[1] = 2147483647"));
  CHECK_THROWS_WITH(lay({{most, most, most}}), Contains("at most 2147483647 patches"));
  CHECK_THROWS_WITH(lay({{most, 2, 1}}), Contains("grid t[0] = 2147483647"));
  CHECK_THROWS_AS(lay({{most, 1, 1}, {1, 1, 1}}), invalid_input);
  CHECK(lay({{0, most, most}, {most_frames_without_patches, 0, most}}).patches() == 0);
}

TEST_CASE("gathered rows have their adjoint, with sums in one order") {
  std::mt19937 random(10);
  for (int round = 0; round < 200; ++round) {
    const std::size_t width = 1 + random() % 4, sources = 1 + random() % 6, targets = random() % 12;
    integers source(targets);
    for (auto& s : source) s = static_cast<std::int64_t>(random() % (sources + 1)) - 1;
    std::vector<double> x(sources * width), y(targets * width), gathered(y.size()), added(x.size());
    for (auto& value : x) value = static_cast<double>(random() % 64);
    for (auto& value : y) value = static_cast<double>(random() % 64);
    gather_rows<double>(source, {x, width}, {gathered, width});
    add_rows<double>(source, {y, width}, {added, width});
    double left = 0, right = 0;
    for (std::size_t i = 0; i < y.size(); ++i) left += gathered[i] * y[i];
    for (std::size_t i = 0; i < x.size(); ++i) right += added[i] * x[i];
    REQUIRE(left == right);  // ⟨Gx, y⟩ = ⟨x, Gᵀy⟩, exact in these integers
  }
  // (big + small) + −big, in this order, is 0 in float.
  std::vector<float> sum(1);
  const std::vector<float> values{1e8F, 1.0F, -1e8F};
  add_rows<float>(integers{0, 0, 0}, {values, 1}, {sum, 1});
  CHECK(sum[0] == 0.0F);
  std::vector<float> rows(1);
  CHECK_THROWS_AS(add_rows<float>(integers{0, 1, 0}, {values, 1}, {rows, 1}), invalid_input);
  CHECK_THROWS_AS(add_rows<float>(integers{0, -2, 0}, {values, 1}, {rows, 1}), invalid_input);
}

TEST_CASE("unpad finds what pad puts back") {
  const std::vector<std::uint8_t> mask{0, 1, 1, 0, 0, 0}, unused{1, 0, 0, 0, 0, 0};
  const unpadded found = unpad(mask, unused, 2);
  CHECK(found.indices == integers{0, 1, 2});
  CHECK(found.cu_seqlens == std::vector<std::int32_t>{0, 3, 3});
  CHECK(found.seqused == std::vector<std::int32_t>{2, 0});
  CHECK(found.max_seqlen == 3);
  CHECK_THROWS_AS(unpad(mask, mask, 2), invalid_input);
  CHECK_THROWS_AS(unpad(mask, {}, 4), invalid_input);
  CHECK(places_in_rows(integers{2, 0, 1}, integers{0, 1, 1}, 3) == integers{0, 1, 3});
  CHECK_THROWS_AS(places_in_rows(integers{2, 2}, integers{0, 0}, 3), invalid_input);
  const scatter_plan plan = plan_scatter(integers{9, 1, 9}, 9, std::vector<std::uint8_t>{0, 1}, 2);
  CHECK(source_row_of_slot(plan, 3) == integers{2, -1, 3});
}
