// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which layers may form a stage when some must share one and some must not: stages are intervals,
/// so layers that belong together forbid the cuts between them, and layers that must part bound
/// how far back a stage may reach.
#pragma once

#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

class partition_constraints {
 public:
  /// O(layers · pairs). Precondition: the problem is valid.
  explicit partition_constraints(const pipeline_problem& problem);

  /// Whether a stage may begin or end after `cut` layers.
  [[nodiscard]] bool may_cut(std::size_t cut) const noexcept { return may_cut_[cut]; }

  /// The first layer with which a stage may begin that ends before layer `end`. Never falls as
  /// `end` grows.
  [[nodiscard]] std::size_t first_begin(std::size_t end) const noexcept {
    return first_begin_[end];
  }

  [[nodiscard]] bool allows(std::size_t begin, std::size_t end) const noexcept {
    return may_cut_[begin] && may_cut_[end] && begin >= first_begin_[end];
  }

  /// Whether any partition into `stages` stages is allowed. O(stages · layers²).
  [[nodiscard]] bool allow_partition(std::size_t stages) const;

 private:
  std::vector<bool> may_cut_;
  std::vector<std::size_t> first_begin_;
};

/// Why no partition of the layers into the stages can exist, whatever memory is; `none` if one can.
/// O(stages · layers²). Precondition: the problem is valid.
[[nodiscard]] infeasibility impossible_partition(const pipeline_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/partition_constraints.ipp>
#endif
