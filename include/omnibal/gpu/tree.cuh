// SPDX-License-Identifier: Apache-2.0
/// @file
/// Arrays with an entry per slot of a row of shared prefixes, on the device: depths as position ids
/// and key intervals, in one kernel, from the runs of a tree that indices::lay_tree has laid on the
/// host. list_blocks (blocks.cuh) takes the intervals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/tree.hpp>

namespace omnibal::inline v0::gpu {

/// Outputs of fill_tree in device memory, [slots] each; an empty span is not written. Intervals
/// describe the mask in preorder alone (tree_row::preorder).
struct device_tree_arrays {
  std::span<std::int64_t> position_ids = {};  ///< depth; 0 in the tail
  std::span<std::int32_t> first_query = {};   ///< the slot itself
  std::span<std::int32_t> limit_query = {};   ///< the subtree's end; the slot itself in the tail
};

/// Fills the arrays of a row of `slots` slots, of which the first `tokens` belong to the runs
/// (tree_row::runs, in device memory). Enqueues one kernel on `stream`, allocates nothing and may
/// be captured.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong. O(slots · log(runs)).
cudaError_t fill_tree_async(std::span<const indices::tree_run> runs, std::int64_t tokens,
                            std::int64_t slots, const device_tree_arrays& arrays,
                            cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input and cuda_error.
void fill_tree(std::span<const indices::tree_run> runs, std::int64_t tokens, std::int64_t slots,
               const device_tree_arrays& arrays, cudaStream_t stream = nullptr);

namespace detail {

struct store_tree_slot {
  const indices::tree_run* runs;
  std::int64_t count;
  std::int64_t tokens;
  std::int64_t* position_ids;
  std::int32_t* first_query;
  std::int32_t* limit_query;

  OMNIBAL_HD constexpr void operator()(std::int64_t slot) const noexcept {
    const indices::tree_slot at = slot < tokens ? indices::slot_in_run(runs[run_of(slot)], slot)
                                                : indices::tree_slot{.seen_by = {slot, slot}};
    if (position_ids != nullptr) position_ids[slot] = at.position;
    if (first_query != nullptr) first_query[slot] = static_cast<std::int32_t>(at.seen_by.first);
    if (limit_query != nullptr) limit_query[slot] = static_cast<std::int32_t>(at.seen_by.limit);
  }

 private:
  /// The last run that begins at or before the slot.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t run_of(std::int64_t slot) const noexcept {
    std::int64_t low = 1;
    std::int64_t high = count;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (runs[middle].begin <= slot)
        low = middle + 1;
      else
        high = middle;
    }
    return low - 1;
  }
};

inline void check_tree(std::span<const indices::tree_run> runs, std::int64_t tokens,
                       std::int64_t slots, const device_tree_arrays& arrays) {
  if (slots < 0 || slots > INT32_MAX) throw invalid_input("slots", slots, "must be 0 … 2147483647");
  if (tokens < 0 || tokens > slots || (runs.empty() && tokens > 0))
    throw invalid_input("tokens", tokens, "must be those of the runs, at most the slots");
  const auto require_entries = [&](std::size_t given, const char* field) {
    if (given != 0 && given != static_cast<std::size_t>(slots))
      throw invalid_input(field, given,
                          "entries are given: must be none or " + std::to_string(slots));
  };
  require_entries(arrays.position_ids.size(), "position_ids");
  require_entries(arrays.first_query.size(), "first_query");
  require_entries(arrays.limit_query.size(), "limit_query");
}

}  // namespace detail

inline cudaError_t fill_tree_async(std::span<const indices::tree_run> runs, std::int64_t tokens,
                                   std::int64_t slots, const device_tree_arrays& arrays,
                                   cudaStream_t stream) noexcept {
  const cudaError_t checked =
      detail::code_of([&] { detail::check_tree(runs, tokens, slots, arrays); });
  if (checked != cudaSuccess) return checked;
  return detail::for_each_async(
      detail::start::overlapping, slots,
      detail::store_tree_slot{runs.data(), static_cast<std::int64_t>(runs.size()), tokens,
                              detail::wanted(arrays.position_ids),
                              detail::wanted(arrays.first_query),
                              detail::wanted(arrays.limit_query)},
      stream);
}

inline void fill_tree(std::span<const indices::tree_run> runs, std::int64_t tokens,
                      std::int64_t slots, const device_tree_arrays& arrays, cudaStream_t stream) {
  detail::check_tree(runs, tokens, slots, arrays);
  detail::wait_for(fill_tree_async(runs, tokens, slots, arrays, stream), stream, "fill_tree");
}

}  // namespace omnibal::inline v0::gpu
