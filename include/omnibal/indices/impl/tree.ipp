// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/tree.hpp>

namespace omnibal::inline v0::indices {

namespace detail {

/// The prefix tree of sequences, nodes numbered by first appearance.
struct prefix_tree {
  std::vector<std::int32_t> parent;
  std::vector<std::int64_t> token;
  std::vector<std::vector<std::int32_t>> children;
  std::vector<std::vector<std::int32_t>> paths;  ///< the nodes of each sequence, from its root
  std::vector<std::int32_t> sequences;           ///< through each node

  explicit prefix_tree(std::span<const std::vector<std::int64_t>> all) {
    std::map<std::pair<std::int32_t, std::int64_t>, std::int32_t> known;
    for (const std::vector<std::int64_t>& sequence : all) {
      std::vector<std::int32_t>& path = paths.emplace_back();
      std::int32_t above = -1;
      for (const std::int64_t value : sequence) {
        const auto [entry, is_new] = known.try_emplace({above, value}, size());
        if (is_new) add(above, value);
        above = entry->second;
        ++sequences[static_cast<std::size_t>(above)];
        path.push_back(above);
      }
    }
  }

  [[nodiscard]] std::int32_t size() const { return narrow(std::ssize(parent), "tokens"); }

  /// Node → its number in preorder, children in order of first appearance.
  [[nodiscard]] std::vector<std::int32_t> preorder() const {
    std::vector<std::int32_t> number(parent.size());
    std::vector<std::int32_t> waiting;
    for (std::size_t node = parent.size(); node-- > 0;)
      if (parent[node] < 0) waiting.push_back(static_cast<std::int32_t>(node));
    for (std::int32_t next = 0; !waiting.empty(); ++next) {
      const auto node = static_cast<std::size_t>(waiting.back());
      waiting.pop_back();
      number[node] = next;
      waiting.insert(waiting.end(), children[node].rbegin(), children[node].rend());
    }
    return number;
  }

 private:
  void add(std::int32_t above, std::int64_t value) {
    if (above >= 0) children[static_cast<std::size_t>(above)].push_back(size());
    parent.push_back(above);
    token.push_back(value);
    children.emplace_back();
    sequences.push_back(0);
  }
};

/// Along a path, runs of nodes through which the same number of sequences pass: that is the same
/// set.
OMNIBAL_INLINE void list_rectangles(const prefix_tree& tree, std::span<const std::int32_t> slot_of,
                                    std::vector<tree_rectangle>& rectangles) {
  const auto slot = [&](std::int32_t node) { return slot_of[static_cast<std::size_t>(node)]; };
  std::vector<bool> listed(slot_of.size());
  for (const std::vector<std::int32_t>& path : tree.paths) {
    std::vector<std::pair<std::int32_t, std::int32_t>> above;
    for (std::size_t first = 0, last = 0; first < path.size(); first = last) {
      const auto count = [&](std::size_t i) {
        return tree.sequences[static_cast<std::size_t>(path[i])];
      };
      for (last = first; last < path.size() && count(last) == count(first);) ++last;
      const std::int32_t begin = slot(path[first]);
      const std::int32_t end = slot(path[last - 1]) + 1;
      if (!listed[static_cast<std::size_t>(begin)]) {
        listed[static_cast<std::size_t>(begin)] = true;
        rectangles.push_back({begin, end, begin, end, false});
        for (const auto& [k_begin, k_end] : above)
          rectangles.push_back({begin, end, k_begin, k_end, true});
      }
      above.emplace_back(begin, end);
    }
  }
}

/// The causal rectangles are the runs. Along a run all slots have the same subtree's end, since it
/// goes on below the run's last slot.
OMNIBAL_INLINE void list_runs(tree_row& row) {
  for (const tree_rectangle& one : row.rectangles) {
    const auto slot = static_cast<std::size_t>(one.q_begin);
    if (!one.full)
      row.runs.push_back({.begin = one.q_begin,
                          .depth = static_cast<std::int32_t>(row.position_ids[slot]),
                          .subtree_end = row.subtree_end[slot]});
  }
  std::sort(row.runs.begin(), row.runs.end(),
            [](const tree_run& a, const tree_run& b) { return a.begin < b.begin; });
}

}  // namespace detail

OMNIBAL_INLINE tree_row lay_tree(std::span<const std::vector<std::int64_t>> sequences,
                                 std::int64_t slots, tree_order order) {
  detail::require_at_least(slots, 0, "slots");
  static_cast<void>(detail::narrow(slots, "slots"));
  const detail::prefix_tree tree(sequences);
  if (tree.size() > slots)
    throw invalid_input("slots", slots,
                        "must be at least the tokens of the tree, " + std::to_string(tree.size()));
  const auto nodes = tree.parent.size();
  std::vector<std::int32_t> slot_of(nodes);
  for (std::size_t node = 0; node < nodes; ++node) slot_of[node] = static_cast<std::int32_t>(node);
  if (order == tree_order::preorder) slot_of = tree.preorder();

  tree_row row;
  row.parent.assign(static_cast<std::size_t>(slots), -1);
  row.position_ids.assign(static_cast<std::size_t>(slots), 0);
  row.tokens.resize(nodes);
  for (std::int32_t s = 0; s < slots; ++s) row.subtree_end.push_back(s < tree.size() ? s + 1 : s);
  std::vector<std::int32_t> subtree_size(nodes, 1);
  // A parent appears before its children, and has a smaller slot in both orders.
  for (std::size_t node = 0; node < nodes; ++node) {
    const auto slot = static_cast<std::size_t>(slot_of[node]);
    row.tokens[slot] = tree.token[node];
    if (tree.parent[node] < 0) continue;
    row.parent[slot] = slot_of[static_cast<std::size_t>(tree.parent[node])];
    row.position_ids[slot] = row.position_ids[static_cast<std::size_t>(row.parent[slot])] + 1;
  }
  for (std::size_t slot = nodes; slot-- > 0;) {
    row.preorder = row.preorder &&
                   row.subtree_end[slot] - static_cast<std::int32_t>(slot) == subtree_size[slot];
    if (row.parent[slot] < 0) continue;
    const auto above = static_cast<std::size_t>(row.parent[slot]);
    row.subtree_end[above] = std::max(row.subtree_end[above], row.subtree_end[slot]);
    subtree_size[above] += subtree_size[slot];
  }
  detail::list_rectangles(tree, slot_of, row.rectangles);
  detail::list_runs(row);
  return row;
}

}  // namespace omnibal::inline v0::indices
