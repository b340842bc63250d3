// SPDX-License-Identifier: Apache-2.0
/// @file
/// The C interface of the device forms gives what the C++ host forms give, and names what it
/// refuses.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/c/omnibal.h>
#include <omnibal/indices.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace indices = omnibal::indices;
using Catch::Matchers::ContainsSubstring;

/// Work is done after it, and nothing was refused.
void require_done(std::int32_t status, const omnibal_error& error) {
  INFO(std::string(error.text));
  REQUIRE(status == 0);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
}

const std::vector<std::int32_t> lengths{5, 0, 13, 1, 8};
const std::vector<std::int64_t> wide(lengths.begin(), lengths.end());

/// A row of 48 slots with documents padded to multiples of 4.
struct c_row {
  explicit c_row(std::int32_t memory = OMNIBAL_ON_DEVICE)
      : given(lengths), plain(8), padded(8), summary(1) {
    const omnibal_document_layout layout{6, 48, 4, 1};
    require_done(
        omnibal_device_lay_documents(
            memory == OMNIBAL_ON_HOST ? lengths.data() : given.span().data(), 5, memory, &layout,
            plain.span().data(), padded.span().data(), summary.span().data(), nullptr, &error),
        error);
  }
  [[nodiscard]] omnibal_device_row row(std::int32_t split = OMNIBAL_WHOLE, std::int64_t ranks = 1,
                                       std::int64_t rank = 0) const {
    const std::int64_t documents = split == OMNIBAL_ZIGZAG ? 6 : 5;
    return {plain.span().data(), padded.span().data(), documents, 48, 4, split, ranks, rank};
  }
  device_array<std::int32_t> given, plain, padded;
  device_array<omnibal_row_summary> summary;
  omnibal_error error{};
};

}  // namespace

TEST_CASE("C: offsets on the device are those of the host, wherever the lengths are") {
  const indices::document_layout layout{.documents = 6, .slots = 48, .multiple = 4};
  std::vector<std::int32_t> plain(8), padded(8);
  indices::lay_documents(wide, layout, {plain, padded});
  for (const std::int32_t memory : {OMNIBAL_ON_DEVICE, OMNIBAL_ON_HOST}) {
    const c_row made(memory);
    CHECK(made.plain.get() == plain);
    CHECK(made.padded.get() == padded);
    CHECK(made.summary.get()[0].tokens == 27);
    CHECK(made.summary.get()[0].slots_used == 36);
    CHECK(made.summary.get()[0].longest == 13);
    CHECK(made.summary.get()[0].first_negative == -1);
  }
}

TEST_CASE("C: arrays of every split on the device are those of the host") {
  const c_row made;
  std::vector<std::int64_t> labels(48);
  for (std::size_t slot = 0; slot < 48; ++slot)
    labels[slot] = slot % 5 == 0 ? -100 : static_cast<std::int64_t>(slot);
  const std::vector<float> weights{0.5F, 1, 2, 3, 4, 5};
  const device_array<std::int64_t> given_labels(labels);
  const device_array<float> given_weights(weights);
  const indices::laid_documents laid = indices::lay_row(wide, 48, 4);
  std::vector<std::int32_t> padded = laid.cu_seqlens_padded;
  std::vector<std::int32_t> plain = laid.cu_seqlens;
  padded.push_back(48);
  plain.push_back(plain.back() + 12);
  const auto compare = [&](std::int32_t split, const auto& host_split, std::int64_t ranks,
                           const indices::document_row& row) {
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      const auto local = static_cast<std::size_t>(48 / ranks);
      const omnibal_token_inputs inputs{
          given_labels.span().data(), given_weights.span().data(), nullptr, 1, 1, 2, 3};
      const device_array<std::int64_t> positions(local), source(local), global(local), out(local);
      const device_array<std::int32_t> sequence(local), first(local), limit(local);
      const device_array<std::uint8_t> padding(local);
      const device_array<float> loss(local);
      const omnibal_token_arrays arrays{
          positions.span().data(), sequence.span().data(), padding.span().data(),
          source.span().data(),    global.span().data(),   out.span().data(),
          loss.span().data(),      first.span().data(),    limit.span().data()};
      omnibal_error error{};
      const omnibal_device_row given = made.row(split, ranks, rank);
      require_done(omnibal_device_fill_tokens(&given, &inputs, &arrays, nullptr, &error), error);
      std::vector<std::int64_t> host_positions(local), host_source(local), host_global(local),
          host_labels(local);
      std::vector<std::int32_t> host_sequence(local), host_first(local), host_limit(local);
      std::vector<std::uint8_t> host_padding(local);
      std::vector<float> host_loss(local);
      indices::fill_tokens(row, host_split, rank,
                           {.labels = labels,
                            .document_weight = std::span<const float>(weights).first(
                                static_cast<std::size_t>(row.documents)),
                            .zero_in_padding = true,
                            .label = {.shift = indices::label_shift::shifted},
                            .mask = indices::mask_kind::causal_window,
                            .mask_parameter = 3},
                           {.position_ids = host_positions,
                            .sequence_index = host_sequence,
                            .padding_mask = host_padding,
                            .source_slot = host_source,
                            .global_slot = host_global,
                            .labels = host_labels,
                            .loss_weights = host_loss,
                            .first_query = host_first,
                            .limit_query = host_limit});
      CHECK(positions.get() == host_positions);
      CHECK(sequence.get() == host_sequence);
      CHECK(padding.get() == host_padding);
      CHECK(source.get() == host_source);
      CHECK(global.get() == host_global);
      CHECK(out.get() == host_labels);
      CHECK(loss.get() == host_loss);
      CHECK(first.get() == host_first);
      CHECK(limit.get() == host_limit);
    }
  };
  compare(OMNIBAL_WHOLE, indices::whole{48}, 1, laid.row());
  compare(OMNIBAL_CONTIGUOUS, indices::contiguous{48, 3}, 3, laid.row());
  compare(OMNIBAL_STRIPED, indices::striped{48, 4}, 4, laid.row());
  compare(OMNIBAL_ZIGZAG_ROW, indices::zigzag_row{48, 4}, 4, laid.row());
  const indices::document_row with_tail{plain.data(), padded.data(), 6, 48};
  compare(OMNIBAL_ZIGZAG, indices::zigzag{with_tail, 2}, 2, with_tail);
}

