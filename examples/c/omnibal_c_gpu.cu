// SPDX-License-Identifier: Apache-2.0
// The library omnibal_c_gpu: the C interface over the device forms of the module indices.
#include <cstddef>
#include <cstdint>
#include <span>

#include <cuda_runtime.h>

#include <omnibal/c/omnibal.h>
#include <omnibal/gpu/blocks.cuh>
#include <omnibal/gpu/documents.cuh>
#include <omnibal/gpu/images.cuh>
#include <omnibal/gpu/offsets.cuh>
#include <omnibal/gpu/rope.cuh>
#include <omnibal/gpu/tokens.cuh>

#include "arguments.hpp"

using namespace omnibal;
using namespace omnibal::examples;

namespace {

static_assert(sizeof(omnibal_row_summary) == sizeof(gpu::row_summary));
static_assert(sizeof(omnibal_image_summary) == sizeof(gpu::image_summary));
static_assert(sizeof(omnibal_rope_summary) == sizeof(gpu::rope_summary));
static_assert(sizeof(indices::image_grid) == 3 * sizeof(std::int32_t));

/// An array of a C caller as one of the library's: of the same bytes.
template <typename To, typename From>
To* as(From* array) {
  return reinterpret_cast<To*>(array);
}

cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }

indices::document_row row_of(const omnibal_device_row& given) {
  const auto within = [](std::int64_t value, std::int64_t least, const char* field) {
    if (value < least || value > INT32_MAX)
      throw invalid_input(field, value,
                          "must be " + std::to_string(least) + " … 2147483647: offsets are int32");
  };
  within(given.documents, 0, "documents");
  within(given.slots, 0, "slots");
  within(given.multiple, 1, "multiple");
  if (given.cu_seqlens == nullptr) throw invalid_input("cu_seqlens", "null", "must be given");
  if (given.cu_seqlens_padded == nullptr && given.multiple != 1)
    throw invalid_input("cu_seqlens_padded", "null", "must be given where the multiple is not 1");
  return {.cu_seqlens = given.cu_seqlens,
          .cu_seqlens_padded =
              given.cu_seqlens_padded == nullptr ? given.cu_seqlens : given.cu_seqlens_padded,
          .documents = static_cast<std::int32_t>(given.documents),
          .slots = given.slots};
}

std::span<const indices::image_grid> grids_of(const std::int32_t* grids, std::int64_t images,
                                              const char* field) {
  if (images > INT32_MAX / 3)
    throw invalid_input(field, images, "images: must be at most 715827882");
  return need_span(as<const indices::image_grid>(grids), images, field);
}

}  // namespace

std::int32_t omnibal_device_lay_documents(const std::int32_t* lengths, std::int64_t count,
                                          std::int32_t lengths_memory,
                                          const omnibal_document_layout* layout,
                                          std::int32_t* cu_seqlens, std::int32_t* cu_seqlens_padded,
                                          omnibal_row_summary* summary, void* stream,
                                          omnibal_error* error) {
  return guarded(error, [&] {
    const indices::document_layout shape = layout_of(need(layout, "layout"));
    const auto all = need_span(lengths, count, "lengths");
    const auto entries = static_cast<std::int64_t>(indices::offset_count(shape));
    const gpu::device_document_arrays arrays{span_of(cu_seqlens, entries, "documents"),
                                             span_of(cu_seqlens_padded, entries, "documents"),
                                             as<gpu::row_summary>(summary)};
    const auto lay = [&](const auto& given) {
      gpu::detail::check_documents(given, shape, arrays);
      gpu::require(gpu::lay_documents_async(given, shape, arrays, stream_of(stream)),
                   "lay_documents");
    };
    switch (lengths_memory) {
      case OMNIBAL_ON_DEVICE: return lay(all);
      case OMNIBAL_ON_HOST: return lay(gpu::host_lengths{all});
      default: throw invalid_input("lengths_memory", lengths_memory, "must be 0 or 1");
    }
  });
}

