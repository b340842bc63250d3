// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the weights, gradients and optimizer states of layers occupy on a device. Tied layers share
/// theirs: on one device the largest of them counts once, on different devices each counts where it
/// is, and their gradients must be reduced between those devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// Layers begin … end − 1.
struct layer_range {
  std::size_t begin = 0;
  std::size_t end = 0;

  [[nodiscard]] constexpr bool holds(std::size_t l) const noexcept { return begin <= l && l < end; }
  friend bool operator==(const layer_range&, const layer_range&) = default;
};

class static_memory {
 public:
  /// O(layers + ties · layers). Precondition: the problem is valid.
  explicit static_memory(const pipeline_problem& problem);

  /// Static bytes of a device that holds these layers alone. O(tied layers).
  [[nodiscard]] std::int64_t bytes(const layer_range& layers) const {
    return bytes(std::span(&layers, 1));
  }

  /// Static bytes of a device that holds these ranges of layers, none twice.
  /// O(ranges · tied layers).
  [[nodiscard]] std::int64_t bytes(std::span<const layer_range> ranges) const;

 private:
  /// Ties are transitive: whatever is connected by pairs is one group.
  void group_ties(const pipeline_problem& problem);

  std::vector<std::int64_t> before_ = {0};        ///< before_[l]: bytes of the first l layers.
  std::vector<std::vector<std::size_t>> groups_;  ///< Layers with the same weights.
};

/// The tied pairs that a plan puts on different devices: each costs a reduction of gradients
/// between them every step.
[[nodiscard]] std::vector<layer_pair> split_ties(const pipeline_problem& problem,
                                                 const pipeline_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/static_memory.ipp>
#endif
