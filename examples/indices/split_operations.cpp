// SPDX-License-Identifier: Apache-2.0
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

std::int64_t ranks_of(const case_input& given) {
  const std::int64_t ranks = given.integer("cp_size");
  if (ranks < 1 || ranks > 1 << 16)
    throw invalid_input("cp_size", ranks, "must be at least 1 and at most 65536");
  return ranks;
}

/// The global slots of each rank.
std::vector<integers> slots_of_ranks(const forms& form, const document_row& row,
                                     const any_split& split, std::int64_t ranks) {
  std::vector<integers> all;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    integers& slots = all.emplace_back(static_cast<std::size_t>(row.slots / ranks));
    form.fill_tokens(row, split, rank, {}, {.global_slot = slots});
  }
  return all;
}

json context_parallel_zigzag(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "cp_size"});
  const std::int64_t ranks = ranks_of(given);
  const integers lengths = given.list("lengths");
  const auto laid = form.lay_row(lengths, std::nullopt, 2 * ranks);
  require_few_entries(form, "lengths", laid.summary.slots_used, laid.summary.slots_used);
  const zigzag split{laid.row(), ranks};
  std::vector<std::vector<std::int32_t>> on_rank;
  for (std::int64_t rank = 0; rank < ranks; ++rank) on_rank.push_back(form.lay_rank(split, rank));
  return {{"cu_seqlens_padded", laid.cu_seqlens_padded},
          {"indices", slots_of_ranks(form, laid.row(), split, ranks)},
          {"inverse", form.invert_split(split, laid.row().slots)},
          {"cu_seqlens_on_rank", on_rank}};
}

json context_parallel_whole_row(const forms& form, const json& in) {
  const case_input given(in, {"slots", "cp_size"});
  const std::int64_t ranks = ranks_of(given);
  const std::int64_t slots = given.integer("slots");
  if (slots < 0 || slots % (2 * ranks) != 0)
    throw invalid_input("slots", slots, "must be a multiple of " + std::to_string(2 * ranks));
  require_few_entries(form, "slots", slots, slots);
  const auto laid = form.lay_row(integers{slots});
  const auto all = [&](const any_split& split) {
    return slots_of_ranks(form, laid.row(), split, ranks);
  };
  json out = {{"zigzag", all(zigzag_row{slots, ranks})},
              {"contiguous", all(contiguous{slots, ranks})},
              {"striped", all(striped{slots, ranks})}};
  if (ranks == 1) return out;
  for (std::int64_t ring = 1; ring <= ranks; ++ring) {
    if (ranks % ring != 0) continue;
    const std::int64_t ulysses = ranks / ring;
    out["zigzag_ring" + std::to_string(ring) + "_ulysses" + std::to_string(ulysses)] =
        all(zigzag_ring_ulysses{slots, ring, ulysses});
  }
  integers before;
  integers after;
  for (std::int64_t chunk = 0; chunk < 2 * ranks; ++chunk) {
    before.push_back(zigzag_chunk_place(chunk, ranks));
    after.push_back(zigzag_chunk(chunk, ranks));
  }
  out["a2a_chunks_before"] = before;
  out["a2a_chunks_after"] = after;
  return out;
}

json context_parallel_contiguous(const forms& form, const json& in) {
  const case_input given(in, {"lengths", "cp_size"});
  const std::int64_t ranks = ranks_of(given);
  const auto laid = form.lay_row(given.list("lengths"));
  json out = json::object();
  for (const bool causal : {true, false}) {
    json views = json::array();
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      const gathered_view view = view_contiguous(laid.cu_seqlens, ranks, rank, causal);
      views.push_back({{"cu_seqlens_q", view.cu_seqlens_q},
                       {"cu_seqlens_k", view.cu_seqlens_k},
                       {"max_seqlen_q", view.max_seqlen_q},
                       {"max_seqlen_k", view.max_seqlen_k},
                       {"k_begin", view.k_begin},
                       {"k_end", view.k_end}});
    }
    out[causal ? "causal" : "full"] = views;
  }
  return out;
}

}  // namespace

named_operations split_operations() {
  return {{"context_parallel_zigzag", context_parallel_zigzag},
          {"context_parallel_whole_row", context_parallel_whole_row},
          {"context_parallel_contiguous", context_parallel_contiguous}};
}

}  // namespace omnibal::examples
