// SPDX-License-Identifier: Apache-2.0
// Problems, plans and results of planning: their defaults, what a schedule or a model of times of a
// program's own has to offer, and which costs are computed while compiling.
#include <compare>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <omnibal/baselines.hpp>
#include <omnibal/cost.hpp>
#include <omnibal/interop.hpp>
#include <omnibal/partition.hpp>
#include <omnibal/pipeline.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner.hpp>
#include <omnibal/recompute.hpp>
#include <omnibal/run.hpp>

#include "statements.hpp"

namespace omnibal::statements {

// ---- problems and plans ------------------------------------------------------------------------

static_assert(plain_and_regular<schedule_shape> && schedule_shape{}.total_stages() == 1);
static_assert(schedule_shape{}.kind == schedules::one_forward_one_backward{});
static_assert(pipeline_schedule<schedules::zero_bubble_v> && !pipeline_schedule<schedule_shape>);
static_assert(schedule_shape{.stages = 4, .virtual_stages = 2}.total_stages() == 8);
static_assert(schedule_shape{.kind = schedules::zero_bubble_h1{}}.splits_backward());
static_assert(any_schedule(schedules::one_forward_one_backward{}).name() == "1f1b");
static_assert(std::three_way_comparable<pipeline_operation> && bytes_alone<pipeline_operation, 12>);

static_assert(plain_and_regular<recompute_mode> && plain_and_regular<pipeline_layer>);
static_assert(layer_kind_named("vision12") == layer_kind::vision);
static_assert(layer_kind_named("language") == layer_kind::language);
static_assert(layer_kind_named("head") == layer_kind::head);
static_assert(layer_kind_named("head2") == layer_kind::custom);
static_assert(layer_kind_named("visions") == layer_kind::custom);
static_assert(layer_kind_named("7") == layer_kind::custom);
static_assert(layer_kind_named("") == layer_kind::custom);
static_assert(to_string(layer_kind::projector) == "projector");
static_assert(plain_and_regular<layer_pair> && plain_and_regular<pipeline_plan>);
static_assert(plain_with_defaults<pipeline_problem>);
static_assert(plain_with_defaults<infeasibility>);
static_assert(infeasibility{}.reason == infeasibility::cause::none);

// ---- what a user's own type must offer to be simulated -----------------------------------------

struct integer_times {
  [[nodiscard]] std::int64_t duration(const pipeline_operation&) const;
  [[nodiscard]] std::int64_t latency(const pipeline_operation&) const;
};
struct floating_times {
  [[nodiscard]] double duration(const pipeline_operation&) const;
  [[nodiscard]] double latency(const pipeline_operation&) const;
};
struct times_without_latency {
  [[nodiscard]] std::int64_t duration(const pipeline_operation&) const;
};
struct times_that_change {
  std::int64_t duration(const pipeline_operation&);
  std::int64_t latency(const pipeline_operation&);
};
static_assert(operation_times<integer_times> && operation_times<stage_times<>>);
static_assert(!operation_times<floating_times>);  // simulated times are exact
static_assert(!operation_times<times_without_latency> && !operation_times<times_that_change>);
static_assert(std::is_same_v<time_of<integer_times>, std::int64_t>);
static_assert(plain_with_defaults<simulation<>> && plain_with_defaults<stage_times<>>);

static_assert(activation_model<activation_bytes (*)(const pipeline_operation&)>);
static_assert(!activation_model<std::int64_t (*)(const pipeline_operation&)>);
static_assert(!activation_model<activation_bytes>);
static_assert(plain_with_defaults<device_peak> && bytes_alone<device_peak, 16>);

// ---- results: plain values with a status, an objective and a bound -----------------------------

template <typename Result>
concept search_result = plain_with_defaults<Result> && requires(const Result& result) {
  { result.status } -> std::same_as<const search_status&>;
  { result.objective == result.bound } -> std::same_as<bool>;
};
static_assert(search_result<joint_result> && search_result<recompute_result>);
static_assert(search_result<chain_partition<std::int64_t>> &&
              search_result<microbatch_order_result>);
static_assert(plain_with_defaults<fit_advice> && plain_with_defaults<scenario>);
static_assert(plain_with_defaults<run_result>);

static_assert(plain_with_defaults<joint_options> && plain_with_defaults<recompute_options>);
static_assert(objective_named("makespan") == objectives::makespan{} && !objective_named("speed"));
static_assert(std::is_same_v<decltype(plan_jointly({}, objectives::makespan{})), joint_result>);
static_assert(std::is_same_v<decltype(plan_run({})), run_result>);
static_assert(
    std::is_same_v<decltype(partition_chain(std::vector<short>(), 2)), chain_partition<short>>);

// ---- costs: integers while compiling -----------------------------------------------------------

static_assert(plain_and_regular<workload> && bytes_alone<workload, 24>);
static_assert(sample_workload(3, 1000) == workload{3, 1000, 1'000'000});
static_assert(plain_and_regular<linear_cost> && bytes_alone<linear_cost, 32>);
static_assert(linear_cost{.per_tile = 5 * (std::int64_t{1} << fixed_point_bits)}.of(
                  sample_workload(3, 0)) == 15);
static_assert(linear_cost{.per_token = 1}.of(sample_workload(0, 1)) == 1);  // rounded up
static_assert(plain_and_regular<layer_cost> && plain_and_regular<mode_cost>);
static_assert(plain_and_regular<device_shape> && plain_with_defaults<training_setup>);

}  // namespace omnibal::statements
