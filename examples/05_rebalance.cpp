// SPDX-License-Identifier: Apache-2.0
// Eight ranks have loaded their samples and only now know their costs. Before the forward pass
// they exchange the costs, agree on which samples change ranks, and send those. The ranks are
// threads here; comm/mpi.hpp and comm/nccl.hpp offer the same calls between processes and GPUs.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/comm.hpp>
#include <omnibal/core.hpp>
#include <omnibal/rebalance.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

// Four samples of a rank. The cost depends on tiles and tokens; the bytes sent are the pixels.
std::vector<omnibal::owned_sample> load_samples(std::size_t rank) {
  omnibal::random_stream random(1000 + rank);
  std::vector<omnibal::owned_sample> samples;
  for (int i = 0; i < 4; ++i) {
    const std::int64_t tiles = 1 + omnibal::uniform_below(random, 8);
    const std::int64_t tokens = 256 * tiles + 40 + omnibal::uniform_below(random, 1000);
    samples.push_back({.rank = static_cast<std::uint32_t>(rank),
                       .cost = 1000 * tiles + tokens,
                       .bytes = tiles * 3 * 448 * 448});
  }
  return samples;
}

std::int64_t cost_of(std::span<const omnibal::owned_sample> samples) {
  std::int64_t sum = 0;
  for (const omnibal::owned_sample& sample : samples) sum += sample.cost;
  return sum;
}

// The code that every rank runs.
void train_step(omnibal::thread_communicator& ranks) {
  const std::vector<omnibal::owned_sample> mine = load_samples(ranks.rank());
  const omnibal::rebalance_problem problem{
      .ranks = static_cast<std::uint32_t>(ranks.size()),
      .samples = omnibal::all_gather_variable(ranks, mine).values};

  // Every rank computes the same plan by itself, since it depends only on the gathered samples.
  const omnibal::rebalance_result result = omnibal::rebalance(problem);

  // Samples in the order of the ranks that own them from now on, including those that stay.
  std::vector<std::uint32_t> target(problem.samples.size());
  for (std::size_t s = 0; s < target.size(); ++s) target[s] = problem.samples[s].rank;
  for (const auto& [sample, from, to] : result.plan().moves) target[sample] = to;
  std::vector<std::size_t> counts(ranks.size());
  std::vector<omnibal::owned_sample> sent;
  for (std::size_t to = 0; to < ranks.size(); ++to)
    for (std::size_t s = 0; s < target.size(); ++s)
      if (target[s] == to && problem.samples[s].rank == ranks.rank()) {
        sent.push_back(problem.samples[s]);
        ++counts[to];
      }
  const auto received = omnibal::all_to_all_variable(ranks, sent, counts);

  const auto before = omnibal::all_gather_value(ranks, cost_of(mine));
  const auto after = omnibal::all_gather_value(ranks, cost_of(received.values));
  const std::int64_t total = std::accumulate(before.begin(), before.end(), std::int64_t{0});
  const std::int64_t slowest_before = *std::ranges::max_element(before);
  const std::int64_t slowest_after = *std::ranges::max_element(after);
  if (ranks.rank() == 0) {
    const double mean = static_cast<double>(total) / static_cast<double>(ranks.size());
    std::printf("the slowest rank costs %.3f times the mean before, %.3f times after %zu moves\n",
                static_cast<double>(slowest_before) / mean,
                static_cast<double>(slowest_after) / mean, result.plan().moves.size());
    std::printf(
        "%.1f MB are sent; proven lower bound on the cost of the slowest rank: %.3f times the "
        "mean\n",
        static_cast<double>(result.plan().bytes) / 1e6, static_cast<double>(result.bound) / mean);
  }
  claim(total == std::accumulate(after.begin(), after.end(), std::int64_t{0}), "nothing is lost");
  claim(slowest_after == result.plan().cost, "the moves do what the plan says");
  claim(slowest_after < slowest_before && slowest_after >= result.bound, "the slowest rank gains");
}

int main() { omnibal::run_as_ranks(8, train_step); }
