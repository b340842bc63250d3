// SPDX-License-Identifier: Apache-2.0
/// @file
/// Shapes of packed rows. A *layout* holds host constants alone, so that every array has a shape
/// that does not depend on the pack: graphs are captured and programs compiled once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::indices {

/// Whether slots after the last document count as one more document in the offsets. Attention
/// kernels leave slots beyond the last offset unwritten, so a row of fixed length wants its tail
/// `counted`.
enum class tail_policy { counted, left_out };

/// The shape of a row of documents.
struct document_layout {
  std::int64_t documents = 0;  ///< capacity: the most documents of a row
  std::int64_t slots = 0;      ///< of the row, tail included; at most 2³¹ − 1
  std::int64_t multiple = 1;   ///< slots of each document are a multiple of it
  tail_policy tail = tail_policy::counted;
};

/// Entries of cu_seqlens in a layout: documents + 2 with the tail counted, else documents + 1.
[[nodiscard]] constexpr std::size_t offset_count(const document_layout& layout) noexcept {
  return static_cast<std::size_t>(layout.documents) +
         (layout.tail == tail_policy::counted ? 2U : 1U);
}

/// x rounded up to a multiple. For x ≥ 0, multiple ≥ 1 and a result within int64.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t round_up(std::int64_t x,
                                                         std::int64_t multiple) noexcept {
  return (x + multiple - 1) / multiple * multiple;
}

namespace detail {

inline void require_at_least(std::int64_t value, std::int64_t least, std::string_view field) {
  if (value < least) throw invalid_input(field, value, "must be at least " + std::to_string(least));
}

/// Indices are int32: refuses what does not fit.
[[nodiscard]] inline std::int32_t narrow(std::int64_t value, std::string_view field) {
  if (value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max())
    throw invalid_input(field, value, "must be at most 2147483647: these indices are int32");
  return static_cast<std::int32_t>(value);
}

/// Refuses an output that is wanted (not empty) and has another size than `entries`.
template <typename Value>
void require_size(std::span<Value> output, std::size_t entries, std::string_view field) {
  if (!output.empty() && output.size() != entries)
    throw invalid_input(field, output.size(),
                        "entries are given: must be none or " + std::to_string(entries));
}

/// output[i] = function(i): the host form of every functor.
template <typename Value, typename Function>
void tabulate(std::span<Value> output, const Function& function) {
  for (std::size_t i = 0; i < output.size(); ++i)
    output[i] = static_cast<Value>(function(static_cast<std::int64_t>(i)));
}

}  // namespace detail

}  // namespace omnibal::inline v0::indices
