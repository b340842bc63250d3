// SPDX-License-Identifier: Apache-2.0
/// @file
/// Multimodal rotary positions (M-RoPE) of packed rows with images and videos: three position ids
/// per slot, restarted in each document. A row becomes a list of *spans* (runs of text, images,
/// videos); positions are a closed form of the span of a slot.
///
/// Positions start at p = 0. A text token has (p, p, p) and advances p by 1. An image or video of t
/// × H × W cells has (p + ⌊frame · step⌋, p + row, p + column) and advances p by max(H, W). Images
/// are given by the slots' token types and by the grids in order: two that touch are read one after
/// the other, and a document may begin or end with one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/images.hpp>

namespace omnibal::inline v0::indices {

/// The models whose positions differ. In qwen3_vl and glm4v a video of t frames counts as t grids
/// of one frame, since text with a timestamp precedes each; in qwen2_5_vl frames of videos
/// advance by tokens per second · seconds per grid.
enum class rope_variant : std::int32_t { qwen2_vl, qwen2_5_vl, qwen3_vl, glm4v };

/// What a slot holds.
enum class token_type : std::uint8_t { text = 0, image = 1, video = 2 };

/// A run of slots whose positions are one closed form.
struct rope_span {
  std::int64_t begin = 0;     ///< first slot
  std::int64_t position = 0;  ///< p at its first slot
  std::int32_t height = 0;    ///< in cells; 0 for text
  std::int32_t width = 0;     ///< in cells; 0 for text and for the tail
  std::int32_t group = -1;    ///< number of its grid, videos after all images; −1 for text
  float step = 1.0F;          ///< positions a frame
  bool in_tail = false;
};

/// Slot → its position on an axis (0 time, 1 row, 2 column); 0 in the tail.
struct rope_position_of {
  const rope_span* spans = nullptr;
  const std::int64_t* begins = nullptr;  ///< [count] spans[i].begin
  std::int32_t count = 0;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(std::int64_t slot,
                                                             int axis) const noexcept {
    return in_span(spans[first_greater(begins, count, slot) - 1], slot, axis);
  }
  [[nodiscard]] OMNIBAL_HD static constexpr std::int64_t in_span(const rope_span& span,
                                                                 std::int64_t slot,
                                                                 int axis) noexcept {
    if (span.in_tail) return 0;
    const std::int64_t q = slot - span.begin;
    if (span.height == 0) return span.position + q;
    const std::int64_t frame = q / (std::int64_t{span.height} * span.width);
    if (axis == 0)
      return span.position + static_cast<std::int64_t>(static_cast<float>(frame) * span.step);
    return span.position + (axis == 1 ? q / span.width % span.height : q % span.width);
  }
};

/// Whether a frame of these seconds, at so many positions a second, has a step that positions of
/// 2³¹ frames can take: seconds 0 … 10⁶, steps up to 10⁹.
[[nodiscard]] OMNIBAL_HD constexpr bool is_valid_step(float seconds, float rate) noexcept {
  return seconds >= 0 && seconds <= 1e6F && rate * seconds <= 1e9F;
}

/// The images of a row.
struct rope_inputs {
  rope_variant variant = rope_variant::qwen2_vl;
  std::int64_t merge = 2;
  std::span<const token_type> types = {};  ///< [slots]; text in padding and in the tail
  std::span<const image_grid> images = {};
  std::span<const image_grid> videos = {};
  float tokens_per_second = 1;                   ///< qwen2_5_vl
  std::span<const float> seconds_per_grid = {};  ///< qwen2_5_vl: [videos], or empty: 1 each
};

/// A row as spans.
struct rope_row {
  std::vector<rope_span> spans = {};
  std::vector<std::int64_t> begins = {};
  std::vector<std::int64_t> delta =
      {};  ///< [documents] largest position + 1 − tokens; 0 for no tokens

  /// A view, valid as long as this object. The row has at least one slot.
  [[nodiscard]] rope_position_of positions() const noexcept;
};

/// Finds the spans of a row. Throws invalid_input where token types and grids do not agree: an
/// image that its grid does not fill within the document, fewer or more grids than images, types
/// other than text in padding. O(slots).
[[nodiscard]] rope_row place_images(const document_row& row, const rope_inputs& inputs);

/// Writes positions [3 × slots] (time, row, column), or [4 × slots] with the positions in the
/// document before them, as transformers' packed path takes them. O(slots).
void fill_rope_positions(const document_row& row, const rope_row& placed,
                         std::span<std::int64_t> position_ids);

/// Outputs of fill_image_groups, each optional: an empty span is not written.
struct image_group_arrays {
  /// [slots] number of the slot's grid among the images, then the videos; −1 for text.
  std::span<std::int32_t> image_group = {};
  /// [slots] first slot of the slot's image, the slot itself for text: token_inputs::image_first of
  /// masks in which images see themselves both ways. Frames that are grids of their own have first
  /// slots of their own.
  std::span<std::int32_t> image_first = {};
};

/// Writes which image each slot belongs to. Throws invalid_input for arrays of another size.
/// O(slots).
void fill_image_groups(const document_row& row, const rope_row& placed,
                       const image_group_arrays& arrays);

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/rope.ipp>
#endif
