// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <omnibal/rebalance.hpp>

struct table_row {
  std::uint32_t rank;
  std::int64_t cost, bytes;
};

int main() {
  std::vector<table_row> table;
  for (std::uint32_t s = 0; s < 256; ++s) table.push_back({s / 4, 100 + (s * 37) % 90, 5000});
  std::vector<std::int64_t> costs(64);
  for (const auto& [rank, cost, bytes] : table) costs[rank] += cost;
  const auto send = [&](std::uint32_t sample, std::uint32_t from, std::uint32_t to) {
    costs[from] -= table[sample].cost;
    costs[to] += table[sample].cost;
  };

  // >>> docs/rebalance.md
  omnibal::rebalance_problem problem{.ranks = 64};
  // For each sample, in the same order on every rank: who owns it, its cost, the bytes to send it.
  for (const auto& [rank, cost, bytes] : table)
    problem.samples.push_back({.rank = rank, .cost = cost, .bytes = bytes});
  const omnibal::rebalance_result result = omnibal::rebalance(problem, {.tolerance = 5000});
  for (const auto& [sample, from, to] : result.plan().moves) send(sample, from, to);
  // <<<

  for (const std::int64_t cost : costs)
    if (cost > result.plan().cost) return 1;
  return result.plan().moves.empty() ? 1 : 0;
}
