// SPDX-License-Identifier: Apache-2.0
/// @file
/// Plans a whole training run: from samples, layer costs and a cluster to pack capacities, packs,
/// their assignment to ranks, layer partition and recomputation. The epoch is simulated step by
/// step and compared with an unbalanced trainer, with the paper's method and with a proven lower
/// bound.
///
///     const omnibal::run_result run = omnibal::plan_run(
///         {.samples = samples, .chain = chain, .stages = 4, .data_parallel = 8,
///          .global_batch = 256, .memory = {.limit = bytes}});
///     std::cout << run.unbalanced.epoch_seconds() / run.planned.epoch_seconds();
///
/// All strategies process the same samples once under the same simulator:
/// - naive, how most trainers start: random padded micro-batches, the vision tower and an equal
///   number of language layers on the first stage, equal numbers on the others, full recomputation;
/// - unbalanced: the same with layers divided evenly by parameters;
/// - published, the paper baseline: the paper's packing, its partition by anchor and radius (the
///   best few simulated, as in the paper), its adaptive recomputation;
/// - planned: this library's packing, dispatch and joint planning;
/// - bound: the work that no plan avoids, divided evenly over all devices, and the time in which
///   devices wait for the first micro-batch to reach them and for the last one to go back.
/// The ablation between unbalanced and planned shows what each kind of balance adds.
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0 {

/// Evaluates an existing plan of a run (packs made for this capacity, their assignment, cuts and
/// modes) for the samples, costs and memory of the problem. `fits` reports whether it still fits
/// the memory; the plan is not changed. Under oversize_policy::skip the samples in no pack are left
/// out and listed; otherwise every sample must be in one. Throws invalid_input if the plan is not
/// one for these samples, layers and ranks. O(micro-batches · virtual stages).
[[nodiscard]] evaluated_run evaluate_run(const run_problem& problem,
                                         const grouping<std::uint32_t>& packs,
                                         const dispatch_plan& dispatch, const loads<2>& capacity,
                                         const pipeline_plan& plan,
                                         const run_options& options = {});

/// The planning problem that a strategy's plan solves: its schedule, times of the mean micro-batch,
/// bytes of a micro-batch that fills the capacity. Precondition: the strategy packs its samples.
/// O(layers · modes).
[[nodiscard]] pipeline_problem planning_problem(const run_problem& problem,
                                                const run_strategy& strategy);

/// Plans a run. Its status is infeasible, with the reason in `planned.why`, if no plan fits the
/// memory, no partition satisfies the constraints, there are fewer layers than stages, or no step
/// can have the global batch. When asked to stop, it tries no further
/// capacities, plans and orders once it has a plan. Throws invalid_input for arguments out of
/// range.
[[nodiscard]] run_result plan_run(const run_problem& problem, const run_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/plan_run.ipp>
#endif
