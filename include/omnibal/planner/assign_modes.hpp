// SPDX-License-Identifier: Apache-2.0
/// @file
/// Recomputation for a partition that is given: the modes that recompute least in all among those
/// that fit, and what a stage lacks where none do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>

namespace omnibal::inline v0 {

/// The plan of these cuts whose layers recompute least, in the sum of their extra times, among
/// those that fit the memory; nothing where none fits. Preconditions: the problem is valid, and
/// the cuts are a partition of its layers into as many parts as it has stages.
/// One knapsack per device (recompute/exact.hpp).
[[nodiscard]] std::optional<pipeline_plan> assign_modes(const pipeline_problem& problem,
                                                        const std::vector<std::size_t>& cuts);

/// How far stages of a schedule without virtual stages are from fitting their memory.
class stage_memory {
 public:
  /// Keeps a reference: the problem must outlive this. Throws invalid_input for schedules with
  /// virtual stages. Precondition: the problem is valid.
  explicit stage_memory(const pipeline_problem& problem);

  /// Bytes by which layers begin … end − 1, in the modes that need the least memory, overrun the
  /// memory of a stage; negative where they fit. O(layers of the stage · modes).
  [[nodiscard]] std::int64_t overrun(std::size_t stage, std::size_t begin, std::size_t end);

 private:
  std::shared_ptr<detail::stage_table> table_;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/assign_modes.ipp>
#endif
