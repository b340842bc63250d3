// SPDX-License-Identifier: Apache-2.0
/// @file
/// The whole-run plan: real samples, a model and a cluster go in; capacities, packs, their dealing,
/// layer partition and recomputation come out, with the simulated time of every step of the epoch,
/// beside what a trainer without balance and what the paper's method would take, and beside what
/// nobody can beat.
///
/// All columns process the same samples once under the same simulator:
/// - unbalanced: random padded micro-batches, layers split evenly by parameters, full
/// recomputation;
/// - published: the paper's packing, its partition by anchor and radius (the best few tried out, as
///   the paper does), its adaptive recomputation;
/// - planned: ours;
/// - bound: the work nobody can avoid, spread evenly over all devices.
/// The steps between unbalanced and planned show what each kind of balance adds.
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0 {

/// Prices a run planned before: its packs, which were made for this capacity, their dealing, its
/// cuts and modes, for the samples, costs and memory of the problem. `fits` tells whether the
/// memory still holds it; nothing is changed to make it fit. Throws invalid_input where the plan is
/// not one for these samples, layers and ranks. O(micro-batches · virtual stages).
[[nodiscard]] evaluated_run evaluate_run(const run_problem& problem,
                                         const grouping<std::uint32_t>& packs,
                                         const dispatch_plan& dispatch, const loads<2>& capacity,
                                         const pipeline_plan& plan,
                                         const search_control& control = {});

/// What a column's plan answers in plain numbers: its schedule, times of the typical micro-batch,
/// bytes of the largest. Precondition: the column packs its samples. O(layers · modes).
[[nodiscard]] pipeline_problem planning_problem(const run_problem& problem,
                                                const run_strategy& column);

/// Plans a run. `planned.status` is infeasible, with the reason, when no plan fits the memory or
/// there are fewer layers than stages. Asked to stop, it tries no further capacities, plans and
/// orders once it has a plan. Throws invalid_input for arguments out of range.
[[nodiscard]] run_plan plan_run(const run_problem& problem, const search_control& control = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/plan_run.ipp>
#endif
