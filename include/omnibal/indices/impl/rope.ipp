// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/rope.hpp>
#include <omnibal/indices/tokens.hpp>

namespace omnibal::inline v0::indices {

namespace detail {

/// The grids of one kind, in order, with their steps.
class grid_queue {
 public:
  /// `before` grids of another kind have smaller numbers.
  grid_queue(std::span<const image_grid> grids, std::int64_t merge, const char* field,
             std::size_t before)
      : grids_(grids), merge_(merge), field_(field), before_(before) {
    static_cast<void>(narrow(static_cast<std::int64_t>(before + grids.size()), "number of grids"));
    for (std::size_t i = 0; i < grids.size(); ++i) check_grid(grids[i], i, merge);
  }

  /// Of every grid of t frames makes t grids of one frame.
  void split_frames() noexcept { by_frame_ = true; }
  void set_steps(std::span<const float> seconds, float rate) noexcept {
    seconds_ = seconds;
    rate_ = rate;
    stepped_ = true;
  }

  /// The span of the next grid; passes over grids without cells.
  [[nodiscard]] rope_span next(std::int64_t slot, std::int64_t position) {
    skip_empty();
    if (at_ == grids_.size())
      throw invalid_input("token_type", static_cast<std::size_t>(slot), field_,
                          "is beyond the last grid of its kind");
    return {.begin = slot,
            .position = position,
            .height = static_cast<std::int32_t>(grids_[at_].h / merge_),
            .width = static_cast<std::int32_t>(grids_[at_].w / merge_),
            .group = static_cast<std::int32_t>(before_ + at_),
            .step = step()};
  }
  /// Cells of the grid that `next` showed, which is then used up.
  [[nodiscard]] std::int64_t take() {
    const image_grid& grid = grids_[at_];
    const std::int64_t cells = (by_frame_ ? 1 : grid.t) * (grid.h / merge_) * (grid.w / merge_);
    if (by_frame_ && ++frame_ < grid.t) return cells;
    frame_ = 0;
    ++at_;
    return cells;
  }
  void require_used_up() {
    skip_empty();
    if (at_ < grids_.size())
      throw invalid_input(
          "number of grids", grids_.size(),
          std::string("are given for ") + field_ + ": token types use " + std::to_string(at_));
  }

 private:
  void skip_empty() noexcept {
    while (at_ < grids_.size() && (grids_[at_].t == 0 || grids_[at_].h == 0 || grids_[at_].w == 0))
      ++at_;
  }
  [[nodiscard]] float step() const noexcept {
    if (!stepped_) return 1.0F;
    return rate_ * (seconds_.empty() ? 1.0F : seconds_[at_]);
  }

  std::span<const image_grid> grids_;
  std::int64_t merge_;
  const char* field_;
  std::size_t before_;
  bool by_frame_ = false;
  bool stepped_ = false;
  std::span<const float> seconds_;
  float rate_ = 1.0F;
  std::size_t at_ = 0;
  std::int32_t frame_ = 0;
};

/// Reads a row from left to right.
class rope_reader {
 public:
  rope_reader(const document_row& row, const rope_inputs& inputs)
      : row_(row),
        types_(inputs.types),
        images_(inputs.images, inputs.merge, "image", 0),
        videos_(inputs.videos, inputs.merge, "video", inputs.images.size()) {
    const bool by_frame =
        inputs.variant == rope_variant::qwen3_vl || inputs.variant == rope_variant::glm4v;
    if (by_frame) videos_.split_frames();
    if (inputs.variant == rope_variant::qwen2_5_vl)
      videos_.set_steps(inputs.seconds_per_grid, inputs.tokens_per_second);
  }

  [[nodiscard]] rope_row read() {
    for (std::int32_t document = 0; document < row_.documents; ++document)
      read_document(cursor_in(row_, document, 0));
    const token_cursor tail = cursor_in(row_, row_.documents, 0);
    require_text(tail.begin, tail.end);
    if (tail.begin < tail.end) placed_.spans.push_back({.begin = tail.begin, .in_tail = true});
    images_.require_used_up();
    videos_.require_used_up();
    for (const rope_span& span : placed_.spans) placed_.begins.push_back(span.begin);
    return std::move(placed_);
  }

 private:
  void read_document(const token_cursor& document) {
    const std::int64_t end = document.begin + document.length;
    std::int64_t slot = document.begin;
    std::int64_t position = 0;
    std::int64_t largest = -1;
    while (slot < end) {
      const std::int64_t begin = slot;
      if (type(slot) == token_type::text) {
        while (slot < end && type(slot) == token_type::text) ++slot;
        placed_.spans.push_back({.begin = begin, .position = position});
        position += slot - begin;
        largest = std::max(largest, position - 1);
      } else {
        const rope_span span = take_grid(slot, end, position);
        const std::int64_t frames = (slot - begin) / (std::int64_t{span.height} * span.width);
        const std::int64_t last_frame =
            static_cast<std::int64_t>(static_cast<float>(frames - 1) * span.step);
        const std::int64_t side = std::max(span.height, span.width);
        largest = std::max(largest, position + std::max(last_frame, side - 1));
        position += side;
      }
    }
    require_text(end, document.end);
    // Positions run on through the document's padding.
    if (end < document.end) placed_.spans.push_back({.begin = end, .position = position});
    placed_.delta.push_back(document.length == 0 ? 0 : largest + 1 - document.length);
  }

