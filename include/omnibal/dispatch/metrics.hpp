// SPDX-License-Identifier: Apache-2.0
/// @file
/// Load balance of a dispatch plan: the ratio of the slowest rank to the mean, a lower bound on it,
/// and how random the steps are. Sums are exact; each figure is rounded at the end.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/packing/metrics.hpp>

namespace omnibal::inline v0 {

/// Per resource: the mean over steps of 1 − mean / max over ranks. A step without load
/// counts as 0; without steps the ratio is 0. `packs` contains the loads of each pack (pack_loads).
/// Throws invalid_input when the plan refers to a pack beyond the last. O(packs).
template <std::size_t Resources, std::integral Integer>
[[nodiscard]] std::array<double, Resources> dist_ratio(
    const dispatch_plan& plan, std::span<const std::array<Integer, Resources>> packs);

/// Σ over steps of the slowest rank's cost / Σ over steps of the mean cost of a rank: the factor by
/// which waiting for the slowest rank lengthens the run. 1 when all costs are 0. Throws
/// invalid_input when the plan refers to a pack beyond the last. O(packs).
template <std::integral Cost>
[[nodiscard]] double cost_ratio(const dispatch_plan& plan, std::span<const Cost> costs);

/// The same over full steps only: those with as many packs as the largest step. O(packs).
template <std::integral Cost>
[[nodiscard]] double full_steps_cost_ratio(const dispatch_plan& plan, std::span<const Cost> costs);

/// A proven lower bound on cost_ratio for any assignment of the packs of these steps to ranks in
/// which numbers of packs differ by at most one. For a step of n packs on R ranks, the slowest rank
/// costs at least
///
/// - the mean, rounded up;
/// - the most expensive pack plus the ⌊n/R⌋ − 1 least expensive ones;
/// - for every j < ⌈n/R⌉, the j + 1 least expensive of the j · R + 1 most expensive packs, since
/// some
///   rank has j + 1 of them.
///
/// When it equals cost_ratio, the assignment is optimal. O(packs · log(packs in a step)).
template <std::integral Cost>
[[nodiscard]] double cost_ratio_bound(const dispatch_plan& plan, std::span<const Cost> costs);

/// How far the full steps are from random draws: the variance between steps of the mean cost of
/// their packs, divided by its expectation when the same packs are drawn into the same steps at
/// random without replacement,
///
///     Σ (mean of step − mean of all)² / steps  :  variance of packs / n · (N − n) / (N − 1)
///
/// with n packs in a step and N in total. Random draws give 1 ± about √(2 / steps). Windows make
/// steps of packs with similar costs and increase it, up to n when all packs of a step cost the
/// same. 1 when there are fewer than two full steps or all packs cost the same. Differences from
/// the means are exact, each square is rounded. O(packs).
template <std::integral Cost>
[[nodiscard]] double draw_deviation(const dispatch_plan& plan, std::span<const Cost> costs);

/// The variation of costs (pack_cost_variation) over the packs that a plan assigns to ranks,
/// repeats that only fill up a step and dropped packs left out: 0 when all are equal. Throws
/// invalid_input when the plan refers to a pack beyond the last. O(packs).
template <std::integral Cost>
[[nodiscard]] double assigned_cost_variation(const dispatch_plan& plan,
                                             std::span<const Cost> costs);

/// All metrics of a plan, each by the function of its name.
template <std::size_t Resources>
struct dispatch_metrics {
  std::uint64_t steps = 0;
  std::array<double, Resources> dist_ratio = {};
  double cost_ratio = 1;
  double cost_ratio_bound = 1;
  double full_steps_cost_ratio = 1;
  double draw_deviation = 1;
  double assigned_cost_variation = 0;
};

/// Measures a plan that assigns packs of these loads (pack_loads) and costs. Throws invalid_input
/// unless there is one cost per pack, and when the plan refers to a pack beyond the last. O(packs ·
/// log(packs in a step)).
template <std::size_t Resources, std::integral Integer, std::integral Cost>
[[nodiscard]] dispatch_metrics<Resources> measure_dispatch(
    const dispatch_plan& plan, std::span<const std::array<Integer, Resources>> packs,
    std::span<const Cost> costs);

namespace detail {

/// The sum over ranks and the maximum over ranks of one step.
struct step_load {
  wide_integer sum = 0;
  wide_integer largest = 0;
};

/// The sums of load(pack) on the ranks of a step.
template <typename Load>
[[nodiscard]] step_load measure_step(const dispatch_plan& plan, std::uint64_t step,
                                     std::size_t packs, const Load& load) {
  step_load measured;
  for (std::uint32_t rank = 0; rank < plan.ranks; ++rank) {
    wide_integer sum = 0;
    for (const std::uint32_t pack : plan.packs(step, rank)) {
      if (pack >= packs) throw invalid_input("plan", pack, "names a pack beyond the last");
      sum += load(pack);
    }
    measured.sum += sum;
    measured.largest = std::max(measured.largest, sum);
  }
  return measured;
}

/// The number of packs in a full step: the most that any step has.
[[nodiscard]] inline std::size_t packs_in_full_step(const dispatch_plan& plan) {
  std::size_t most = 0;
  for (std::uint64_t step = 0; step < plan.steps(); ++step)
    most = std::max(most, plan.packs(step).size());
  return most;
}

/// Σ over steps of (cost of the slowest rank · ranks) / Σ over steps of the cost of all ranks.
class waiting_ratio {
 public:
  void add_step(wide_integer largest, wide_integer sum, std::uint32_t ranks) noexcept {
    largest_ += largest * ranks;
    sum_ += sum;
  }
  [[nodiscard]] double value() const noexcept {
    return sum_ == 0 ? 1.0 : static_cast<double>(largest_) / static_cast<double>(sum_);
  }