TEST_CASE("C: lists of blocks on the device are those of the host") {
  const indices::laid_documents laid = indices::lay_row(wide, 40);
  std::vector<std::int32_t> first(40), limit(40);
  indices::fill_tokens(laid.row(), {}, {.first_query = first, .limit_query = limit});
  const indices::block_mask host = indices::list_blocks(first, limit, 16, 8);
  const device_array<std::int32_t> given_first(first), given_limit(limit);
  const device_array<std::int32_t> kv(3), full_kv(3), q(5), full_q(5);
  const device_array<std::int32_t> kv_at(15), full_kv_at(15), q_at(15), full_q_at(15);
  omnibal_block_arrays arrays{
      kv.span().data(), kv_at.span().data(), full_kv.span().data(), full_kv_at.span().data(),
      q.span().data(),  q_at.span().data(),  full_q.span().data(),  full_q_at.span().data()};
  omnibal_error error{};
  require_done(omnibal_device_list_blocks(given_first.span().data(), given_limit.span().data(), 40,
                                          16, 8, &arrays, nullptr, &error),
               error);
  CHECK(kv.get() == host.kv.count);
  CHECK(kv_at.get() == host.kv.indices);
  CHECK(full_kv_at.get() == host.full_kv.indices);
  CHECK(q.get() == host.q.count);
  CHECK(q_at.get() == host.q.indices);
  CHECK(full_q_at.get() == host.full_q.indices);
  arrays.full_q_indices = nullptr;
  CHECK(omnibal_device_list_blocks(given_first.span().data(), given_limit.span().data(), 40, 16, 8,
                                   &arrays, nullptr, &error) == 1);
  CHECK_THAT(std::string(error.text), ContainsSubstring("full_q.indices"));
}

