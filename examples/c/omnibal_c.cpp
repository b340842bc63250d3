// SPDX-License-Identifier: Apache-2.0
// The library omnibal_c: the C interface over the host forms of the module indices.
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <vector>

#include <omnibal/c/omnibal.h>
#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>

#include "arguments.hpp"

using namespace omnibal;
using namespace omnibal::examples;
using namespace omnibal::indices;

namespace {

laid_documents lay(const omnibal_row& row) {
  return lay_row(need_span(row.lengths, row.documents, "lengths"), row.slots, row.multiple);
}

/// Refuses a row with a tail, which zigzag of the documents would leave to nobody.
void need_no_tail(const omnibal_row& row, const laid_documents& laid) {
  if (row.split == OMNIBAL_ZIGZAG && laid.summary.tail != 0)
    throw invalid_input("slots", row.slots, "must be those of the padded documents: no tail");
}

std::vector<image_grid> grids_of(const std::int32_t* grids, std::int64_t images,
                                 const char* field) {
  if (images < 0 || images > 1 << 30)
    throw invalid_input(field, images, "images: must be at least 0 and at most 2^30");
  const auto numbers = need_span(grids, 3 * images, field);
  std::vector<image_grid> all;
  for (std::size_t i = 0; i < numbers.size(); i += 3)
    all.push_back({numbers[i], numbers[i + 1], numbers[i + 2]});
  return all;
}

/// The images of a row; the rope_row is no view of the inputs.
rope_row place(const omnibal_row& row, const document_row& laid, const omnibal_rope_inputs& given) {
  check_rope_arguments(row, given);
  std::vector<token_type> types;
  for (const std::uint8_t type : need_span(given.token_type, row.slots, "token_type"))
    types.push_back(static_cast<token_type>(type));
  const auto images = grids_of(given.image_grids, given.images, "image_grids");
  const auto videos = grids_of(given.video_grids, given.videos, "video_grids");
  return place_images(
      laid, {.variant = static_cast<rope_variant>(given.variant),
             .merge = given.merge,
             .types = types,
             .images = images,
             .videos = videos,
             .tokens_per_second = given.tokens_per_second,
             .seconds_per_grid = span_of(given.seconds_per_grid, given.videos, "videos")});
}

/// Offsets into an array of any number of entries from theirs on, which repeats the last one.
void copy_offsets(const std::vector<std::int32_t>& offsets, std::span<std::int32_t> output,
                  const char* field) {
  if (output.empty()) return;
  if (output.size() < offsets.size())
    throw invalid_input(field, output.size(),
                        "entries are given: must be at least " + std::to_string(offsets.size()));
  std::fill(std::ranges::copy(offsets, output.begin()).out, output.end(), offsets.back());
}

void copy_to(const std::vector<std::int32_t>& values, std::int32_t* output) {
  if (output != nullptr) std::ranges::copy(values, output);
}

}  // namespace

std::int32_t omnibal_c_version() { return OMNIBAL_C_VERSION; }

std::int32_t omnibal_lay_documents(const std::int64_t* lengths, std::int64_t count,
                                   const omnibal_document_layout* layout, std::int32_t* cu_seqlens,
                                   std::int32_t* cu_seqlens_padded,
                                   omnibal_document_summary* summary, omnibal_error* error) {
  return guarded(error, [&] {
    const document_layout shape = layout_of(need(layout, "layout"));
    const auto all = need_span(lengths, count, "lengths");
    document_summary found = lay_documents(all, shape);
    const auto entries = static_cast<std::int64_t>(offset_count(shape));
    lay_documents(all, shape,
                  {span_of(cu_seqlens, entries, "documents"),
                   span_of(cu_seqlens_padded, entries, "documents")});
    if (summary != nullptr)
      *summary = {found.documents, found.tokens,  found.slots_used,
                  found.tail,      found.longest, found.longest_padded};
  });
}

std::int32_t omnibal_fill_tokens(const omnibal_row* row, const omnibal_token_inputs* inputs,
                                 const omnibal_token_arrays* arrays, omnibal_error* error) {
  return guarded(error, [&] {
    const laid_documents laid = lay(need(row, "row"));
    const omnibal_token_arrays& out = need(arrays, "arrays");
    const token_inputs given = inputs_of(need(inputs, "inputs"), *row);
    need_no_tail(*row, laid);
    with_split(*row, laid.row(), [&](const auto& split) {
      fill_tokens(laid.row(), split, row->rank, given, outputs_of(out, split.local_slots()));
    });
  });
}

