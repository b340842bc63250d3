// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rows of sequences that share prefixes (rollouts of one prompt): each shared token once. A token
/// attends to the tokens before it in any of its sequences, that is to its ancestors in the prefix
/// tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/indices/intervals.hpp>

namespace omnibal::inline v0::indices {

/// An attention rectangle: queries [q_begin, q_end) × keys [k_begin, k_end), all of them or those
/// that are not after the query.
struct tree_rectangle {
  std::int32_t q_begin = 0;
  std::int32_t q_end = 0;
  std::int32_t k_begin = 0;
  std::int32_t k_end = 0;
  bool full = false;
  friend constexpr bool operator==(const tree_rectangle&, const tree_rectangle&) noexcept = default;
};

/// A run of slots with the same set of sequences, a node of the tree: what is on it and below it is
/// a closed form of the run.
struct tree_run {
  std::int32_t begin = 0;        ///< first slot; the next run's is one past the last
  std::int32_t depth = 0;        ///< position of its first slot
  std::int32_t subtree_end = 0;  ///< one past the last slot below it
  std::int32_t reserved = 0;
  friend constexpr bool operator==(const tree_run&, const tree_run&) noexcept = default;
};

/// A prefix tree laid into a row of slots.
struct tree_row {
  std::vector<std::int32_t> parent =
      {};  ///< [slots] slot of the token before; −1 at a root, in the tail
  std::vector<std::int32_t> subtree_end =
      {};  ///< [slots] one past the last slot of its subtree; s in the tail
  std::vector<std::int64_t> position_ids = {};  ///< [slots] depth; 0 in the tail
  std::vector<std::int64_t> tokens = {};        ///< [slots used]
  std::vector<tree_run> runs = {};              ///< ascending; the tail begins after the last one
  bool preorder = true;                         ///< whether each subtree is one run of slots
  std::vector<tree_rectangle> rectangles = {};  ///< MagiAttention's ranges; see lay_tree
};

/// In which order tokens of the tree get slots. In order of first appearance, as AReaL numbers
/// them, a subtree may be interrupted; then no interval per key describes the mask.
enum class tree_order : std::int32_t { preorder, first_appearance };

/// Lays sequences of tokens into a row of `slots` slots. Rectangles: the tree's nodes are runs of
/// slots with the same set of sequences; for each sequence from its root, (run, run, causal), then
/// (run, each run above it from the root, full), each rectangle once. Throws invalid_input where
/// the tree needs more slots. O(tokens · log(branches) + rectangles).
[[nodiscard]] tree_row lay_tree(std::span<const std::vector<std::int64_t>> sequences,
                                std::int64_t slots, tree_order order = tree_order::preorder);

/// What a slot of a run is given.
struct tree_slot {
  std::int64_t position = 0;
  key_interval seen_by = {};  ///< of it as a key, in preorder
};

/// Slot of a run → its depth and the queries that see it.
[[nodiscard]] OMNIBAL_HD constexpr tree_slot slot_in_run(const tree_run& run,
                                                         std::int64_t slot) noexcept {
  return {.position = run.depth + (slot - run.begin), .seen_by = {slot, run.subtree_end}};
}

/// Slot of a key → the queries that see it, in a tree in preorder: none in the tail.
struct interval_in_tree {
  const std::int32_t* subtree_end = nullptr;
  [[nodiscard]] OMNIBAL_HD constexpr key_interval operator()(std::int64_t key) const noexcept {
    return {key, subtree_end[key]};
  }
};

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/tree.ipp>
#endif
