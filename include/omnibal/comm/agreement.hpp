// SPDX-License-Identifier: Apache-2.0
/// @file
/// Agreement between ranks: ranks that compute their plans independently must get the same plan, or
/// they hang or silently train on wrong samples. These functions compare fingerprints of the plans,
/// or send the plan of one rank to all others.
///
///     require_agreement(ranks, "dispatch of epoch 3", plan.groups);
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/hash.hpp>

namespace omnibal::inline v0 {

/// Thrown on every rank when ranks have different plans. `what()` names the ranks that differ from
/// the majority: `epoch 3 differs between ranks: rank 2 of 4 disagrees with the others`.
class plan_divergence : public std::runtime_error {
 public:
  plan_divergence(std::string_view plan, std::vector<std::size_t> ranks, std::size_t size);

  /// The ranks that differ from the majority, ascending.
  [[nodiscard]] const std::vector<std::size_t>& ranks() const noexcept { return ranks_; }

 private:
  std::vector<std::size_t> ranks_;
};

namespace detail {

/// The ranks whose hash differs from the most frequent one; of equally frequent ones that of the
/// lowest rank is taken.
[[nodiscard]] std::vector<std::size_t> other_than_most(std::span<const std::uint64_t> hashes);

}  // namespace detail

/// The ranks whose hash differs from the most frequent one, ascending; the same result on every
/// rank, empty when all agree. Blocks; one message of eight bytes.
template <communicator Communicator>
[[nodiscard]] std::vector<std::size_t> disagreeing_ranks(Communicator& ranks, std::uint64_t hash) {
  return detail::other_than_most(all_gather_value(ranks, hash));
}

/// Throws plan_divergence on every rank unless plan_hash(parts...) is the same on all. `plan` names
/// the plan in the error. Different plans go unnoticed with probability 2⁻⁶⁴. Blocks.
template <communicator Communicator, typename... Parts>
void require_agreement(Communicator& ranks, std::string_view plan, const Parts&... parts) {
  auto different = disagreeing_ranks(ranks, plan_hash(parts...));
  if (!different.empty()) throw plan_divergence(plan, std::move(different), ranks.size());
}

/// Returns the grouping of `root` on every rank; the argument of other ranks is ignored. Blocks;
/// three messages: sizes, offsets, indices.
template <communicator Communicator, std::unsigned_integral Index>
[[nodiscard]] grouping<Index> broadcast_grouping(Communicator& ranks, const grouping<Index>& groups,
                                                 std::size_t root) {
  std::array<std::uint64_t, 2> sizes = {groups.offsets().size(), groups.indices().size()};
  broadcast(ranks, sizes, root);
  std::vector<std::uint64_t> offsets(groups.offsets().begin(), groups.offsets().end());
  std::vector<Index> indices(groups.indices().begin(), groups.indices().end());
  offsets.resize(sizes[0]);
  indices.resize(sizes[1]);
  broadcast(ranks, offsets, root);
  broadcast(ranks, indices, root);
  return grouping<Index>(std::move(offsets), std::move(indices));
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/agreement.ipp>
#endif