std::int32_t omnibal_list_blocks(const std::int32_t* first_query, const std::int32_t* limit_query,
                                 std::int64_t slots, std::int64_t q_block, std::int64_t k_block,
                                 const omnibal_block_arrays* arrays, omnibal_error* error) {
  return guarded(error, [&] {
    const omnibal_block_arrays& out = need(arrays, "arrays");
    const block_mask mask =
        list_blocks(need_span(first_query, slots, "first_query"),
                    need_span(limit_query, slots, "limit_query"), q_block, k_block);
    copy_to(mask.kv.count, out.kv_num_blocks);
    copy_to(mask.kv.indices, out.kv_indices);
    copy_to(mask.full_kv.count, out.full_kv_num_blocks);
    copy_to(mask.full_kv.indices, out.full_kv_indices);
    copy_to(mask.q.count, out.q_num_blocks);
    copy_to(mask.q.indices, out.q_indices);
    copy_to(mask.full_q.count, out.full_q_num_blocks);
    copy_to(mask.full_q.indices, out.full_q_indices);
  });
}

std::int32_t omnibal_lay_patches(const std::int32_t* grids, std::int64_t images, std::int64_t merge,
                                 std::int64_t window_side, std::int64_t* t, std::int64_t* h,
                                 std::int64_t* w, std::int64_t* window_index, std::int64_t* inverse,
                                 omnibal_error* error) {
  return guarded(error, [&] {
    const laid_images laid = lay_images(grids_of(grids, images, "grids"), merge);
    const auto patches = [&](std::int64_t* out) { return span_of(out, laid.patches(), "patches"); };
    const auto cells = [&](std::int64_t* out) { return span_of(out, laid.cells(), "cells"); };
    lay_patches(laid, window_side,
                {patches(t), patches(h), patches(w), cells(window_index), cells(inverse)});
  });
}

std::int32_t omnibal_vision_cu_seqlens(const std::int32_t* grids, std::int64_t images,
                                       std::int64_t merge, std::int64_t window_side,
                                       std::int32_t empty_windows, std::int32_t* cu_frames,
                                       std::int64_t frame_entries, std::int32_t* cu_windows,
                                       std::int64_t window_entries, omnibal_vision_counts* counts,
                                       omnibal_error* error) {
  return guarded(error, [&] {
    const laid_images laid = lay_images(grids_of(grids, images, "grids"), merge);
    const std::vector<std::int32_t> frames = vision_cu_seqlens(laid, vision_sequence::frame);
    std::vector<std::int32_t> windows{0};
    if (window_side != 0 || cu_windows != nullptr)
      windows = window_cu_seqlens(laid, window_side, empty_windows != 0);
    copy_offsets(frames, span_of(cu_frames, frame_entries, "frame_entries"), "frame_entries");
    copy_offsets(windows, span_of(cu_windows, window_entries, "window_entries"), "window_entries");
    if (counts != nullptr)
      *counts = {std::ssize(frames) - 1, window_side == 0 ? 0 : std::ssize(windows) - 1};
  });
}

std::int32_t omnibal_rope_positions(const omnibal_row* row, const omnibal_rope_inputs* inputs,
                                    std::int32_t axes, std::int64_t* position_ids,
                                    std::int64_t* delta, omnibal_error* error) {
  return guarded(error, [&] {
    const laid_documents laid = lay(need(row, "row"));
    check_axes(axes);
    const rope_row placed = place(*row, laid.row(), need(inputs, "inputs"));
    if (position_ids != nullptr)
      fill_rope_positions(laid.row(), placed, span_of(position_ids, axes * row->slots, "slots"));
    if (delta != nullptr) std::ranges::copy(placed.delta, delta);
  });
}

std::int32_t omnibal_image_groups(const omnibal_row* row, const omnibal_rope_inputs* inputs,
                                  std::int32_t* image_group, std::int32_t* image_first,
                                  omnibal_error* error) {
  return guarded(error, [&] {
    const laid_documents laid = lay(need(row, "row"));
    const rope_row placed = place(*row, laid.row(), need(inputs, "inputs"));
    fill_image_groups(laid.row(), placed,
                      {.image_group = span_of(image_group, row->slots, "slots"),
                       .image_first = span_of(image_first, row->slots, "slots")});
  });
}
