// SPDX-License-Identifier: Apache-2.0
/// @file
/// Recompute modes for a given partition: the modes of least total extra time that fit memory, and
/// the memory overrun of stages for which none fit.
///
///     if (const auto plan = omnibal::assign_modes(problem, {0, 10, 20})) use(*plan);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The cost of every interval of layers as a stage.
class stage_table;

}  // namespace detail

/// The plan with these cuts of least total extra time among those that fit memory; no value if none
/// fits. Preconditions: the problem is valid, and the cuts partition its layers into its stages.
/// Solves one knapsack per device (recompute/exact.hpp).
[[nodiscard]] std::optional<pipeline_plan> assign_modes(const pipeline_problem& problem,
                                                        const std::vector<std::size_t>& cuts);

/// The memory overrun of stages, for schedules without virtual stages.
class stage_memory {
 public:
  /// Keeps a reference: the problem must outlive it. Throws invalid_input for schedules with
  /// virtual stages. Precondition: the problem is valid.
  explicit stage_memory(const pipeline_problem& problem);

  /// Bytes by which layers begin … end − 1 in their minimum-memory modes overrun the memory of the
  /// stage; negative if they fit. Throws invalid_input once moved from. O(layers of the stage ·
  /// modes).
  [[nodiscard]] std::int64_t overrun(std::size_t stage, std::size_t begin, std::size_t end);

 private:
  std::shared_ptr<detail::stage_table> table_;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/assign_modes.ipp>
#endif
