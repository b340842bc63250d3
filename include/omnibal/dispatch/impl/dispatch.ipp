// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/dispatch/detail/step_balancer.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE void validate(const dispatch_options& options, std::size_t packs) {
  if (packs > std::numeric_limits<std::uint32_t>::max())
    throw invalid_input("number of packs", packs, "must be at most 2^32 - 1");
  if (options.ranks == 0) throw invalid_input("ranks", 0, "must be at least 1");
  if (options.microbatches == 0) throw invalid_input("microbatches", 0, "must be at least 1");
  if (options.window == 0)
    throw invalid_input("window", 0, "must be at least 1, which is a random draw");
  if (!options.strata.empty() && options.strata.size() != packs)
    throw invalid_input("number of strata", options.strata.size(),
                        "must be 0 or the number of packs, " + std::to_string(packs));
}

/// The assignment of packs to steps by seed, epoch, costs, strata and the number of packs per step.
class step_assignment {
 public:
  step_assignment(std::span<const std::uint64_t> costs, const dispatch_options& options)
      : costs_(costs),
        per_step_(std::uint64_t{options.ranks} * options.microbatches),
        random_(stream_for(options.seed, random_purpose::dispatch_epoch, options.epoch)),
        order_(costs.size()) {
    std::iota(order_.begin(), order_.end(), 0U);
    shuffle_randomly(order_, random_);
    const std::vector<std::uint32_t> repeated = packs_to_repeat(options.last_step);
    if (options.largest_first) move_most_expensive_to_first_step();
    if (!options.strata.empty()) assign_strata(options);
    if (options.last_step == last_step_policy::drop) drop_rest();
    if (options.window > 1) assign_windows(options);
    order_.insert(order_.end(), repeated.begin(), repeated.end());
  }

  /// The packs of all steps, one step after the other; repeated ones at the end.
  [[nodiscard]] std::span<const std::uint32_t> order() const noexcept { return order_; }
  /// The packs in no step, ascending.
  [[nodiscard]] const std::vector<std::uint32_t>& dropped() const noexcept { return dropped_; }

 private:
  // The first packs of the random order.
  [[nodiscard]] std::vector<std::uint32_t> packs_to_repeat(last_step_policy policy) const {
    const std::uint64_t rest = order_.size() % per_step_;
    if (policy != last_step_policy::pad || rest == 0) return {};
    if (per_step_ > std::numeric_limits<std::uint32_t>::max())
      throw invalid_input("ranks * microbatches", per_step_,
                          "must be at most 2^32 - 1 for the last step to be filled up");
    std::vector<std::uint32_t> repeated(per_step_ - rest);
    for (std::size_t k = 0; k < repeated.size(); ++k) repeated[k] = order_[k % order_.size()];
    return repeated;
  }

  // Of equally expensive packs those that were drawn first; all others keep their order.
  void move_most_expensive_to_first_step() {
    const auto first = static_cast<std::size_t>(std::min<std::uint64_t>(per_step_, order_.size()));
    std::vector<std::uint32_t> places(order_.size());
    std::iota(places.begin(), places.end(), 0U);
    const auto split = places.begin() + static_cast<std::ptrdiff_t>(first);
    std::nth_element(places.begin(), split, places.end(), [&](std::uint32_t a, std::uint32_t b) {
      const auto [left, right] = std::pair(costs_[order_[a]], costs_[order_[b]]);
      return left != right ? left > right : a < b;
    });
    std::sort(places.begin(), split);
    std::sort(split, places.end());
    for (std::uint32_t& place : places) place = order_[place];
    order_ = std::move(places);
  }

  void drop_rest() {
    const std::size_t full = order_.size() - order_.size() % per_step_;
    dropped_.assign(order_.begin() + static_cast<std::ptrdiff_t>(full), order_.end());
    std::sort(dropped_.begin(), dropped_.end());
    order_.resize(full);
  }

