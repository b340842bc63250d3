// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>

#include "operations.hpp"

namespace omnibal::examples {

namespace {

using namespace indices;

mask_kind mask_of(const std::string& name) {
  using enum mask_kind;
  for (const auto& [known, kind] :
       {std::pair{"document_causal", causal}, std::pair{"document_full", full},
        std::pair{"document_causal_window", causal_window},
        std::pair{"document_bidirectional_window", bidirectional_window},
        std::pair{"document_causal_chunk", causal_chunk}, std::pair{"document_prefix", prefix},
        std::pair{"document_prefix_window", prefix_window}})
    if (name == known) return kind;
  throw invalid_input("mask", name,
                      "must be document_causal, document_full, document_causal_window, "
                      "document_bidirectional_window, document_causal_chunk, document_prefix or "
                      "document_prefix_window");
}

/// Sides of a block: one number for both, or [q, k].
std::pair<std::int64_t, std::int64_t> block_of(const json& in) {
  if (!in.contains("block")) throw malformed_case("block", "null", "must be given");
  const json& block = in.at("block");
  if (!block.is_array()) return {to_integer(block, "block"), to_integer(block, "block")};
  if (block.size() != 2)
    throw invalid_input("block", block.size(), "numbers are given: must be one or two");
  return {to_integer(block[0], "block"), to_integer(block[1], "block")};
}

/// The first slot of each slot's image; slots beyond the list are text.
std::vector<std::int32_t> image_starts(const case_input& given, std::int64_t slots) {
  std::vector<std::int32_t> groups;
  for (const std::int64_t group : given.list("image_group")) {
    if (group < -1 || group > std::numeric_limits<std::int32_t>::max())
      throw invalid_input("image_group", groups.size(), group,
                          "must be -1 or the number of an image");
    groups.push_back(static_cast<std::int32_t>(group));
  }
  if (static_cast<std::int64_t>(groups.size()) > slots)
    throw invalid_input("image_group", groups.size(), "entries are given: must be one a slot");
  groups.resize(static_cast<std::size_t>(slots), -1);
  std::vector<std::int32_t> starts(groups.size());
  find_image_starts(groups, starts);
  return starts;
}

json lines_of(const block_list& blocks) {
  json lines = json::array();
  for (std::size_t line = 0; line < blocks.count.size(); ++line) {
    const auto listed = blocks.line(line);
    lines.push_back(std::vector<std::int32_t>(listed.begin(), listed.end()));
  }
  return lines;
}

json block_mask(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "slots", "block", "mask", "parameter", "image_group"});
  const auto laid = form.lay_row(given.list("lengths"), given.integer("slots"));
  const auto [q_block, k_block] = block_of(in);
  const mask_kind kind = mask_of(given.text("mask"));
  require_few_entries(form, "slots", laid.row().slots, laid.row().slots);
  if (q_block > 0 && k_block > 0) {  // Otherwise refused below.
    const auto blocks = [&](std::int64_t block) {
      return laid.row().slots / block + (laid.row().slots % block == 0 ? 0 : 1);
    };
    require_few_entries(form, "block", q_block, blocks(q_block) * blocks(k_block));
  }
  // Checked here by the names of the file, and for rows without slots too.
  const std::int64_t parameter = has_parameter(kind) ? given.integer("parameter") : 0;
  const std::int64_t least = kind == mask_kind::causal_chunk ? 1 : 0;
  if (parameter < least || parameter > std::numeric_limits<std::int32_t>::max())
    throw invalid_input("parameter", parameter,
                        "must be at least " + std::to_string(least) + " and at most 2147483647");
  if (q_block < 1 || k_block < 1)
    throw invalid_input("block", std::min(q_block, k_block), "must be at least 1");
  const auto slots = static_cast<std::size_t>(laid.row().slots);
  std::vector<std::int32_t> starts;
  if (has_images(kind) && given.has("image_group")) starts = image_starts(given, laid.row().slots);
  std::vector<std::int32_t> first(slots);
  std::vector<std::int32_t> limit(slots);
  form.fill_tokens(laid.row(), {.image_first = starts, .mask = kind, .mask_parameter = parameter},
                   {.first_query = first, .limit_query = limit});
  const indices::block_mask mask = form.list_blocks(first, limit, q_block, k_block);
  return {{"kv_num_blocks", mask.kv.count},
          {"kv_indices", lines_of(mask.kv)},
          {"full_kv_num_blocks", mask.full_kv.count},
          {"full_kv_indices", lines_of(mask.full_kv)},
          {"q_num_blocks", mask.q.count},
          {"q_indices", lines_of(mask.q)},
          {"full_q_num_blocks", mask.full_q.count},
          {"full_q_indices", lines_of(mask.full_q)}};
}

