// SPDX-License-Identifier: Apache-2.0
/// @file
/// Proven lower bounds for rebalancing: on the cost of the slowest rank, and on the bytes that must
/// be sent to reduce it to a given cost.
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/rebalance/problem.hpp>

namespace omnibal::inline v0 {

/// A lower bound on the cost of the slowest rank in any plan: the largest of
/// - the mean cost of a rank, rounded up;
/// - for k = 0, 1, …: the total cost of the k + 1 least expensive of the k · ranks + 1 most
/// expensive
///   samples. Some k + 1 of them are on one rank (by the pigeonhole principle), and no k + 1 of
///   them cost less. For k = 0 that is the most expensive sample.
/// Precondition: the problem is valid. O(n log n) for n samples.
[[nodiscard]] std::int64_t bound_cost(const rebalance_problem& problem);

/// A lower bound on the bytes that any plan must send so that every rank costs at most `cost`: the
/// sum over ranks of the least bytes of samples that a rank must give away, since their cost must
/// be at least the excess of that rank. For a rank with up to eight samples that is the minimum
/// over all subsets. For more samples it is the linear relaxation, which can only be lower: samples
/// by ascending bytes per unit of cost, the last one fractionally (Dantzig, "Discrete-variable
/// extremum problems", 1957), rounded up because bytes are integers. Preconditions: the problem is
/// valid, cost ≥ 0. O(n log n) for n samples.
[[nodiscard]] std::int64_t bound_bytes(const rebalance_problem& problem, std::int64_t cost);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/rebalance/impl/bound.ipp>
#endif
