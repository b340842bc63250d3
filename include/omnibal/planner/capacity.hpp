// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for pack capacities: how many tiles and tokens a micro-batch may hold for the epoch
/// to be shortest. Larger packs waste less at their ends but hold more memory, which costs
/// recomputation, and leave fewer micro-batches to fill the pipeline with; and some capacities
/// are bad for no reason but arithmetic (two samples of 5 tiles never share 9).
///
/// Every candidate is planned and simulated, on a random part of the samples where there are many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/progress.hpp>
#include <omnibal/core/random.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace omnibal::inline v0 {

/// What planning with a capacity came to.
struct capacity_outcome {
  bool fits = false;
  double time_per_sample = 0;   ///< Seconds of the epoch a sample.
  double samples_per_step = 0;  ///< Mean over full steps.
  double packs_over_bound = 1;  ///< 1: no packing at this capacity has fewer packs.
};

struct capacity_candidate {
  loads<2> capacity = {};
  capacity_outcome outcome = {};
  std::string passed_over = {};  ///< Why it was not taken; empty for the best.
};

struct capacity_search {
  loads<2> best = {};
  std::vector<capacity_candidate> candidates = {};
};

struct capacity_problem {
  std::span<const loads<2>> samples = {};  ///< Tiles and tokens.
  /// Plans a capacity on some of the samples.
  std::function<capacity_outcome(const loads<2>&, std::span<const loads<2>>)> evaluate = {};
  std::int64_t global_batch = 1;
  std::uint64_t seed = 0;
  std::size_t sample_limit = 12'000;  ///< Samples on which candidates are compared.
};

namespace detail {

/// A random part of the samples, all where there are few.
[[nodiscard]] inline std::vector<loads<2>> sample_part(const capacity_problem& problem) {
  std::vector<loads<2>> part(problem.samples.begin(), problem.samples.end());
  if (part.size() <= problem.sample_limit) return part;
  random_stream random(problem.seed, 7);
  for (std::uint32_t i = 0; i < problem.sample_limit; ++i) {
    const auto rest = static_cast<std::uint32_t>(part.size() - i);
    std::swap(part[i], part[i + uniform_below(random, rest)]);
  }
  part.resize(problem.sample_limit);
  return part;
}

/// Tile capacities from the largest sample to four times that, with tokens in the proportion of
/// the whole table and a sixth to spare; only tokens where no sample has tiles.
[[nodiscard]] inline std::vector<loads<2>> candidate_capacities(std::span<const loads<2>> samples) {
  loads<2> largest = {0, 1};
  wide_integer tiles = 0;
  wide_integer tokens = 0;
  for (const loads<2>& sample : samples) {
    for (std::size_t r = 0; r < 2; ++r) largest[r] = std::max(largest[r], sample[r]);
    tiles += sample[0];
    tokens += sample[1];
  }
  constexpr std::int64_t steps = 12;
  std::vector<loads<2>> capacities;
  for (std::int64_t step = steps / 3; step <= 4 * steps / 3 + steps; ++step) {
    loads<2> capacity;
    if (tiles > 0) {
      capacity[0] = std::max<std::int64_t>(1, largest[0] * 3 * step / steps);
      const wide_integer even = wide_integer{capacity[0]} * tokens * 7 / (tiles * 6);
      capacity[1] = std::max(largest[1], static_cast<std::int64_t>((even + 127) / 128 * 128));
    } else {
      capacity = {1, largest[1] * 3 * step / steps};
    }
    if (capacity[0] >= largest[0] && (capacities.empty() || capacities.back() != capacity))
      capacities.push_back(capacity);
  }
  return capacities;
}

[[nodiscard]] inline std::string verdict(const capacity_candidate& candidate,
                                         const capacity_problem& problem, double best_time) {
  const auto wanted = static_cast<double>(problem.global_batch);
  if (!candidate.outcome.fits) return "does not fit the memory";
  if (candidate.outcome.samples_per_step > 1.1 * wanted ||
      candidate.outcome.samples_per_step < 0.9 * wanted)
    return "its steps cannot come within 10 % of the global batch";
  if (candidate.outcome.time_per_sample > best_time) return "slower";
  return {};
}

}  // namespace detail

/// Tries the candidates and takes the fastest of those that fit and keep the global batch; if none
/// does both, the fastest that fits; if none fits, the smallest.
[[nodiscard]] inline capacity_search search_capacity(const capacity_problem& problem,
                                                     const run_control& control = {}) {
  const std::vector<loads<2>> part = detail::sample_part(problem);
  capacity_search search;
  const std::vector<loads<2>> capacities = detail::candidate_capacities(problem.samples);
  for (std::size_t k = 0; k < capacities.size(); ++k) {
    if (control.stop_requested() && k > 0) break;
    control.tell("capacities", k, capacities.size());
    search.candidates.push_back(
        {.capacity = capacities[k], .outcome = problem.evaluate(capacities[k], part)});
  }
  const auto rank = [&](const capacity_candidate& candidate) {
    const double endless = std::numeric_limits<double>::infinity();
    const std::string reason = detail::verdict(candidate, problem, endless);
    const int tier = reason.empty() ? 0 : candidate.outcome.fits ? 1 : 2;
    return std::pair(tier, candidate.outcome.time_per_sample);
  };
  const auto best = std::ranges::min_element(
      search.candidates,
      [&](const auto& left, const auto& right) { return rank(left) < rank(right); });
  search.best = best->capacity;
  for (auto candidate = search.candidates.begin(); candidate != search.candidates.end();
       ++candidate)
    if (candidate != best)
      candidate->passed_over = detail::verdict(*candidate, problem, best->outcome.time_per_sample);
  return search;
}

}  // namespace omnibal::inline v0
