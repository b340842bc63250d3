// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baseline: the paper's partition search. All partitions whose cuts are within a radius of those
/// of a greedy anchor are ranked by the variance of the stages' forward times and, among equals, by
/// the point-to-point transfer time of their edges; the best few are then evaluated.
/// Source: OmniBal, arXiv 2407.20761, section on balanced model partitioning. Its code was not
/// published. Instead of an exponential enumeration, a dynamic program finds the same best few
/// exactly: the total is the same for all partitions, so the variance orders them like Σ F², which
/// is a sum over stages. With a radius of all layers this is the exact top-K by variance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>

namespace omnibal::inline v0 {

/// The extent of the search.
struct anchor_options {
  std::size_t radius = 2;  ///< Largest distance of a cut from the anchor's, in layers.
  std::size_t top = 10;    ///< How many partitions to return.
  /// Whether layers begin … end − 1 may be stage s, for partitions that must fit memory; empty
  /// allows all.
  std::function<bool(std::size_t stage, std::size_t begin, std::size_t end)> allows = {};
};

/// A partition with its rank: by sum_of_squares, then latency, then cuts.
struct anchored_partition {
  std::vector<std::size_t> cuts = {};
  wide_integer sum_of_squares = 0;  ///< Σ F² over stages.
  std::int64_t latency = 0;         ///< Σ over its edges.
};

/// Cuts where the running sum is nearest to equal shares, each part non-empty. O(n).
/// Preconditions: parts ≥ 1, at least as many times as parts.
[[nodiscard]] std::vector<std::size_t> greedy_anchor(std::span<const std::int64_t> times,
                                                     std::size_t parts);

/// The best `top` partitions near the anchor, best first. `forward` has one time per layer,
/// `latency` the point-to-point transfer time after each layer. Fewer if fewer exist; none if there
/// are fewer layers than parts. Throws invalid_input if `parts` or `top` is 0 or the sizes differ.
/// O(parts · radius² · top · log top).
[[nodiscard]] std::vector<anchored_partition> anchored_partitions(
    std::span<const std::int64_t> forward, std::span<const std::int64_t> latency, std::size_t parts,
    const anchor_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/anchor_partition.ipp>
#endif