  // Stratified sampling: packs sorted by stratum are cut into runs of one pack per full step, and
  // the packs of a run are assigned to the steps at random. Packs in no full step stay a random
  // draw.
  void assign_strata(const dispatch_options& options) {
    const std::uint64_t first = options.largest_first ? per_step_ : 0;
    const std::uint64_t full = order_.size() - order_.size() % per_step_;
    if (full <= first) return;
    const std::uint64_t steps = (full - first) / per_step_;
    const auto packs = std::span(order_).subspan(first, full - first);
    std::stable_sort(packs.begin(), packs.end(), [&](std::uint32_t a, std::uint32_t b) {
      return options.strata[a] < options.strata[b];
    });
    const std::vector<std::uint32_t> sorted(packs.begin(), packs.end());
    std::vector<std::uint32_t> turns(steps);
    std::iota(turns.begin(), turns.end(), 0U);
    for (std::uint64_t row = 0; row < per_step_; ++row) {
      shuffle_randomly(turns, random_);
      for (std::uint64_t k = 0; k < steps; ++k)
        packs[turns[k] * per_step_ + row] = sorted[row * steps + k];
    }
    for (std::uint64_t k = 0; k < steps; ++k)
      shuffle_randomly(packs.subspan(k * per_step_, per_step_), random_);
  }

  // Windows consist of full steps only; packs in no full step stay a random draw.
  void assign_windows(const dispatch_options& options) {
    const std::uint64_t steps = order_.size() / per_step_;
    for (std::uint64_t first = options.largest_first ? 1 : 0; first < steps;
         first += options.window)
      assign_window(first, std::min<std::uint64_t>(options.window, steps - first));
  }

  // Sorts the packs of a window, so that the packs of a step have similar costs, then shuffles the
  // steps and the packs of each step.
  void assign_window(std::uint64_t first, std::uint64_t steps) {
    const auto packs = std::span(order_).subspan(first * per_step_, steps * per_step_);
    std::stable_sort(packs.begin(), packs.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return costs_[a] > costs_[b]; });
    const std::vector<std::uint32_t> sorted(packs.begin(), packs.end());
    std::vector<std::uint32_t> turns(steps);
    std::iota(turns.begin(), turns.end(), 0U);
    shuffle_randomly(turns, random_);
    for (std::size_t k = 0; k < steps; ++k) {
      const auto step = packs.subspan(k * per_step_, per_step_);
      std::copy_n(sorted.data() + turns[k] * per_step_, per_step_, step.begin());
      shuffle_randomly(step, random_);
    }
  }

  std::span<const std::uint64_t> costs_;
  std::uint64_t per_step_;
  random_stream random_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> dropped_;
};

OMNIBAL_INLINE dispatch_plan dispatch_by_costs(std::span<const std::uint64_t> costs,
                                               const dispatch_options& options) {
  const step_assignment steps(costs, options);
  const std::span<const std::uint32_t> order = steps.order();
  dispatch_plan plan{.ranks = options.ranks, .dropped = steps.dropped()};
  const bool padded = order.size() > costs.size();
  const std::uint64_t per_step = std::uint64_t{options.ranks} * options.microbatches;
  step_balancer balancer(costs, options.ranks);
  // A separate stream, so that steps are the same for any number of ranks.
  random_stream random = stream_for(options.seed, random_purpose::dispatch_ranks, options.epoch);
  std::vector<std::uint32_t> turns(options.ranks);
  std::iota(turns.begin(), turns.end(), 0U);
  for (std::uint64_t first = 0; first < order.size(); first += per_step) {
    const auto step = order.subspan(first, std::min<std::uint64_t>(per_step, order.size() - first));
    balancer.assign(step);
    // The balancer prefers its first ranks.
    shuffle_randomly(turns, random);
    for (const std::uint32_t turn : turns) {
      for (const auto& pack : balancer.assigned(turn)) {
        plan.groups.push_back(step[pack.place]);
        if (padded) plan.mask.push_back(first + pack.place < costs.size() ? 1 : 0);
      }
      plan.groups.close_group();
    }
  }
  return plan;
}

}  // namespace omnibal::inline v0::detail