std::int32_t omnibal_device_fill_tokens(const omnibal_device_row* row,
                                        const omnibal_token_inputs* inputs,
                                        const omnibal_token_arrays* arrays, void* stream,
                                        omnibal_error* error) {
  return guarded(error, [&] {
    const indices::document_row documents = row_of(need(row, "row"));
    const omnibal_token_arrays& out = need(arrays, "arrays");
    const indices::token_inputs given = inputs_of(need(inputs, "inputs"), *row);
    with_split(*row, documents, [&](const auto& split) {
      const indices::token_arrays outputs = outputs_of(out, split.local_slots());
      indices::detail::check_tokens(documents, split.local_slots(), given, outputs);
      gpu::require(
          gpu::fill_tokens_async(documents, split, row->rank, given, outputs, stream_of(stream)),
          "fill_tokens");
    });
  });
}

std::int32_t omnibal_device_list_blocks(const std::int32_t* first_query,
                                        const std::int32_t* limit_query, std::int64_t slots,
                                        std::int64_t q_block, std::int64_t k_block,
                                        const omnibal_block_arrays* arrays, void* stream,
                                        omnibal_error* error) {
  return guarded(error, [&] {
    const omnibal_block_arrays& out = need(arrays, "arrays");
    gpu::detail::require_positive(q_block, "q_block");
    gpu::detail::require_positive(k_block, "k_block");
    const auto first = need_span(first_query, slots, "first_query");
    const auto limit = need_span(limit_query, slots, "limit_query");
    const std::int64_t rows = slots / q_block + (slots % q_block != 0 ? 1 : 0);
    const std::int64_t columns = slots / k_block + (slots % k_block != 0 ? 1 : 0);
    const auto list = [&](std::int32_t* count, std::int32_t* places, std::int64_t lines) {
      return gpu::device_block_list{span_of(count, lines, "slots"),
                                    span_of(places, rows * columns, "slots")};
    };
    const gpu::device_block_mask mask{
        .kv = list(out.kv_num_blocks, out.kv_indices, rows),
        .full_kv = list(out.full_kv_num_blocks, out.full_kv_indices, rows),
        .q = list(out.q_num_blocks, out.q_indices, columns),
        .full_q = list(out.full_q_num_blocks, out.full_q_indices, columns)};
    static_cast<void>(gpu::detail::check_blocks(first, limit, q_block, k_block, mask));
    gpu::require(gpu::list_blocks_async(first, limit, q_block, k_block, mask, stream_of(stream)),
                 "list_blocks");
  });
}

std::int32_t omnibal_device_lay_images(const std::int32_t* grids, std::int64_t images,
                                       const omnibal_image_layout* layout,
                                       const omnibal_device_image_arrays* arrays, void* stream,
                                       omnibal_error* error) {
  return guarded(error, [&] {
    const omnibal_image_layout& given = need(layout, "layout");
    const omnibal_device_image_arrays& out = need(arrays, "arrays");
    const auto all = grids_of(grids, images, "grids");
    if (given.merge < 1 || given.merge > 32768)
      throw invalid_input("merge", given.merge, "must be 1 … 32768");
    const gpu::image_layout shape{.patches = given.patches,
                                  .merge = given.merge,
                                  .side = given.window_side,
                                  .empty_windows = given.empty_windows != 0};
    const bool has_taps = out.taps != nullptr || out.tap_weights != nullptr;
    const gpu::interpolation_table table{.side = has_taps ? given.table_side : 1,
                                         .align_corners = given.align_corners != 0,
                                         .mode = given.bicubic != 0
                                                     ? indices::interpolation_mode::bicubic
                                                     : indices::interpolation_mode::bilinear};
    const std::int64_t cells = given.patches / given.merge / given.merge;
    const std::int64_t taps = given.patches * (given.bicubic != 0 ? 16 : 4);
    const auto of_patches = [&](auto* values) { return span_of(values, given.patches, "patches"); };
    const auto of_ends = [&](auto* values) { return span_of(values, images + 1, "images"); };
    const gpu::device_image_arrays outputs{
        .summary = as<gpu::image_summary>(out.summary),
        .cu_patches = of_ends(out.cu_patches),
        .cu_frames = of_ends(out.cu_frames),
        .cu_windows = of_ends(out.cu_windows),
        .tokens_of_image = span_of(out.tokens_of_image, images, "images"),
        .cu_seqlens = span_of(out.cu_seqlens, out.frame_entries, "frame_entries"),
        .cu_window_seqlens = span_of(out.cu_window_seqlens, out.window_entries, "window_entries"),
        .t = of_patches(out.t),
        .h = of_patches(out.h),
        .w = of_patches(out.w),
        .window_index = span_of(out.window_index, cells, "patches"),
        .inverse = span_of(out.inverse, cells, "patches"),
        .taps = span_of(out.taps, taps, "patches"),
        .tap_weights = span_of(out.tap_weights, taps, "patches")};
    gpu::detail::check_images(all, shape, table, outputs);
    gpu::require(gpu::lay_images_async(all, shape, table, outputs, stream_of(stream)),
                 "lay_images");
  });
}

