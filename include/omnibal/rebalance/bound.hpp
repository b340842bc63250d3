// SPDX-License-Identifier: Apache-2.0
/// @file
/// What no rebalancing can beat: a bound on the cost of the dearest rank, and one on the bytes that
/// must be sent to bring it down to a given cost.
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/rebalance/problem.hpp>

namespace omnibal::inline v0 {

/// A cost below which the dearest rank is in no plan, wherever the samples go: the largest of
/// - the mean cost of a rank, rounded up;
/// - for k = 0, 1, …: the k + 1 cheapest of the k · ranks + 1 dearest samples, together. Among so
///   many samples some k + 1 are on one rank (by the pigeonhole principle), and no k + 1 of them
///   cost less. With k = 0 that is the dearest sample.
/// Precondition: the problem is valid. O(n log n) for n samples.
[[nodiscard]] std::int64_t bound_cost(const rebalance_problem& problem);

/// Bytes that every plan must send to bring all ranks to at most `cost`. What a rank holds beyond
/// that has to leave it, and a sample leaves the one rank that holds it, so the ranks' least bytes
/// add up. A rank with up to eight samples sends at least the fewest bytes of any of its samples
/// that cost enough together. For more samples it is the same with parts of samples allowed, which
/// can only need fewer: by ascending bytes for a unit of cost, the last one in part (Dantzig,
/// "Discrete-variable extremum problems", 1957), rounded up because bytes are whole.
/// Preconditions: the problem is valid, cost ≥ 0. O(n log n) for n samples.
[[nodiscard]] std::int64_t bound_bytes(const rebalance_problem& problem, std::int64_t cost);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/rebalance/impl/bound.ipp>
#endif