 private:
  wide_integer largest_ = 0;
  wide_integer sum_ = 0;
};

/// cost_ratio over steps of at least `least_packs` packs.
template <std::integral Cost>
[[nodiscard]] double cost_ratio_of_steps(const dispatch_plan& plan, std::span<const Cost> costs,
                                         std::size_t least_packs) {
  waiting_ratio ratio;
  for (std::uint64_t step = 0; step < plan.steps(); ++step) {
    if (plan.packs(step).size() < least_packs) continue;
    const auto cost = [&](std::uint32_t pack) { return costs[pack]; };
    const auto measured = measure_step(plan, step, costs.size(), cost);
    ratio.add_step(measured.largest, measured.sum, plan.ranks);
  }
  return ratio.value();
}

/// A lower bound on the cost of the slowest rank of a step; costs in descending order.
[[nodiscard]] inline wide_integer least_slowest_rank(std::span<const wide_integer> costs,
                                                     std::uint32_t ranks) {
  if (costs.empty()) return 0;
  const auto sum_of = [](std::span<const wide_integer> some) {
    return std::accumulate(some.begin(), some.end(), wide_integer{0});
  };
  wide_integer least = (sum_of(costs) + ranks - 1) / ranks;
  const std::size_t share = std::max<std::size_t>(costs.size() / ranks, 1);
  least = std::max(least, costs[0] + sum_of(costs.last(share - 1)));
  for (std::size_t j = 1; j * ranks < costs.size(); ++j)
    least = std::max(least, sum_of(costs.subspan(j * ranks - j, j + 1)));
  return least;
}

}  // namespace detail

template <std::size_t Resources, std::integral Integer>
std::array<double, Resources> dist_ratio(const dispatch_plan& plan,
                                         std::span<const std::array<Integer, Resources>> packs) {
  std::array<double, Resources> ratios{};
  for (std::size_t r = 0; r < Resources; ++r) {
    for (std::uint64_t step = 0; step < plan.steps(); ++step) {
      const auto load = [&](std::uint32_t pack) { return packs[pack][r]; };
      const auto [sum, largest] = detail::measure_step(plan, step, packs.size(), load);
      if (largest == 0) continue;
      const wide_integer all_at_largest = largest * plan.ranks;
      ratios[r] += static_cast<double>(all_at_largest - sum) / static_cast<double>(all_at_largest);
    }
    if (plan.steps() > 0) ratios[r] /= static_cast<double>(plan.steps());
  }
  return ratios;
}

template <std::integral Cost>
double cost_ratio(const dispatch_plan& plan, std::span<const Cost> costs) {
  return detail::cost_ratio_of_steps(plan, costs, 0);
}

template <std::integral Cost>
double full_steps_cost_ratio(const dispatch_plan& plan, std::span<const Cost> costs) {
  return detail::cost_ratio_of_steps(plan, costs, detail::packs_in_full_step(plan));
}

template <std::integral Cost>
double cost_ratio_bound(const dispatch_plan& plan, std::span<const Cost> costs) {
  detail::waiting_ratio ratio;
  std::vector<wide_integer> step_costs;
  for (std::uint64_t step = 0; step < plan.steps(); ++step) {
    const auto cost = [&](std::uint32_t pack) { return costs[pack]; };
    const wide_integer sum = detail::measure_step(plan, step, costs.size(), cost).sum;
    step_costs.clear();
    for (const std::uint32_t pack : plan.packs(step)) step_costs.push_back(costs[pack]);
    std::ranges::sort(step_costs, std::ranges::greater{});
    ratio.add_step(detail::least_slowest_rank(step_costs, plan.ranks), sum, plan.ranks);
  }
  return ratio.value();
}

template <std::integral Cost>
double draw_deviation(const dispatch_plan& plan, std::span<const Cost> costs) {
  const std::size_t each = detail::packs_in_full_step(plan);
  const auto cost = [&](std::uint32_t pack) { return costs[pack]; };
  std::vector<std::uint64_t> full;
  std::vector<wide_integer> sums;
  for (std::uint64_t step = 0; step < plan.steps(); ++step) {
    if (plan.packs(step).size() != each) continue;
    full.push_back(step);
    sums.push_back(detail::measure_step(plan, step, costs.size(), cost).sum);
  }
  const wide_integer steps = static_cast<wide_integer>(full.size());
  const wide_integer packs = steps * static_cast<wide_integer>(each);
  const wide_integer total = std::accumulate(sums.begin(), sums.end(), wide_integer{0});
  // Differences from the mean are exact, in units of 1 / packs; squares are added up as doubles.
  double between = 0;
  double within = 0;
  for (std::size_t k = 0; k < full.size(); ++k) {
    const auto of_step = static_cast<double>(steps * sums[k] - total);
    between += of_step * of_step;
    for (const std::uint32_t pack : plan.packs(full[k])) {
      const auto of_pack = static_cast<double>(packs * wide_integer{costs[pack]} - total);
      within += of_pack * of_pack;
    }
  }
  if (full.size() < 2 || within == 0) return 1.0;
  const auto n = static_cast<double>(each);
  const auto all = static_cast<double>(packs);
  const double expected = within / all / n * (all - n) / (all - 1);
  return between / static_cast<double>(steps) / expected;
}

template <std::integral Cost>
double assigned_cost_variation(const dispatch_plan& plan, std::span<const Cost> costs) {
  std::vector<Cost> assigned;
  const auto packs = plan.groups.indices();
  assigned.reserve(packs.size());
  for (std::size_t k = 0; k < packs.size(); ++k) {
    if (packs[k] >= costs.size())
      throw invalid_input("plan", packs[k], "names a pack beyond the last");
    if (plan.mask.empty() || plan.mask[k] != 0) assigned.push_back(costs[packs[k]]);
  }
  return pack_cost_variation(std::span<const Cost>(assigned));
}

template <std::size_t Resources, std::integral Integer, std::integral Cost>
dispatch_metrics<Resources> measure_dispatch(const dispatch_plan& plan,
                                             std::span<const std::array<Integer, Resources>> packs,
                                             std::span<const Cost> costs) {
  if (costs.size() != packs.size())
    throw invalid_input("costs", costs.size(),
                        "must have one entry per pack, " + std::to_string(packs.size()));
  return {.steps = plan.steps(),
          .dist_ratio = dist_ratio(plan, packs),
          .cost_ratio = cost_ratio(plan, costs),
          .cost_ratio_bound = cost_ratio_bound(plan, costs),
          .full_steps_cost_ratio = full_steps_cost_ratio(plan, costs),
          .draw_deviation = draw_deviation(plan, costs),
          .assigned_cost_variation = assigned_cost_variation(plan, costs)};
}

}  // namespace omnibal::inline v0