std::int64_t omnibal_device_rope_workspace(std::int64_t slots) {
  static_assert(sizeof(gpu::mark_counts) == 2 * sizeof(std::int32_t));
  return slots < 0 ? 0 : 2 * static_cast<std::int64_t>(gpu::mark_tiles(slots));
}

std::int32_t omnibal_device_rope_positions(const omnibal_device_row* row,
                                           const omnibal_rope_inputs* inputs, std::int32_t axes,
                                           const omnibal_device_rope_arrays* arrays, void* stream,
                                           omnibal_error* error) {
  return guarded(error, [&] {
    const indices::document_row documents = row_of(need(row, "row"));
    const omnibal_rope_inputs& given = need(inputs, "inputs");
    const omnibal_device_rope_arrays& out = need(arrays, "arrays");
    check_rope_arguments(*row, given);
    check_axes(axes);
    const indices::rope_inputs all{
        .variant = static_cast<indices::rope_variant>(given.variant),
        .merge = given.merge,
        .types =
            need_span(as<const indices::token_type>(given.token_type), row->slots, "token_type"),
        .images = grids_of(given.image_grids, given.images, "image_grids"),
        .videos = grids_of(given.video_grids, given.videos, "video_grids"),
        .tokens_per_second = given.tokens_per_second,
        .seconds_per_grid = span_of(given.seconds_per_grid, given.videos, "videos")};
    const auto of_images = [&](auto* values) {
      return span_of(values, given.images + 1, "images");
    };
    const auto of_videos = [&](auto* values) {
      return span_of(values, given.videos + 1, "videos");
    };
    const gpu::device_rope_arrays outputs{
        .position_ids = span_of(out.position_ids, axes * row->slots, "slots"),
        .summary = as<gpu::rope_summary>(out.summary),
        .image_cells = of_images(out.image_cells),
        .image_positions = of_images(out.image_positions),
        .video_cells = of_videos(out.video_cells),
        .video_positions = of_videos(out.video_positions),
        .tiles = span_of(as<gpu::mark_counts>(out.workspace),
                         omnibal_device_rope_workspace(row->slots) / 2, "slots"),
        .delta = span_of(out.delta, row->documents, "documents"),
        .source_row = span_of(out.source_row, row->slots, "slots"),
        .groups = {.image_group = span_of(out.image_group, row->slots, "slots"),
                   .image_first = span_of(out.image_first, row->slots, "slots")}};
    gpu::detail::check_rope(documents, all, outputs);
    gpu::require(gpu::place_images_async(documents, all, outputs, stream_of(stream)),
                 "place_images");
  });
}
