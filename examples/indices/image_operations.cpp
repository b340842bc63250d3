// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>

#include "operations.hpp"

namespace omnibal::examples {

namespace {

using namespace indices;

json vision_cu(const forms& form, const json& in) {
  const case_input given(in, {"grid_thw"});
  const laid_images images = lay_images(given.grids("grid_thw"), 1);
  std::int64_t frames = 0;
  for (const image_grid& grid : given.grids("grid_thw")) frames += grid.t;
  require_few_entries(form, "grid_thw", frames, frames);
  return {{"cu_seqlens_per_frame", form.vision_cu_seqlens(images, vision_sequence::frame)},
          {"cu_seqlens_per_clip", form.vision_cu_seqlens(images, vision_sequence::clip)}};
}

json vision_position_ids(const forms& form, const json& in) {
  const case_input given(in, {"grid_thw", "merge"});
  const laid_images images = lay_images(given.grids("grid_thw"), given.integer("merge"));
  require_few_entries(form, "grid_thw", images.patches(), images.patches());
  const auto patches = static_cast<std::size_t>(images.patches());
  integers t(patches);
  integers h(patches);
  integers w(patches);
  form.lay_patches(images, 1, {.t = t, .h = h, .w = w});
  return {{"t", t}, {"h", h}, {"w", w}};
}

json vision_window_index(const forms& form, const json& in) {
  const case_input given(in, {"grid_thw", "merge", "window", "patch"});
  const laid_images images = lay_images(given.grids("grid_thw"), given.integer("merge"));
  require_few_entries(form, "grid_thw", images.patches(), images.patches());
  const std::int64_t side =
      window_side(given.integer("window"), images.merge, given.integer("patch"));
  integers window_index(static_cast<std::size_t>(images.cells()));
  integers inverse(window_index.size());
  form.lay_patches(images, side, {.window_index = window_index, .inverse = inverse});
  return {{"window_index", window_index},
          {"inverse", inverse},
          {"cu_window_seqlens", form.window_cu_seqlens(images, side, false)},
          {"cu_window_seqlens_raw", form.window_cu_seqlens(images, side, true)}};
}

interpolation_mode mode_of(const std::string& name) {
  if (name == "bilinear") return interpolation_mode::bilinear;
  if (name == "bicubic") return interpolation_mode::bicubic;
  throw invalid_input("mode", name, "must be bilinear or bicubic");
}

/// Rows of `width` values.
template <typename Value>
std::vector<std::vector<Value>> in_rows(const std::vector<Value>& values, std::size_t width) {
  std::vector<std::vector<Value>> rows;
  for (auto at = values.begin(); at != values.end(); at += static_cast<std::ptrdiff_t>(width))
    rows.emplace_back(at, at + static_cast<std::ptrdiff_t>(width));
  return rows;
}

json vision_interpolation(const forms& form, const json& in) {
  const case_input given(in, {"grid_thw", "side", "merge", "align_corners", "mode"});
  const laid_images images = lay_images(given.grids("grid_thw"), given.integer("merge"));
  require_few_entries(form, "grid_thw", images.patches(), images.patches());
  const interpolation_mode mode = mode_of(given.text("mode"));
  const std::size_t taps = mode == interpolation_mode::bilinear ? 4 : 16;
  integers places(static_cast<std::size_t>(images.patches()) * taps);
  std::vector<float> weights(places.size());
  form.interpolate_patches(images, {given.integer("side"), given.boolean("align_corners"), mode},
                           places, weights);
  return {{"indices", in_rows(places, taps)}, {"weights", in_rows(weights, taps)}};
}

rope_variant variant_of(const std::string& name) {
  using enum rope_variant;
  for (const auto& [known, variant] :
       {std::pair{"qwen2_vl", qwen2_vl}, std::pair{"qwen2_5_vl", qwen2_5_vl},
        std::pair{"qwen3_vl", qwen3_vl}, std::pair{"glm4v", glm4v}})
    if (name == known) return variant;
  throw invalid_input("variant", name, "must be qwen2_vl, qwen2_5_vl, qwen3_vl or glm4v");
}

std::vector<token_type> types_of(const integers& numbers) {
  std::vector<token_type> types;
  for (const std::int64_t number : numbers) {
    if (number < 0 || number > 2)
      throw invalid_input("token_type", types.size(), number, "must be 0, 1 or 2");
    types.push_back(static_cast<token_type>(number));
  }
  return types;
}

json mrope(const forms& form, const json& in) {
  const case_input given(in, {"variant", "merge", "token_type", "image_grid_thw", "video_grid_thw",
                              "lengths", "slots", "tokens_per_second", "second_per_grid"});
  std::vector<token_type> types = types_of(given.list("token_type"));
  const auto tokens = static_cast<std::int64_t>(types.size());
  const integers lengths = given.has("lengths") ? given.list("lengths") : integers{tokens};
  const auto laid = form.lay_row(lengths, given.integer_or("slots", tokens));
  const document_row row = laid.row();
  require_few_entries(form, "slots", row.slots, row.slots);
  if (tokens < row.slots) types.resize(static_cast<std::size_t>(row.slots), token_type::text);
  const auto images = given.grids("image_grid_thw");
  const auto videos = given.grids("video_grid_thw");
  const auto seconds = given.numbers_or_none("second_per_grid");
  if (!seconds.empty() && seconds.size() != videos.size())
    throw invalid_input("second_per_grid", seconds.size(),
                        "entries are given: must be one a video, " + std::to_string(videos.size()));
  for (std::size_t video = 0; video < seconds.size(); ++video)
    if (!(seconds[video] >= 0 && seconds[video] <= 1e6F))
      throw invalid_input("second_per_grid", video, std::to_string(seconds[video]),
                          "must be between 0 and 1000000");
  integers positions(3 * static_cast<std::size_t>(row.slots));
  integers delta(lengths.size());
  form.place_images(row,
                    {.variant = variant_of(given.text("variant")),
                     .merge = given.integer("merge"),
                     .types = types,
                     .images = images,
                     .videos = videos,
                     .tokens_per_second = given.number_or("tokens_per_second", 1),
                     .seconds_per_grid = seconds},
                    positions, delta);
  const auto slots = static_cast<std::size_t>(row.slots);
  json out = {{"position_ids", json::array()}};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto begin = positions.begin() + static_cast<std::ptrdiff_t>(axis * slots);
    out["position_ids"].push_back(integers(begin, begin + static_cast<std::ptrdiff_t>(slots)));
  }
  if (delta.size() == 1) out["delta"] = delta[0];
  return out;
}

}  // namespace

named_operations image_operations() {
  return {{"vision_cu_seqlens", vision_cu},
          {"vision_position_ids", vision_position_ids},
          {"vision_window_index", vision_window_index},
          {"vision_interpolation", vision_interpolation},
          {"mrope", mrope}};
}

}  // namespace omnibal::examples