TEST_CASE("C: arrays of a vision tower and rotary positions on the device are those of the host") {
  const std::vector<indices::image_grid> grids{{1, 4, 6}, {2, 2, 2}};
  const std::vector<std::int32_t> numbers{1, 4, 6, 2, 2, 2};
  const indices::laid_images laid = indices::lay_images(grids, 2);
  std::vector<std::int64_t> t(32), h(32), w(32), window_index(8), inverse(8), taps(32 * 16);
  std::vector<float> weights(32 * 16);
  indices::lay_patches(laid, 2, {t, h, w, window_index, inverse});
  indices::interpolate_patches(laid, 5, true, indices::interpolation_mode::bicubic, taps, weights);
  const device_array<std::int32_t> given(numbers);
  const device_array<omnibal_image_summary> summary(1);
  const device_array<std::int32_t> cu_patches(3), cu_frames(3), cu_windows(3), tokens(2);
  const device_array<std::int32_t> frames(5), windows(7);
  const device_array<std::int64_t> of_t(32), of_h(32), of_w(32), index(8), back(8), at(32 * 16);
  const device_array<float> tap_weights(32 * 16);
  const omnibal_image_layout layout{32, 2, 2, 0, 5, 1, 1};
  const omnibal_device_image_arrays arrays{summary.span().data(),
                                           cu_patches.span().data(),
                                           cu_frames.span().data(),
                                           cu_windows.span().data(),
                                           tokens.span().data(),
                                           frames.span().data(),
                                           5,
                                           windows.span().data(),
                                           7,
                                           of_t.span().data(),
                                           of_h.span().data(),
                                           of_w.span().data(),
                                           index.span().data(),
                                           back.span().data(),
                                           at.span().data(),
                                           tap_weights.span().data()};
  omnibal_error error{};
  require_done(omnibal_device_lay_images(given.span().data(), 2, &layout, &arrays, nullptr, &error),
               error);
  CHECK(of_t.get() == t);
  CHECK(of_h.get() == h);
  CHECK(of_w.get() == w);
  CHECK(index.get() == window_index);
  CHECK(back.get() == inverse);
  CHECK(at.get() == taps);
  CHECK(tokens.get() == std::vector<std::int32_t>{6, 2});
  CHECK(frames.get() == std::vector<std::int32_t>{0, 24, 28, 32, 32});
  auto host_windows = indices::window_cu_seqlens(laid, 2);
  host_windows.resize(7, host_windows.back());
  CHECK(windows.get() == host_windows);
  CHECK(summary.get()[0].first_bad == -1);
  CHECK(summary.get()[0].frames == 3);

  std::vector<indices::token_type> types(48);
  std::vector<std::uint8_t> type_bytes(48);
  for (std::size_t slot = 9; slot < 15; ++slot) type_bytes[slot] = 1;
  type_bytes[28] = type_bytes[29] = 1;
  for (std::size_t slot = 0; slot < 48; ++slot)
    types[slot] = static_cast<indices::token_type>(type_bytes[slot]);
  const indices::laid_documents row = indices::lay_row(wide, 48, 4);
  const indices::rope_row placed =
      indices::place_images(row.row(), {.merge = 2, .types = types, .images = grids});
  std::vector<std::int64_t> positions(4 * 48);
  indices::fill_rope_positions(row.row(), placed, positions);
  const c_row made;
  const device_array<std::uint8_t> given_types(type_bytes);
  const device_array<std::int64_t> of_positions(4 * 48), delta(5), source(48);
  const device_array<omnibal_rope_summary> rope(1);
  const device_array<std::int32_t> cells(3), advances(3), no_cells(1), no_advances(1);
  const device_array<std::int32_t> group(48), image_first(48);
  const device_array<std::int32_t> workspace(
      static_cast<std::size_t>(omnibal_device_rope_workspace(48)));
  omnibal_rope_inputs inputs{
      0, 2, given_types.span().data(), given.span().data(), 2, nullptr, 0, 1, nullptr};
  const omnibal_device_rope_arrays outputs{
      of_positions.span().data(), rope.span().data(),       cells.span().data(),
      advances.span().data(),     no_cells.span().data(),   no_advances.span().data(),
      workspace.span().data(),    delta.span().data(),      source.span().data(),
      group.span().data(),        image_first.span().data()};
  const omnibal_device_row whole = made.row();
  require_done(omnibal_device_rope_positions(&whole, &inputs, 4, &outputs, nullptr, &error), error);
  CHECK(of_positions.get() == positions);
  CHECK(delta.get() == placed.delta);
  CHECK(source.get()[14] == 5);
  CHECK(source.get()[28] == 6);
  std::vector<std::int32_t> host_group(48), host_first(48);
  indices::fill_image_groups(row.row(), placed, {host_group, host_first});
  CHECK(group.get() == host_group);
  CHECK(image_first.get() == host_first);
  CHECK(host_group[14] == 0);
  CHECK(host_first[14] == 9);
  CHECK(rope.get()[0].first_bad == INT32_MAX);
  inputs.variant = 4;
  CHECK(omnibal_device_rope_positions(&whole, &inputs, 4, &outputs, nullptr, &error) == 1);
  CHECK_THAT(std::string(error.text), ContainsSubstring("variant = 4"));
}

TEST_CASE("C: what the device forms refuse is named") {
  const c_row made;
  omnibal_error error{};
  const auto refused = [&](std::int32_t status, const char* part) {
    CHECK(status == 1);
    CHECK_THAT(std::string(error.text), ContainsSubstring(part));
  };
  const auto lay = [&](const omnibal_document_layout& layout, std::int64_t count,
                       std::int32_t memory) {
    return omnibal_device_lay_documents(lengths.data(), count, memory, &layout, nullptr, nullptr,
                                        made.summary.span().data(), nullptr, &error);
  };
  refused(lay({-1, 48, 1, 1}, 5, OMNIBAL_ON_DEVICE), "documents = -1");
  refused(lay({4, 48, 1, 1}, 5, OMNIBAL_ON_DEVICE), "number of lengths = 5");
  refused(lay({6, 26, 1, 1}, 5, OMNIBAL_ON_HOST), "slots = 26");
  refused(lay({6, 48, 1, 1}, 5, 7), "lengths_memory = 7");
  refused(omnibal_device_lay_documents(lengths.data(), 5, 0, nullptr, nullptr, nullptr, nullptr,
                                       nullptr, &error),
          "layout");
  const omnibal_token_inputs inputs{};
  const omnibal_token_arrays arrays{};
  omnibal_device_row row = made.row(OMNIBAL_ZIGZAG, 3, 0);
  refused(omnibal_device_fill_tokens(&row, &inputs, &arrays, nullptr, &error), "multiple = 4");
  row = made.row();
  row.cu_seqlens_padded = nullptr;
  refused(omnibal_device_fill_tokens(&row, &inputs, &arrays, nullptr, &error), "cu_seqlens_padded");
  row.slots = std::int64_t{1} << 31;
  refused(omnibal_device_fill_tokens(&row, &inputs, &arrays, nullptr, &error),
          "slots = 2147483648");
}
