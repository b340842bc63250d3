// SPDX-License-Identifier: Apache-2.0
/// @file
/// Agreement between ranks: ranks that compute their plans independently must get the same plan, or
/// they hang or silently train on wrong samples. These functions compare fingerprints of the plans,
/// or send the plan of one rank to all others.
///
///     require_agreement(ranks, "dispatch of epoch 3", plan.groups);
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
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
  plan_divergence(std::string_view plan, std::vector<std::size_t> ranks, std::size_t size)
      : std::runtime_error(describe(plan, ranks, size)), ranks_(std::move(ranks)) {}

  /// The ranks that differ from the majority, ascending.
  [[nodiscard]] const std::vector<std::size_t>& ranks() const noexcept { return ranks_; }

 private:
  static std::string describe(std::string_view plan, std::span<const std::size_t> ranks,
                              std::size_t size) {
    std::string text(plan);
    text += ranks.size() == 1 ? " differs between ranks: rank " : " differs between ranks: ranks ";
    for (std::size_t i = 0; i < ranks.size(); ++i)
      text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
    text += " of " + std::to_string(size);
    return text + (ranks.size() == 1 ? " disagrees with the others" : " disagree with the others");
  }

  std::vector<std::size_t> ranks_;
};

namespace detail {

/// The most frequent hash; of equally frequent ones that of the lowest rank.
[[nodiscard]] inline std::uint64_t most_frequent(std::span<const std::uint64_t> hashes) {
  std::map<std::uint64_t, std::size_t> counts;
  for (const std::uint64_t hash : hashes) ++counts[hash];
  return *std::ranges::max_element(hashes, {}, [&](std::uint64_t hash) { return counts[hash]; });
}

}  // namespace detail

/// The ranks whose hash differs from the most frequent one, ascending; the same result on every
/// rank, empty when all agree. Blocks; one message of eight bytes.
template <communicator Communicator>
[[nodiscard]] std::vector<std::size_t> disagreeing_ranks(Communicator& ranks, std::uint64_t hash) {
  const std::vector<std::uint64_t> hashes = all_gather_value(ranks, hash);
  const std::uint64_t agreed = detail::most_frequent(hashes);
  std::vector<std::size_t> different;
  for (std::size_t r = 0; r < hashes.size(); ++r)
    if (hashes[r] != agreed) different.push_back(r);
  return different;
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
