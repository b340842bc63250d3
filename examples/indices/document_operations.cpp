// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>

#include "operations.hpp"

namespace omnibal::examples {

namespace {

using namespace indices;

json cu_seqlens(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "multiple"});
  const auto laid = form.lay_row(given.list("lengths"), std::nullopt, given.integer("multiple"));
  return {{"cu_seqlens", laid.cu_seqlens},
          {"cu_seqlens_padded", laid.cu_seqlens_padded},
          {"max_seqlen", laid.summary.longest},
          {"max_seqlen_padded", laid.summary.longest_padded}};
}

json cu_seqlens_fixed(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "multiple", "slots", "document_capacity"});
  const document_layout layout{.documents = given.integer("document_capacity"),
                               .slots = given.integer("slots"),
                               .multiple = given.integer("multiple")};
  const integers lengths = given.list("lengths");
  if (layout.documents < 0)
    throw invalid_input("document_capacity", layout.documents, "must be at least 0");
  require_few_entries(form, "document_capacity", layout.documents, layout.documents);
  static_cast<void>(indices::lay_documents(lengths, layout));
  std::vector<std::int32_t> plain(offset_count(layout));
  std::vector<std::int32_t> padded(offset_count(layout));
  form.lay_documents(lengths, layout, {plain, padded});
  json out = {{"cu_seqlens", plain}, {"cu_seqlens_padded", nullptr}, {"max_seqlen", layout.slots}};
  if (layout.multiple != 1) out["cu_seqlens_padded"] = padded;
  return out;
}

json token_ids(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "multiple", "slots"});
  const auto laid =
      form.lay_row(given.list("lengths"), given.integer("slots"), given.integer("multiple"));
  const document_row row = laid.row();
  require_few_entries(form, "slots", row.slots, row.slots);
  const auto slots = static_cast<std::size_t>(row.slots);
  integers positions(slots);
  integers zeroed(slots);
  std::vector<std::int32_t> sequences(slots);
  std::vector<std::uint8_t> padding(slots);
  form.fill_tokens(
      row, {}, {.position_ids = positions, .sequence_index = sequences, .padding_mask = padding});
  form.fill_tokens(row, {.zero_in_padding = true}, {.position_ids = zeroed});
  const auto used = static_cast<std::size_t>(laid.summary.slots_used);
  positions.resize(used);
  zeroed.resize(used);
  padding.resize(used);
  return {{"position_ids", positions},
          {"padding_mask", padding},
          {"position_ids_zeroed", zeroed},
          {"sequence_index", sequences}};
}

/// One label a slot: the tail may be left out of the input.
integers labels_of(const case_input& given, std::int64_t tokens, std::int64_t slots) {
  integers labels = given.list("labels");
  if (static_cast<std::int64_t>(labels.size()) < tokens)
    throw invalid_input(
        "labels", labels.size(),
        "entries are given: must be at least the tokens, " + std::to_string(tokens));
  if (static_cast<std::int64_t>(labels.size()) > slots)
    throw invalid_input("labels", labels.size(),
                        "entries are given: must be at most the slots, " + std::to_string(slots));
  labels.resize(static_cast<std::size_t>(slots), ignored_label);
  return labels;
}

json labels(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "labels", "slots"});
  const auto laid = form.lay_row(given.list("lengths"), given.integer("slots"));
  const document_row row = laid.row();
  require_few_entries(form, "slots", row.slots, row.slots);
  const integers unshifted = labels_of(given, laid.summary.tokens, row.slots);
  const auto with = [&](const label_policy& policy) {
    integers out(unshifted.size());
    form.fill_tokens(row, {.labels = unshifted, .label = policy}, {.labels = out});
    return out;
  };
  integers filled = with({.shift = label_shift::shifted, .boundary_label = 0});
  filled.resize(static_cast<std::size_t>(laid.summary.tokens));
  // What some trainers do and the library does not offer: the next slot's label, whosever it is.
  integers across(unshifted.size(), ignored_label);
  for (std::size_t slot = 0; slot + 1 < across.size(); ++slot) across[slot] = unshifted[slot + 1];
  return {{"unshifted_first_masked", with({})},
          {"unshifted_first_masked_but_document_0", with({.first = first_label::kept_in_slot_0})},
          {"shifted_within", with({.shift = label_shift::shifted})},
          {"shifted_within_fill_0", filled},
          {"shifted_across", across}};
}

