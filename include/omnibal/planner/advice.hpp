// SPDX-License-Identifier: Apache-2.0
/// @file
/// Advice for problems that do not fit memory: for each kind of change (more memory, fewer
/// micro-batches, more devices, another recompute mode) the smallest that makes a plan fit, each
/// verified by planning the changed problem.
///
///     const auto planned = omnibal::plan_jointly(problem, objective);
///     if (planned.why.reason == omnibal::infeasibility::cause::memory)
///       report(omnibal::advise(problem, planned.why));
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The smallest changes, each sufficient by itself; empty if no change of the kind helps.
struct fit_advice {
  std::int64_t bytes = 0;                        ///< Additional bytes on every device.
  std::optional<std::size_t> microbatches = {};  ///< Most micro-batches per step that fit.
  std::optional<std::size_t> stages = {};        ///< Fewest devices that fit.
  /// A layer with which the plan fits if it gets a full recompute mode: no saved bytes, and its
  /// activations as transient bytes.
  std::optional<std::size_t> layer = {};
};

/// Finds the changes. Precondition: plan_jointly() found the problem infeasible for memory, with
/// the reason `why`. Takes a few dozen calls of plan_jointly() for the bottleneck.
[[nodiscard]] fit_advice advise(const pipeline_problem& problem, const infeasibility& why);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/advice.ipp>
#endif
