// SPDX-License-Identifier: Apache-2.0
// Options, plans and results of packing, dispatch and rebalancing: their defaults, which samples,
// costs and plans are accepted, and which values are equal to their bytes.
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <omnibal/dataset.hpp>
#include <omnibal/dispatch.hpp>
#include <omnibal/packing.hpp>
#include <omnibal/rebalance.hpp>

#include "statements.hpp"

namespace omnibal::statements {

// ---- dataset -----------------------------------------------------------------------------------

static_assert(sample_key<int> && sample_key<std::uint64_t> && sample_key<char>);
static_assert(sample_key<std::string> && sample_key<std::string_view> && sample_key<const char*>);
static_assert(!sample_key<bool> && !sample_key<double> && !sample_key<std::vector<int>>);
static_assert(plain_and_regular<mixture_rate> && bytes_alone<mixture_rate, 16>);
static_assert(mixture_rate{} == mixture_rate{.numerator = 1, .denominator = 1});
static_assert(plain_with_defaults<mixture_options> && mixture_options{}.epoch == 0);
static_assert(plain_and_regular<table_row> && bytes_alone<table_row, 16>);

// ---- packing: options are aggregates; only the capacity has no default -------------------------

template <typename Options>
concept options_from_capacity = plain<Options> && requires {
  Options{.capacity = {9, 4096}};
};

static_assert(options_from_capacity<packing_options<2>> && options_from_capacity<bound_options<2>>);
static_assert(options_from_capacity<swap_improvement_options<2>>);
static_assert(oversize_policy{} == oversize_policy::reject);
static_assert(packers::streaming{}.buffer == 1000);
static_assert(swap_improvement_options<2>{.capacity = {9, 4096}}.rounds == 16);

static_assert(plain_with_defaults<packing_result>);
static_assert(plain_with_defaults<packing_bound<2>> && plain_with_defaults<packing_metrics<3>>);
static_assert(std::is_same_v<decltype(packing_result::packs), grouping<std::uint32_t>>);
static_assert(std::is_same_v<decltype(packing_result::objective), decltype(packing_result::bound)>);
static_assert(
    std::is_same_v<decltype(pack_balanced(std::vector<loads<2>>(), {.capacity = {9, 4096}})),
                   packing_result>);
static_assert(max_samples == 0xFFFF'FFFF);

// Any number of resources in any integer type; a capacity for three does not fit two.
template <typename Samples, typename Capacity>
concept packs = requires(const Samples& samples, const Capacity& capacity) {
  pack_balanced(samples, {.capacity = capacity});
};
static_assert(packs<std::vector<std::array<int, 4>>, loads<4>>);
static_assert(packs<std::vector<std::array<std::uint16_t, 1>>, loads<1>>);
static_assert(!packs<std::vector<loads<2>>, loads<3>>);
static_assert(!packs<std::vector<double>, loads<1>>);

static_assert(std::copyable<streaming_packer<2>>);  // a checkpoint in memory is a copy
static_assert(!std::is_convertible_v<packing_options<2>, streaming_packer<2>>);
static_assert(plain_and_regular<streaming_state<2>> && plain_and_regular<streamed_sample<2>>);
static_assert(std::is_constructible_v<streaming_packer<2>, packing_options<2>, packers::streaming,
                                      streaming_state<2>>);

// ---- dispatch ----------------------------------------------------------------------------------

static_assert(plain_with_defaults<dispatch_options> && dispatch_options{}.window == 1);
static_assert(dispatch_options{}.ranks == 1 && dispatch_options{}.microbatches == 1);
static_assert(!dispatch_options{}.largest_first && dispatch_options{}.strata.empty());
static_assert(dispatch_options{}.last_step == last_step_policy::spread);
static_assert(plain_and_regular<dispatch_plan> && plain_and_regular<epoch_plan>);
static_assert(plain_and_regular<epoch_state> && bytes_alone<epoch_state, 40>);
static_assert(plain_with_defaults<epoch_options> && epoch_options{}.epochs == 1);

struct plan_of_epoch {
  epoch_plan operator()(std::uint64_t epoch) const;
};
static_assert(plan_source<plan_of_epoch> && plan_source<epoch_plan (*)(std::uint64_t)>);
static_assert(plan_source<std::function<epoch_plan(std::uint64_t)>>);
// A plan without its packs could meet those of another epoch.
static_assert(!plan_source<dispatch_plan (*)(std::uint64_t)>);
static_assert(!plan_source<dispatch_plan> && !plan_source<packing_result (*)(std::uint64_t)>);
static_assert(!std::is_convertible_v<plan_of_epoch, epoch_iterator<plan_of_epoch>>);
static_assert(
    std::is_same_v<decltype(epoch_iterator(plan_of_epoch())), epoch_iterator<plan_of_epoch>>);

template <typename Cost>
concept dispatches = requires(const Cost& cost) {
  dispatch_packs(10, cost, {.ranks = 2});
};
static_assert(dispatches<int (*)(std::uint32_t)> && dispatches<std::uint64_t (*)(std::uint64_t)>);
static_assert(!dispatches<double (*)(std::uint32_t)>);  // doubles are rounded by the caller
static_assert(!dispatches<int (*)(std::string)>);

// ---- rebalance ---------------------------------------------------------------------------------

static_assert(plain_with_defaults<rebalance_problem> && plain_with_defaults<rebalance_options>);
static_assert(plain_with_defaults<rebalance_result> && plain_and_regular<rebalance_point>);
static_assert(plain_and_regular<sample_move> && bytes_alone<sample_move, 12>);
static_assert(std::is_same_v<decltype(rebalance({})), rebalance_result>);
static_assert(noexcept(rebalance_result().plan()));

}  // namespace omnibal::statements
