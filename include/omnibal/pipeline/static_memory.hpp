// SPDX-License-Identifier: Apache-2.0
/// @file
/// Static memory of a device: weights, gradients and optimizer state of its layers. Tied layers
/// share weights: on one device the largest of them counts once; on different devices each counts
/// on its own, and their gradients must be reduced between those devices.
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

  [[nodiscard]] constexpr bool contains(std::size_t l) const noexcept {
    return begin <= l && l < end;
  }
  friend bool operator==(const layer_range&, const layer_range&) = default;
};

/// Static bytes of intervals of one chain of layers. One that was moved from has no layers.
class static_memory {
 public:
  /// O(layers + ties · layers). Precondition: the problem is valid.
  explicit static_memory(const pipeline_problem& problem);
  static_memory(const static_memory&) = default;
  static_memory(static_memory&&) noexcept = default;
  static_memory& operator=(const static_memory& other) { return *this = static_memory(other); }
  static_memory& operator=(static_memory&&) noexcept = default;
  ~static_memory() = default;

  /// Static bytes of a device that has these layers alone. O(tied layers).
  [[nodiscard]] std::int64_t bytes(const layer_range& layers) const {
    return bytes(std::span(&layers, 1));
  }

  /// Static bytes of a device that has these disjoint ranges of layers. O(ranges · tied layers).
  [[nodiscard]] std::int64_t bytes(std::span<const layer_range> ranges) const;

 private:
  /// Ties are transitive: layers connected by pairs are one group.
  void group_ties(const pipeline_problem& problem);

  std::vector<std::int64_t> before_ = {0};        ///< before_[l]: bytes of the first l layers.
  std::vector<std::vector<std::size_t>> groups_;  ///< Layers with the same weights.
};

/// The tied pairs that a plan places on different devices: each costs a reduction of gradients
/// between them per step.
[[nodiscard]] std::vector<layer_pair> split_ties(const pipeline_problem& problem,
                                                 const pipeline_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/static_memory.ipp>
#endif
