// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/agreement.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline std::string divergence_text(std::string_view plan,
                                                 std::span<const std::size_t> ranks,
                                                 std::size_t size) {
  std::string text(plan);
  text += ranks.size() == 1 ? " differs between ranks: rank " : " differs between ranks: ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  text += " of " + std::to_string(size);
  return text + (ranks.size() == 1 ? " disagrees with the others" : " disagree with the others");
}

/// The most frequent hash; of equally frequent ones that of the lowest rank.
[[nodiscard]] inline std::uint64_t most_frequent(std::span<const std::uint64_t> hashes) {
  std::map<std::uint64_t, std::size_t> counts;
  for (const std::uint64_t hash : hashes) ++counts[hash];
  return *std::ranges::max_element(hashes, {}, [&](std::uint64_t hash) { return counts[hash]; });
}

OMNIBAL_INLINE std::vector<std::size_t> other_than_most(std::span<const std::uint64_t> hashes) {
  const std::uint64_t agreed = most_frequent(hashes);
  std::vector<std::size_t> different;
  for (std::size_t r = 0; r < hashes.size(); ++r)
    if (hashes[r] != agreed) different.push_back(r);
  return different;
}

}  // namespace detail

OMNIBAL_INLINE plan_divergence::plan_divergence(std::string_view plan,
                                                std::vector<std::size_t> ranks, std::size_t size)
    : std::runtime_error(detail::divergence_text(plan, ranks, size)), ranks_(std::move(ranks)) {}

}  // namespace omnibal::inline v0
