// SPDX-License-Identifier: Apache-2.0
// What trainers do that the library does not offer, reproduced so that it can be compared:
// boundaries guessed from position ids, and Megatron's packing for supervised fine-tuning.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>

#include "operations.hpp"

namespace omnibal::examples {

namespace {

using namespace indices;

/// The slots with a position, then the number of slots.
integers slots_at(const integers& positions, std::int64_t position) {
  integers slots;
  for (std::size_t slot = 0; slot < positions.size(); ++slot)
    if (positions[slot] == position) slots.push_back(static_cast<std::int64_t>(slot));
  slots.push_back(static_cast<std::int64_t>(positions.size()));
  return slots;
}

std::int64_t largest_difference(const integers& offsets) {
  std::int64_t largest = 0;
  for (std::size_t i = 1; i < offsets.size(); ++i)
    largest = std::max(largest, offsets[i] - offsets[i - 1]);
  return largest;
}

/// VeOmni's offsets with the tail's one-slot documents joined: kept documents move to the front.
integers coalesce(const integers& offsets, std::int64_t slots, std::int64_t tail) {
  if (tail == 0) return offsets;
  integers joined{0};
  for (std::size_t i = 1; i < offsets.size(); ++i)
    if (offsets[i] <= slots - tail) joined.push_back(joined.back() + offsets[i] - offsets[i - 1]);
  joined.push_back(slots);
  joined.erase(std::unique(joined.begin(), joined.end()), joined.end());
  return joined;
}

json boundaries_from_position_ids(const forms& /*form*/, const json& in) {
  const case_input given(in, {"position_ids", "tail"});
  const integers positions = given.list("position_ids");
  const auto slots = static_cast<std::int64_t>(positions.size());
  const std::int64_t tail = given.integer_or("tail", 0);
  if (tail < 0 || tail > slots)
    throw invalid_input("tail", tail, "must be at least 0 and at most the slots");
  const integers hf =
      positions.empty() ? integers{0} : slots_at(positions, *std::ranges::min_element(positions));
  std::vector<std::int32_t> sequence(positions.size());
  for (std::size_t slot = 1; slot < positions.size(); ++slot)
    sequence[slot] = sequence[slot - 1] + (positions[slot] - 1 == positions[slot - 1] ? 0 : 1);
  const integers veomni = slots_at(positions, 0);
  json out = {{"hf_cu_seqlens", hf},
              {"hf_max_seqlen", largest_difference(hf)},
              {"hf_sequence_index", nullptr},
              {"veomni_cu_seqlens", nullptr},
              {"veomni_cu_seqlens_coalesced", nullptr}};
  if (!sequence.empty() && sequence.back() > 0) out["hf_sequence_index"] = sequence;
  if (veomni.size() == 1) return out;
  out["veomni_cu_seqlens"] = veomni;
  out["veomni_cu_seqlens_coalesced"] = coalesce(veomni, slots, tail);
  return out;
}

/// A row as Megatron's fine-tuning data set packs it.
struct megatron_row {
  integers tokens;
  integers targets;
  integers positions;
  integers ends{0};

  void append(std::int64_t token, std::int64_t target, std::int64_t position) {
    tokens.push_back(token);
    targets.push_back(target);
    positions.push_back(position);
  }
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(tokens.size()); }
};

struct megatron_options {
  std::int64_t slots;
  std::int64_t multiple;
  std::int64_t masked_at_start;
  std::int64_t pad_token;
};

// Appends documents until more than `slots` tokens are reached; the rest are dropped.
megatron_row pack_megatron(const integers& lengths, const megatron_options& options) {
  megatron_row row;
  for (std::size_t d = 0; d < lengths.size() && row.size() <= options.slots; ++d) {
    const std::int64_t number = static_cast<std::int64_t>(d) + 1;
    // Slots beyond the row are cut anyway.
    const std::int64_t padded =
        std::min(round_up(lengths[d], options.multiple), options.slots + 1 - row.size());
    for (std::int64_t j = 0; j < padded; ++j) {
      const bool is_token = j < lengths[d];
      const std::int64_t token = is_token ? 1000 * number + j : options.pad_token;
      row.append(token, is_token && j < options.masked_at_start ? ignored_label : token, j);
    }
    row.ends.push_back(row.size());
  }
  if (row.size() > options.slots) {
    row.tokens.resize(static_cast<std::size_t>(options.slots));
    row.targets.resize(static_cast<std::size_t>(options.slots));
    row.positions.resize(static_cast<std::size_t>(options.slots));
  }
  // Positions run on from the last slot: an empty document at the end starts none.
  while (row.size() <= options.slots)
    row.append(options.pad_token, options.pad_token,
               row.positions.empty() ? 0 : row.positions.back() + 1);
  if (row.ends.size() > 1)
    row.ends.back() = options.slots;
  else
    row.ends.push_back(options.slots);
  row.ends.erase(std::ranges::find(row.ends, options.slots) + 1, row.ends.end());
  return row;
}

json megatron_sft_pack(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "slots", "cp_size", "masked_at_start", "pad_token"});
  const std::int64_t cp = given.integer_or("cp_size", 1);
  const megatron_options options{.slots = given.integer("slots"),
                                 .multiple = cp > 1 ? 2 * cp : 1,
                                 .masked_at_start = given.integer_or("masked_at_start", 0),
                                 .pad_token = given.integer_or("pad_token", 0)};
  if (cp < 1 || cp > 1 << 20) throw invalid_input("cp_size", cp, "must be at least 1");
  if (options.slots < 0 || options.slots > 1 << 30)
    throw invalid_input("slots", options.slots, "must be at least 0 and at most 2^30");
  require_few_entries(form, "slots", options.slots, options.slots);
  const integers lengths = given.list("lengths");
  static_cast<void>(lay_row(lengths, std::nullopt, options.multiple));
  const megatron_row row = pack_megatron(lengths, options);
  const integers labels(row.targets.begin() + 1, row.targets.end());
  std::vector<float> loss_mask;
  for (const std::int64_t label : labels)
    loss_mask.push_back(label == options.pad_token || label == ignored_label ? 0.0F : 1.0F);
  return {{"tokens", integers(row.tokens.begin(), row.tokens.end() - 1)},
          {"labels", labels},
          {"position_ids", integers(row.positions.begin(), row.positions.end() - 1)},
          {"loss_mask", loss_mask},
          {"cu_seqlens", row.ends},
          {"max_seqlen", largest_difference(row.ends)}};
}

}  // namespace

named_operations consumer_operations() {
  return {{"boundaries_from_position_ids", boundaries_from_position_ids},
          {"megatron_sft_pack", megatron_sft_pack}};
}

}  // namespace omnibal::examples
