// SPDX-License-Identifier: Apache-2.0
/// @file
/// Constraints on the partition: which layers may form a stage when some must share a stage and
/// some must not. Stages are intervals, so a pair that must share a stage forbids the cuts between
/// them, and a pair that must not limits how far back a stage may begin.
#pragma once

#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The constraints `together` and `apart` of a problem, in a form that answers in O(1).
/// Those that were moved from have no layers.
class partition_constraints {
 public:
  /// O(layers · pairs). Precondition: the problem is valid.
  explicit partition_constraints(const pipeline_problem& problem);
  partition_constraints(const partition_constraints&) = default;
  partition_constraints(partition_constraints&&) noexcept = default;
  partition_constraints& operator=(const partition_constraints& other) {
    return *this = partition_constraints(other);
  }
  partition_constraints& operator=(partition_constraints&&) noexcept = default;
  ~partition_constraints() = default;

  /// Whether a stage may begin or end after `cut` layers.
  [[nodiscard]] bool may_cut(std::size_t cut) const noexcept { return may_cut_[cut]; }

  /// The first layer with which a stage that ends before layer `end` may begin. Not decreasing in
  /// `end`.
  [[nodiscard]] std::size_t first_begin(std::size_t end) const noexcept {
    return first_begin_[end];
  }

  /// Whether layers begin … end − 1 may be a stage.
  [[nodiscard]] bool allows(std::size_t begin, std::size_t end) const noexcept {
    return may_cut_[begin] && may_cut_[end] && begin >= first_begin_[end];
  }

  /// Whether any partition into `stages` stages is allowed. O(stages · layers²).
  [[nodiscard]] bool allow_partition(std::size_t stages) const;

 private:
  std::vector<bool> may_cut_;
  std::vector<std::size_t> first_begin_;
};

/// Why no partition of the layers into the stages exists even without memory limits; `none` if one
/// exists. O(stages · layers²). Precondition: the problem is valid.
[[nodiscard]] infeasibility impossible_partition(const pipeline_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/partition_constraints.ipp>
#endif
