// SPDX-License-Identifier: Apache-2.0
/// @file
/// Constraints on the partition: which layers may form a stage when some must share a stage, some
/// must not, and some begin a given stage. Stages are intervals, so a pair that must share a stage
/// forbids the cuts between them, and a pair that must not limits how far back a stage may begin.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The constraints `together`, `apart` and `fixed_cuts` of a problem, in a form that answers in
/// O(1).
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

  /// Whether stage `stage` may begin, and the one before it end, after `cut` layers.
  [[nodiscard]] bool may_begin(std::size_t stage, std::size_t cut) const noexcept {
    return may_cut_[cut] &&
           (stage >= begin_of_.size() || begin_of_[stage] == any_layer || begin_of_[stage] == cut);
  }

  /// The first layer with which a stage that ends before layer `end` may begin. Not decreasing in
  /// `end`.
  [[nodiscard]] std::size_t first_begin(std::size_t end) const noexcept {
    return first_begin_[end];
  }

  /// Whether layers begin … end − 1 may be stage `stage`.
  [[nodiscard]] bool allows(std::size_t stage, std::size_t begin, std::size_t end) const noexcept {
    return may_begin(stage, begin) && may_begin(stage + 1, end) && begin >= first_begin_[end];
  }

  /// Whether every stage of these cuts has a layer and is allowed. O(stages).
  [[nodiscard]] bool allow(std::span<const std::size_t> cuts) const noexcept;

  /// Whether any partition into `stages` stages is allowed. O(stages · layers²).
  [[nodiscard]] bool allow_partition(std::size_t stages) const;

  /// Why there is no partition into `stages` stages, with the most stages into which there is one;
  /// `none` if there is. O(stages² · layers²).
  [[nodiscard]] infeasibility impossibility(std::size_t stages) const;

 private:
  static constexpr std::size_t any_layer = std::numeric_limits<std::size_t>::max();

  void fix(const fixed_cut& cut);

  std::vector<bool> may_cut_;
  std::vector<std::size_t> first_begin_;
  std::vector<std::size_t> begin_of_;  // Per stage, where any is fixed.
  bool contradicted_ = false;          // By fixed cuts of one stage, or of none.
};

/// Why no partition of the layers into the stages exists even without memory limits; `none` if one
/// exists. O(stages² · layers²). Precondition: the problem is valid.
[[nodiscard]] infeasibility impossible_partition(const pipeline_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/partition_constraints.ipp>
#endif