/// Refuses a value of the input that disagrees with what the sequences give.
template <typename Value>
void require_agreement(const json& in, const char* name, const Value& found) {
  if (in.contains(name) && !in.at(name).is_null() && in.at(name) != json(found))
    throw invalid_input(name, "the given one", "is not that of the sequences");
}

json tree(const forms& form, const json& in) {
  const case_input given(in, {"sequences", "slots", "parent", "subtree_end", "preorder"});
  const std::int64_t slot_count = given.integer("slots");
  require_few_entries(form, "slots", slot_count,
                      std::clamp<std::int64_t>(slot_count, 0, 1 << 30) *
                          std::clamp<std::int64_t>(slot_count, 0, 1 << 30));
  const tree_row row =
      lay_tree(given.lists("sequences"), given.integer("slots"), tree_order::first_appearance);
  require_agreement(in, "parent", row.parent);
  require_agreement(in, "subtree_end", row.subtree_end);
  require_agreement(in, "preorder", row.preorder);
  json queries = json::array();
  json keys = json::array();
  std::vector<int> full;
  for (const tree_rectangle& one : row.rectangles) {
    queries.push_back({one.q_begin, one.q_end});
    keys.push_back({one.k_begin, one.k_end});
    full.push_back(one.full ? 1 : 0);
  }
  const std::size_t slots = row.subtree_end.size();
  integers positions(slots);
  std::vector<std::int32_t> first(slots);
  std::vector<std::int32_t> limit(slots);
  form.fill_tree(row, positions, first, limit);
  json out = {
      {"position_ids", positions}, {"q_ranges", queries}, {"k_ranges", keys}, {"full", full}};
  if (!row.preorder) return out;
  std::vector<std::vector<int>> visible(slots, std::vector<int>(slots));
  for (std::size_t k = 0; k < slots; ++k)
    for (std::int32_t q = first[k]; q < limit[k]; ++q) visible[static_cast<std::size_t>(q)][k] = 1;
  out["visible"] = visible;
  return out;
}

qkv_layout layout_of(const std::string& name) {
  if (name == "hd_hd_hd") return qkv_layout::apart;
  if (name == "3hd" || name == "h3d") return qkv_layout::packed_qkv;
  if (name == "hd_2hd" || name == "hd_h2d") return qkv_layout::packed_kv;
  throw invalid_input("layout", name, "must be hd_hd_hd, 3hd, h3d, hd_2hd or hd_h2d");
}

/// The lengths of the keys: those of the queries where none are given.
integers kv_lengths_of(const case_input& given, const integers& lengths) {
  integers kv = given.has("kv_lengths") ? given.list("kv_lengths") : lengths;
  if (kv.size() != lengths.size())
    throw invalid_input("kv_lengths", kv.size(), "entries are given: must be one a document");
  for (std::size_t d = 0; d < kv.size(); ++d)
    if (kv[d] < 0 || kv[d] > std::numeric_limits<std::int32_t>::max())
      throw invalid_input("kv_lengths", d, kv[d], "must be at least 0 and at most 2147483647");
  return kv;
}

