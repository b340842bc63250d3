// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal plan` about a whole run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <omnibal/core/search_status.hpp>

#include "files/json.hpp"
#include "reports/search_report.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// A file of measured layers.
struct profile_source {
  std::string name = {};
  std::string sha256 = {};
};

/// Model, cluster and memory of the run that is planned.
struct run_setting {
  std::string model = {};
  std::string device = {};
  std::int64_t data_parallel = 0;
  std::int64_t pipeline_parallel = 0;
  std::int64_t tensor_parallel = 0;
  std::string schedule = {};
  std::int64_t virtual_stages = 0;
  std::string recompute_for_w = {};  ///< Once or twice; empty where the backward is not split.
  std::string reduction = {};        ///< overlapped, or empty.
  std::string gather = {};           ///< overlapped, or empty.
  std::int64_t global_batch = 0;
  std::optional<profile_source> profile = {};
  std::int64_t memory = 0;   ///< Bytes per device.
  std::int64_t reserve = 0;  ///< Bytes of it that the plan may not use.
  double margin = 0;
};

/// The most a pack may hold.
struct pack_capacity {
  std::int64_t images = 0;
  std::int64_t tokens = 0;
};

/// Packs, where samples are packed.
struct pack_figures {
  pack_capacity capacity = {};
  std::uint64_t packs = 0;
  std::optional<std::uint64_t> bound = {};
};

/// The layers of a stage in each mode that recomputes: mode and number, in order of appearance.
using recomputed_modes = std::vector<std::pair<std::string, std::size_t>>;

/// What every device does after its last operation of a step, and what of that is overlapped.
struct step_end_figures {
  std::vector<double> seconds = {};
  std::vector<double> hidden_seconds = {};
};

/// Time, memory and balance of an epoch under one strategy.
struct epoch_figures {
  double step_seconds = 0;
  double epoch_seconds = 0;
  std::size_t steps = 0;
  std::size_t microbatches_per_rank = 0;
  double mean_samples_per_step = 0;
  std::size_t least_samples_per_step = 0;
  std::size_t most_samples_per_step = 0;
  std::optional<double> order_gain = {};
  double bubble_ratio = 0;
  double rank_wait_ratio = 0;  ///< Part of bubble_ratio.
  double pad_ratio = 0;
  std::array<double, 2> dist_ratio = {};  ///< Images and tokens.
  double cost_ratio = 1;
  std::vector<std::int64_t> peak_memory = {};  ///< Per device.
  bool fits = true;
  std::optional<step_end_figures> step_end = {};  ///< Where it is overlapped.
  bool keeps_constraints = true;                  ///< Of --together and --vision-stages.
  std::optional<pack_figures> packing = {};
  std::vector<std::size_t> cuts = {};
  std::vector<recomputed_modes> recomputed = {};  ///< Per stage.
};

/// The figures of a strategy, or why the epoch cannot be run with it.
using strategy_report = std::variant<epoch_figures, no_answer>;

/// The figures, where there are any.
[[nodiscard]] const epoch_figures* figures_of(const strategy_report& strategy);

struct ablation_figures {
  std::string name = {};
  double epoch_seconds = 0;
  bool fits = true;
  bool keeps_constraints = true;  ///< Of --together and --vision-stages.
};

/// A capacity that was tried.
struct capacity_trial {
  pack_capacity capacity = {};
  std::optional<double> seconds_per_sample = {};  ///< Where it fits the memory.
  double samples_per_step = 0;
  double packs_over_bound = 1;
  double capacity_ratio = 0;     ///< Capacity that packs take / loads of their samples.
  std::string passed_over = {};  ///< Why it was not chosen; empty for the one that was.
};

/// A shape of the cluster that was tried.
struct shape_trial {
  std::size_t data_parallel = 0;
  std::size_t pipeline_parallel = 0;
  std::int64_t tensor_parallel = 0;
  std::optional<double> seconds_per_sample = {};
  std::string passed_over = {};
};

/// A schedule that was tried.
struct schedule_trial {
  std::string schedule = {};
  std::size_t virtual_stages = 1;
  std::optional<double> seconds_per_sample = {};
  std::string passed_over = {};
};

/// The planned layers as arguments of Megatron-LM, with warnings of what these cannot express.
struct megatron_report {
  std::vector<std::string> arguments = {};
  std::vector<std::size_t> vision_layers = {};
  std::vector<std::string> warnings = {};
};

/// The plan beside the other strategies and the bound.
struct run_gain {
  strategy_report naive = {};
  strategy_report unbalanced = {};
  strategy_report published = {};
  std::optional<strategy_report> current = {};
  double bound_seconds = 0;
  double fill_and_drain_seconds = 0;  ///< The part of it that waits for first and last.
  /// Whether a strategy runs other numbers of samples per step than planned, by more than the
  /// tolerance. All process the same samples once, so ratios of epoch times are those per sample.
  bool compared_per_sample = false;
  std::vector<ablation_figures> ablation = {};
  std::vector<capacity_trial> capacities = {};
  std::vector<std::string> assumptions = {};
  megatron_report megatron = {};
};

/// A strategy that planned is compared with.
struct rival {
  std::string heading = {};  ///< Of its column.
  std::string name = {};     ///< In a sentence.
  const strategy_report* report = nullptr;
};

/// In the order of the columns.
[[nodiscard]] std::vector<rival> rivals(const run_gain& gain);

/// A run planned now: `omnibal plan --lengths`.
struct run_report {
  search_status status = search_status::feasible;
  search_limit limit = search_limit::none;  ///< Where the status is stopped.
  std::vector<table_input> inputs = {};
  run_setting setting = {};
  std::size_t samples = 0;
  std::vector<std::uint32_t> skipped = {};  ///< Samples in no strategy, as --oversize skip asks.
  strategy_report planned = {};
  std::optional<run_gain> gain = {};           ///< Where a plan was found.
  std::vector<shape_trial> shapes = {};        ///< Where a shape was searched for.
  std::vector<schedule_trial> schedules = {};  ///< Where a schedule was searched for, best first.
  double read_seconds = 0;
  double plan_seconds = 0;
};

/// A plan made before, at present costs: `omnibal plan --lengths --evaluate`.
struct evaluation_report {
  std::vector<table_input> inputs = {};
  run_setting setting = {};
  std::size_t samples = 0;
  double bound_seconds = 0;
  double promised_seconds = 0;              ///< Of the epoch, when the plan was made.
  std::vector<std::uint32_t> skipped = {};  ///< Samples that the plan leaves out.
  epoch_figures evaluated = {};
};

[[nodiscard]] json to_json(const run_setting& setting);
[[nodiscard]] json to_json(const epoch_figures& figures);
[[nodiscard]] json to_json(const megatron_report& megatron);
[[nodiscard]] json to_json(const run_report& report);
[[nodiscard]] json to_json(const evaluation_report& report);

}  // namespace omnibal::cli