  // Appends the span of the grid at `slot` and moves `slot` behind it.
  rope_span take_grid(std::int64_t& slot, std::int64_t end, std::int64_t position) {
    const token_type kind = type(slot);
    grid_queue& grids = kind == token_type::image ? images_ : videos_;
    const rope_span span = grids.next(slot, position);
    const std::int64_t after = slot + grids.take();
    for (; slot < after; ++slot)
      if (slot >= end || type(slot) != kind)
        throw invalid_input("token_type", static_cast<std::size_t>(slot),
                            slot >= end ? "end of document" : "another type",
                            "is where the grid that began at slot " + std::to_string(span.begin) +
                                " has tokens up to slot " + std::to_string(after - 1));
    placed_.spans.push_back(span);
    return span;
  }

  void require_text(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t slot = begin; slot < end; ++slot)
      if (type(slot) != token_type::text)
        throw invalid_input("token_type", static_cast<std::size_t>(slot),
                            static_cast<int>(type(slot)), "must be 0 (text) in padding");
  }

  [[nodiscard]] token_type type(std::int64_t slot) const {
    return types_[static_cast<std::size_t>(slot)];
  }

  document_row row_;
  std::span<const token_type> types_;
  grid_queue images_;
  grid_queue videos_;
  rope_row placed_;
};

OMNIBAL_INLINE void check_rope_inputs(const document_row& row, const rope_inputs& inputs) {
  require_at_least(inputs.merge, 1, "merge");
  if (inputs.types.size() != static_cast<std::size_t>(row.slots))
    throw invalid_input("token_type", inputs.types.size(), "entries are given: must be one a slot");
  for (std::size_t slot = 0; slot < inputs.types.size(); ++slot)
    if (inputs.types[slot] > token_type::video)
      throw invalid_input("token_type", slot, static_cast<int>(inputs.types[slot]),
                          "must be 0 (text), 1 (image) or 2 (video)");
  require_size(inputs.seconds_per_grid, inputs.videos.size(), "seconds_per_grid");
  const float rate = inputs.tokens_per_second;
  if (!(rate >= 0 && rate <= 1e6F))
    throw invalid_input("tokens_per_second", std::to_string(rate), "must be between 0 and 1000000");
  for (std::size_t video = 0; video < inputs.seconds_per_grid.size(); ++video)
    if (const float seconds = inputs.seconds_per_grid[video]; !is_valid_step(seconds, rate))
      throw invalid_input("seconds_per_grid", video, std::to_string(seconds),
                          "must be between 0 and 1000000, with tokens_per_second at most 10^9");
}

/// Calls write(span, slot) for every slot of a row.
template <typename Write>
void for_each_slot(const document_row& row, const rope_row& placed, const Write& write) {
  for (std::size_t i = 0; i < placed.spans.size(); ++i) {
    const std::int64_t end = i + 1 < placed.spans.size() ? placed.begins[i + 1] : row.slots;
    for (std::int64_t slot = placed.begins[i]; slot < end; ++slot) write(placed.spans[i], slot);
  }
}

}  // namespace detail

OMNIBAL_INLINE rope_position_of rope_row::positions() const noexcept {
  return {.spans = spans.data(),
          .begins = begins.data(),
          .count = static_cast<std::int32_t>(spans.size())};
}

OMNIBAL_INLINE rope_row place_images(const document_row& row, const rope_inputs& inputs) {
  detail::check_rope_inputs(row, inputs);
  return detail::rope_reader(row, inputs).read();
}

OMNIBAL_INLINE void fill_rope_positions(const document_row& row, const rope_row& placed,
                                        std::span<std::int64_t> position_ids) {
  const auto slots = static_cast<std::size_t>(row.slots);
  if (position_ids.size() != 3 * slots && position_ids.size() != 4 * slots)
    throw invalid_input("position_ids", position_ids.size(),
                        "entries are given: must be 3 or 4 a slot, " + std::to_string(3 * slots) +
                            " or " + std::to_string(4 * slots));
  if (slots != 0 && position_ids.size() == 4 * slots) {
    fill_tokens(row, {}, {.position_ids = position_ids.first(slots)});
    position_ids = position_ids.subspan(slots);
  }
  for (std::size_t axis = 0; axis < 3; ++axis)
    detail::for_each_slot(row, placed, [&](const rope_span& span, std::int64_t slot) {
      position_ids[axis * slots + static_cast<std::size_t>(slot)] =
          rope_position_of::in_span(span, slot, static_cast<int>(axis));
    });
}

OMNIBAL_INLINE void fill_image_groups(const document_row& row, const rope_row& placed,
                                      const image_group_arrays& arrays) {
  const auto slots = static_cast<std::size_t>(row.slots);
  detail::require_size(arrays.image_group, slots, "image_group");
  detail::require_size(arrays.image_first, slots, "image_first");
  detail::for_each_slot(row, placed, [&](const rope_span& span, std::int64_t slot) {
    const auto at = static_cast<std::size_t>(slot);
    if (!arrays.image_group.empty()) arrays.image_group[at] = span.group;
    if (!arrays.image_first.empty())
      arrays.image_first[at] = static_cast<std::int32_t>(span.group < 0 ? slot : span.begin);
  });
}

}  // namespace omnibal::inline v0::indices