json cudnn_offsets(const forms& form, const case_input& given) {
  const integers lengths = given.list("lengths");
  const integers kv_lengths = kv_lengths_of(given, lengths);
  const attention_shape shape{.layout = layout_of(given.text("layout")),
                              .heads = given.integer("heads"),
                              .kv_heads = given.integer("kv_heads"),
                              .head_dim = given.integer("head_dim"),
                              .v_head_dim = given.integer("v_head_dim")};
  const ragged_multipliers elements = multipliers_of(shape);
  const std::int64_t multiple = given.integer_or("multiple", 1);
  const auto q_row = form.lay_row(lengths, std::nullopt, multiple);
  const auto kv_row = form.lay_row(kv_lengths, std::nullopt, multiple);
  const std::int64_t batch = cudnn_batch_capacity(q_row.summary.documents);
  const std::int64_t tokens = cudnn_token_capacity(q_row.summary.slots_used);
  const bool wide =
      cudnn_needs_int64(elements, tokens, cudnn_token_capacity(kv_row.summary.slots_used));
  const auto shown = static_cast<std::size_t>(q_row.summary.documents) + 3;
  const auto offsets = [&](const laid_documents& row, std::int64_t multiplier, bool int64) {
    return form.ragged_offsets(row.row(), multiplier,
                               std::min(shown, static_cast<std::size_t>(batch) + 1), int64);
  };
  const auto padded = [&](integers entries) {
    entries.resize(std::min(shown, static_cast<std::size_t>(batch)));
    return entries;
  };
  const bool one_tensor = shape.layout == qkv_layout::packed_qkv;
  const laid_documents& key_row = one_tensor ? q_row : kv_row;
  return {{"batch_capacity", batch},
          {"token_capacity", tokens},
          {"needs_int64", wide},
          {"q", offsets(q_row, elements.q, wide)},
          {"k", offsets(key_row, elements.k, wide)},
          {"v", offsets(key_row, elements.v, wide)},
          {"o", offsets(q_row, elements.o, wide)},
          {"stats", offsets(q_row, elements.stats, wide)},
          {"q_lengths", padded(lengths)},
          {"kv_lengths", padded(kv_lengths)}};
}

json flashinfer_arrays(const case_input& given) {
  const integers lengths = given.list("lengths");
  const auto laid = lay_flashinfer(lengths, kv_lengths_of(given, lengths), given.integer("page"));
  return {{"qo_indptr", laid.qo_indptr},         {"kv_indptr", laid.kv_indptr},
          {"mask_indptr", laid.mask_indptr},     {"page_indptr", laid.page_indptr},
          {"last_page_len", laid.last_page_len}, {"page_mask_indptr", laid.mask_indptr}};
}

json chunk_arrays(const forms& form, const case_input& given) {
  const integers lengths = given.list("lengths");
  const std::int64_t chunk = given.integer("chunk");
  const std::int64_t tokens = form.lay_row(lengths).summary.tokens;
  if (chunk > 0) require_few_entries(form, "chunk", chunk, 2 * (tokens / chunk));
  const chunk_offsets chunks = form.lay_chunks(given.list("lengths"), given.integer("chunk"));
  json pairs = json::array();
  for (std::size_t i = 0; i < chunks.indices.size(); i += 2)
    pairs.push_back({chunks.indices[i], chunks.indices[i + 1]});
  return {{"chunk_offsets", chunks.offsets},
          {"chunk_indices", pairs},
          {"split_cu_seqlens", chunks.split_cu_seqlens}};
}

json tile_padded(const forms& form, const case_input& given) {
  const auto laid = form.lay_row(given.list("lengths"));
  return {{"padded_offset", form.tile_padded_offsets(laid.row(), given.integer("tile"))}};
}

json offsets(const forms& form, const json& in) {
  if (in.contains("layout"))
    return cudnn_offsets(form, case_input(in, {"lengths", "kv_lengths", "multiple", "layout",
                                               "heads", "kv_heads", "head_dim", "v_head_dim"}));
  if (in.contains("page"))
    return flashinfer_arrays(case_input(in, {"lengths", "kv_lengths", "page"}));
  if (in.contains("chunk")) return chunk_arrays(form, case_input(in, {"lengths", "chunk"}));
  return tile_padded(form, case_input(in, {"lengths", "tile"}));
}

}  // namespace

named_operations mask_operations() {
  return {{"block_mask", block_mask}, {"tree", tree}, {"offsets", offsets}};
}

}  // namespace omnibal::examples
