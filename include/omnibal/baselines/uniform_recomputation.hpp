// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baseline: uniform recomputation, the same rule for all stages, as trainers offer it as an
/// option: none, selective everywhere, or the first N layers of every stage in full.
///
/// Layers may have any modes, so the rules are defined as follows: *none* is a layer's minimum-time
/// mode; *full* its minimum-memory mode; *selective* the mode between them that frees most bytes
/// for its extra time, or none if there is no such mode. Layers whose full mode is their none mode
/// have nothing to recompute and do not count towards N. Source: Korthikanti et al., "Reducing
/// activation recomputation in large transformer models", MLSys 2023 (selective and full), and the
/// number of layers per stage that Megatron-LM calls the method `block`.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The rule by which every layer of a chain gets its mode.
enum class uniform_rule { none, selective, full };

/// The modes of all layers under a rule. O(layers · modes). Precondition: the layers are valid.
[[nodiscard]] std::vector<std::size_t> modes_by_uniform_rule(std::span<const pipeline_layer> layers,
                                                             uniform_rule rule);

/// All plans with these cuts and uniform recomputation: none, selective, and the first 1, 2, …
/// layers of every stage in full, up to all. O(layers²). Preconditions: the problem is valid, and
/// the cuts are a partition of its layers.
[[nodiscard]] std::vector<pipeline_plan> plans_with_uniform_recomputation(
    const pipeline_problem& problem, const std::vector<std::size_t>& cuts);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/uniform_recomputation.ipp>
#endif