json loss_weights(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "labels", "slots"});
  const auto laid = form.lay_row(given.list("lengths"), given.integer("slots"));
  const document_row row = laid.row();
  require_few_entries(form, "slots", row.slots, row.slots);
  const integers unshifted = labels_of(given, laid.summary.tokens, row.slots);
  const label_policy policy{.first = first_label::kept};
  std::vector<float> document_weight(static_cast<std::size_t>(row.documents));
  json out = json::object();
  for (const auto& [name, weighting] :
       {std::pair{"token", loss_weighting::token}, std::pair{"sample", loss_weighting::sample},
        std::pair{"square", loss_weighting::square_root}}) {
    const weight_sums sums =
        form.weigh_documents(row, unshifted, policy, weighting, document_weight);
    std::vector<float> weights(unshifted.size());
    form.fill_tokens(row,
                     {.labels = unshifted, .document_weight = document_weight, .label = policy},
                     {.loss_weights = weights});
    out[std::string("weight_") + name] = weights;
    out[std::string("weight_sum_") + name] = sums.after_slot_0;
  }
  std::vector<std::int32_t> offsets = laid.cu_seqlens;
  if (laid.summary.tail > 0) offsets.push_back(static_cast<std::int32_t>(row.slots));
  out["cu_seqlens"] = offsets;
  return out;
}

json unpad_mask(const forms& form, const case_input& given) {
  const std::vector<integers> rows = given.lists("mask");
  const std::size_t columns = rows.empty() ? 0 : rows[0].size();
  const auto flat = [&](const std::vector<integers>& table, const char* name) {
    std::vector<std::uint8_t> flags;
    if (table.size() != rows.size())
      throw invalid_input(name, table.size(), "rows are given: must be as many as in the mask");
    for (std::size_t r = 0; r < table.size(); ++r) {
      if (table[r].size() != columns)
        throw invalid_input(name, r, table[r].size(),
                            "entries are given: rows must be of one length");
      for (const std::int64_t flag : table[r]) {
        if (flag != 0 && flag != 1) throw invalid_input(name, r, flag, "must be 0 or 1");
        flags.push_back(static_cast<std::uint8_t>(flag));
      }
    }
    return flags;
  };
  const auto mask = flat(rows, "mask");
  const auto unused =
      given.has("unused") ? flat(given.lists("unused"), "unused") : std::vector<std::uint8_t>{};
  const unpadded found = form.unpad(mask, unused, rows.size());
  std::vector<integers> padded(rows.size(), integers(columns));
  for (std::size_t n = 0; n < found.indices.size(); ++n) {
    const auto place = static_cast<std::size_t>(found.indices[n]);
    padded[place / columns][place % columns] = static_cast<std::int64_t>(n) + 1;
  }
  return {{"indices", found.indices},
          {"cu_seqlens", found.cu_seqlens},
          {"max_seqlen", found.max_seqlen},
          {"seqused", found.seqused},
          {"pad_of_1_to_n", padded}};
}

json unpad_rows(const forms& form, const case_input& given) {
  integers lengths;
  integers row_of_document;
  std::int64_t row = 0;
  for (const integers& documents : given.lists("lengths_in_rows")) {
    lengths.insert(lengths.end(), documents.begin(), documents.end());
    row_of_document.insert(row_of_document.end(), documents.size(), row++);
  }
  const auto laid = form.lay_row(lengths);
  return {
      {"indices", form.places_in_rows(lengths, row_of_document, row, given.integer("row_slots"))},
      {"cu_seqlens", laid.cu_seqlens},
      {"max_seqlen", laid.summary.longest}};
}

json unpad_either(const forms& form, const json& in) {
  const case_input given(in, {"mask", "unused", "lengths_in_rows", "row_slots"});
  return given.has("lengths_in_rows") ? unpad_rows(form, given) : unpad_mask(form, given);
}

json vision_scatter(const forms& form, const json& in) {
  const case_input given(in, {"tokens", "image_token", "tile_used", "rows_per_tile"});
  const integers tokens = given.list("tokens");
  const std::int64_t image_token = given.integer("image_token");
  const auto tile_used = given.flags("tile_used");
  const std::int64_t rows_per_tile = given.integer("rows_per_tile");
  if (rows_per_tile > 0)  // Otherwise refused below.
    require_few_entries(form, "rows_per_tile", rows_per_tile,
                        tile_used.empty() ? 0 : rows_per_tile);
  const scatter_plan plan = plan_scatter(tokens, image_token, tile_used, rows_per_tile);
  json out = {{"slots", plan.slots}, {"rows", plan.rows}};
  try {
    out["source_row_of_slot"] =
        form.source_row_of_slot(tokens, image_token, tile_used, rows_per_tile);
  } catch (const invalid_input& error) {
    out["error"] = error.what();
  }
  return out;
}

}  // namespace

named_operations document_operations() {
  return {{"cu_seqlens", cu_seqlens},        {"cu_seqlens_fixed", cu_seqlens_fixed},
          {"token_ids", token_ids},          {"labels", labels},
          {"loss_weights", loss_weights},    {"unpad", unpad_either},
          {"vision_scatter", vision_scatter}};
}

}  // namespace omnibal::examples
