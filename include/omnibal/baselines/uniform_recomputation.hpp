// SPDX-License-Identifier: Apache-2.0
/// @file
/// Recomputation by one rule for all stages, as trainers take it as an option: nothing, selective
/// everywhere, or the first N layers of every stage in full.
///
/// Layers here may have any modes, so the rules' words are read as: *none* is a layer's fastest
/// mode; *full* the one that keeps least; *selective*, of the modes between that keep less than
/// none, the one that saves most bytes for its time, and none where there is no such mode. Layers
/// whose full is their none have nothing to recompute and do not count towards N.
/// Source: Korthikanti et al., "Reducing activation recomputation in large transformer models",
/// MLSys 2023 (selective and full), and the option of a number of layers a stage that Megatron-LM
/// calls the method `block`.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The mode every layer of a chain takes, whatever its stage.
enum class uniform_rule { none, selective, full };

/// The modes of layers that all follow one rule. O(layers · modes). Precondition: they are valid.
[[nodiscard]] std::vector<std::size_t> modes_by_uniform_rule(std::span<const pipeline_layer> layers,
                                                             uniform_rule rule);

/// All plans for these cuts under one rule: none, selective, and the first 1, 2, … layers of every
/// stage in full, up to all. O(layers²). Preconditions: the problem is valid, the cuts are its.
[[nodiscard]] std::vector<pipeline_plan> plans_with_uniform_recomputation(
    const pipeline_problem& problem, const std::vector<std::size_t>& cuts);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/uniform_recomputation.ipp>
#endif
