// SPDX-License-Identifier: Apache-2.0
/// @file
/// The problem of planning a training run (run/plan_run.hpp): samples, layer costs and a cluster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/microbatch_packer.hpp>
#include <omnibal/run/microbatches.hpp>

namespace omnibal::inline v0 {

/// Packs, which rank runs which, and the capacity that they were made for.
struct assigned_packs {
  grouping<std::uint32_t> packs = {};
  dispatch_plan dispatch = {};
  loads<2> capacity = {};
};

/// A division of the devices that is not the run's.
struct other_cluster {
  std::size_t stages = 1;
  std::size_t data_parallel = 1;
  std::vector<layer_cost> chain = {};  ///< The layers of the run at their costs there.
};

/// How a run is laid out today.
struct current_layout {
  any_schedule schedule = {};
  std::size_t virtual_stages = 1;
  pipeline_plan plan = {};
  std::optional<assigned_packs> data = {};  ///< Random padded micro-batches if absent.
  /// Where its cluster is not the run's; it is then compared with, and no plan of the run.
  std::optional<other_cluster> cluster = {};
};

/// The run to plan. Spans must stay valid during the call.
struct run_problem {
  std::span<const vision_language_sample> samples = {};
  std::span<const layer_cost> chain = {};  ///< From cost_layers() or calibrated_chain().
  any_schedule schedule = {};
  std::size_t stages = 1;          ///< Pipeline-parallel devices per rank.
  std::size_t virtual_stages = 1;  ///< Per device; more than 1 only if interleaved.
  std::size_t data_parallel = 1;   ///< Ranks.
  /// Samples per optimizer step, on average over all steps but the last, which takes what is left;
  /// of the only step if there is one.
  std::int64_t global_batch = 1;
  double batch_tolerance = 0.1;  ///< The share by which that average may differ from it, 0 … 1.
  memory_setup memory = {};
  weight_gradient_recompute recompute_for_w = weight_gradient_recompute::once;
  step_overlap overlap = {};
  std::optional<loads<2>> capacity = {};  ///< Tiles and tokens per pack; searched for if absent.
  /// What happens to samples beyond the capacity. own_pack: each is a micro-batch of its own, and
  /// where no capacity is given, capacities that do not hold the longest samples are tried too;
  /// reject: invalid_input is thrown; skip: they are left out and listed in run_result::skipped.
  /// Where no capacity is given, skip leaves out only the samples for which no plan with the others
  /// has memory, those that need most of it first; none is left out to save time.
  oversize_policy oversize = oversize_policy::own_pack;
  std::optional<microbatch_packer> packer = {};  ///< Of the planned strategy; packers::balanced.
  std::uint64_t seed = 1024;
  /// Constraints on the stages of the planned strategy, as in pipeline_problem; the paper baseline
  /// satisfies them too, `naive` and `unbalanced` may not.
  std::vector<layer_pair> together = {};
  std::vector<layer_pair> apart = {};
  std::vector<fixed_cut> fixed_cuts = {};
  std::optional<current_layout> current = {};  ///< To be compared with.
};

/// Options of plan_run() and of the searches that plan runs.
struct run_options {
  /// Operations of each search for a plan, as in joint_options. A run needs several for each
  /// capacity that is planned in full.
  std::uint64_t operation_limit = 30'000'000;
  /// A stop request ends the search for capacities, plans and orders once there is a plan.
  search_control control = {};
};

/// Makes the layers of the kinds vision and projector fill exactly the first `stages` virtual
/// stages, with no other layers on them. Throws invalid_input unless such layers are the first of
/// the chain, and others follow.
void reserve_vision_stages(run_problem& problem, std::size_t stages);

/// Throws invalid_input for arguments out of range. O(1).
void validate(const run_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/problem.ipp>
#endif
