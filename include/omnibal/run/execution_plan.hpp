// SPDX-License-Identifier: Apache-2.0
/// @file
/// A planned run as what every rank executes: the items of each step in order (operations,
/// messages, reductions, the optimizer), the samples of each micro-batch, the layers and recompute
/// modes of each stage, and the bytes of every message. A runtime needs nothing else;
/// docs/execution.md says how to write one.
///
///     const omnibal::execution_plan plan = omnibal::make_execution_plan(problem, run.planned);
///     const omnibal::rank_step mine = omnibal::step_of(plan, step, rank);
///     for (std::size_t i = 0; i < mine.items.size(); ++i) run(mine.items[i], mine.bytes[i]);
///
/// Rank r is device r mod devices of replica r / devices. What the chain of layers does not carry
/// goes to all stages at the start of a step: token ids, labels, positions and the sizes of every
/// pack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/execution_program.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0 {

struct execution_layer {
  std::string name = {};
  std::string mode = {};  ///< Of recomputation.
  recompute_kind kind = recompute_kind::custom;

  friend bool operator==(const execution_layer&, const execution_layer&) = default;
};

/// A virtual stage: its place, and its costs as functions of a micro-batch's workload, times in
/// nanoseconds.
struct execution_stage {
  std::uint32_t device = 0;
  std::uint32_t first_layer = 0;
  std::uint32_t end_layer = 0;  ///< One past the last.
  bool trained = true;          ///< Whether it has parameters to reduce and to step.
  linear_cost forward_time = {};
  linear_cost backward_time = {};         ///< Recomputation and weight gradient included.
  linear_cost weight_gradient_time = {};  ///< The part of backward_time that is an own operation.
  linear_cost forward_latency = {};       ///< Of the transfer to the next stage.
  linear_cost backward_latency = {};      ///< Of the transfer from the next stage.
  linear_cost activation_bytes = {};      ///< Passed to the next stage.
  linear_cost gradient_bytes = {};        ///< Received from the next stage.
  std::int64_t reduce_bytes = 0;          ///< Gradients on one device.
  std::int64_t gather_bytes = 0;          ///< Parameters on one device.
  std::int64_t step_time = 0;             ///< Reduction, optimizer and gather.

  friend bool operator==(const execution_stage&, const execution_stage&) = default;
};

struct execution_plan {
  std::string schedule = {};
  std::uint32_t devices = 1;         ///< Per replica.
  std::uint32_t virtual_stages = 1;  ///< Per device.
  std::uint32_t replicas = 1;
  bool splits_backward = false;
  bool shards_optimizer = false;
  std::vector<execution_layer> layers = {};
  std::vector<execution_stage> stages = {};
  grouping<std::uint32_t> packs = {};       ///< The samples of each.
  std::vector<std::uint32_t> skipped = {};  ///< Samples in no pack, in ascending order.
  std::vector<workload> workloads = {};
  /// Tokens per pack that count in the loss; empty if unknown. Weighted by them, the sum over ranks
  /// of losses is that of the global batch.
  std::vector<std::int64_t> label_tokens = {};
  /// Group step · replicas + replica: its packs, in the order of its micro-batches; may be empty.
  grouping<std::uint32_t> assignment = {};
  std::vector<execution_lanes> lanes = {};
  std::vector<execution_program> programs = {};
  std::vector<std::uint32_t> program_of = {};  ///< One per group of the assignment.
  std::vector<std::int64_t> step_times = {};   ///< Predicted, per step.
  std::vector<std::int64_t> peak_memory = {};  ///< Predicted, per device: bytes, over all steps.
  double bubble_ratio = 0;                     ///< Predicted, over all steps.

  [[nodiscard]] std::size_t ranks() const noexcept { return std::size_t{devices} * replicas; }
  [[nodiscard]] std::size_t steps() const noexcept { return assignment.size() / replicas; }
  friend bool operator==(const execution_plan&, const execution_plan&) = default;
};

/// From which durations the orders of items are made. Both are free of deadlocks.
enum class order_source {
  exact,  ///< Of the micro-batches of each step and replica: fastest.
  mean,   ///< Of the mean micro-batch: one program per number of micro-batches.
};

struct execution_options {
  order_source order = order_source::exact;
  std::int64_t tensor_parallel = 1;  ///< Devices over which parameters are divided.
  bool shards_optimizer = false;     ///< Parameters are gathered after the optimizer's step.
  std::int64_t gradient_bytes = 4;   ///< Per parameter.
  std::int64_t weight_bytes = 2;     ///< Per parameter.
  /// Per sample of the run: tokens that count in the loss; empty if unknown.
  std::span<const std::int64_t> label_tokens = {};
};

/// The execution of a strategy of a planned run. Throws invalid_input if a layer at a cut has no
/// output_bytes, if labels are negative or not one per sample, or if options are out of range.
/// Precondition: the strategy is feasible and one of this problem. O(micro-batches · virtual stages
/// · log) with orders that are exact.
[[nodiscard]] execution_plan make_execution_plan(const run_problem& problem,
                                                 const run_strategy& strategy,
                                                 const execution_options& options = {});

/// The items of a device in a program, in order; peers are devices. Precondition: the plan is
/// valid, and has the program and the device. O(m·v).
[[nodiscard]] std::vector<execution_item> items_of(const execution_plan& plan, std::size_t program,
                                                   std::size_t device);

/// Adds a program with these items of every device, and the lanes that it needs unless the plan has
/// them. Returns its index. O(items + lanes of the plan).
std::uint32_t add_program(execution_plan& plan, std::uint32_t microbatches,
                          std::span<const std::vector<execution_item>> devices);

/// What one rank does in one step.
struct rank_step {
  std::vector<execution_item> items = {};  ///< In order; peers are ranks.
  /// Per item: of a message, a reduction and a gather; otherwise 0. Neither end issues a message of
  /// 0 bytes.
  std::vector<std::int64_t> bytes = {};
  std::vector<std::uint32_t> packs = {};  ///< Of micro-batches 0, 1, …; those beyond are empty.
};

/// Precondition: the plan is valid, step < steps(), rank < ranks(). O(m·v).
[[nodiscard]] rank_step step_of(const execution_plan& plan, std::size_t step, std::size_t rank);

/// The predicted duration of each item of a step, in nanoseconds: of messages the transfer alone.
/// The step_time of a stage counts for its reduction or, if it has none, for its step.
[[nodiscard]] std::vector<std::int64_t> predicted_durations(const execution_plan& plan,
                                                            std::size_t step, std::size_t rank);

/// Throws invalid_input naming what is wrong unless stages hold all layers once, every sample is in
/// one pack or skipped, every pack in one micro-batch, every program has each operation of its
/// stages, each message and each item of the end exactly once, and no rank can wait for ever. For
/// plans from outside. O(items of all programs · log).
void validate(const execution_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/execution_plan.ipp>
#endif
