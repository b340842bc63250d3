// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs rearranged such that all steps but the last have a number of samples exactly, together.
///
/// S full steps take these samples in S · ranks · m packs, and the last step takes the others:
/// whole packs, and a part of one more. The other packs are split until there are as many as full
/// steps have. No pack grows, so each keeps its capacity.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/run/detail/split_packs.hpp>

namespace omnibal::inline v0::detail {

struct exact_batch_options {
  std::size_t full_steps = 1;
  std::size_t samples = 1;  ///< Of all full steps together; some more are left for the last step.
  std::size_t ranks = 1;
  std::size_t microbatch_multiple = 1;  ///< Micro-batches per rank are a multiple of this.
  std::uint64_t seed = 0;
};

/// Packs, the last of which are those of the last step.
struct packs_of_steps {
  grouping<std::uint32_t> packs = {};
  std::size_t in_last_step = 0;
  std::size_t microbatches_per_rank = 1;  ///< In the steps before.
};

class exact_batch {
 public:
  /// Preconditions: a full step at least, and fewer samples in full steps than in all packs. Keeps
  /// a reference to the packs.
  exact_batch(const grouping<std::uint32_t>& packs, const exact_batch_options& options)
      : packs_(packs), options_(options) {
    auto& [drawn, fewest_first, most_first] = orders_;
    drawn.resize(packs.size());
    std::iota(drawn.begin(), drawn.end(), 0U);
    random_stream random = stream_for(options.seed, random_purpose::dispatch_epoch, 0);
    shuffle_randomly(drawn, random);
    fewest_first = drawn;
    std::ranges::stable_sort(fewest_first, {}, [&](std::uint32_t k) { return packs[k].size(); });
    most_first.assign(fewest_first.rbegin(), fewest_first.rend());
  }

  /// The packs with the fewest micro-batches per rank, or none where there is no such number.
  /// O(packs · log packs · log samples).
  [[nodiscard]] std::optional<packs_of_steps> rearranged() const {
    const std::size_t each = options_.ranks * options_.microbatch_multiple;
    const std::size_t most = options_.samples / (options_.full_steps * each);
    if (most == 0 || !last_step(most * each)) return std::nullopt;
    std::size_t too_few = 0;
    std::size_t enough = most;
    while (enough - too_few > 1) {
      const std::size_t middle = too_few + (enough - too_few) / 2;
      (last_step(middle * each) ? enough : too_few) = middle;
    }
    packs_of_steps found = with_last_step(*last_step(enough * each), enough * each);
    found.microbatches_per_rank = enough * options_.microbatch_multiple;
    return found;
  }

 private:
  /// Whole packs and the first samples of another one.
  struct chosen_packs {
    std::vector<bool> whole = {};
    std::size_t count = 0;  ///< Of whole ones.
    std::size_t divided = 0;
    std::size_t part = 0;  ///< 0: none is divided.
  };

  /// What the last step takes where a step has so many packs: a random draw of packs or, where that
  /// leaves too many to the others or cannot take enough samples, those of fewest or of most
  /// samples.
  [[nodiscard]] std::optional<chosen_packs> last_step(std::size_t packs_per_step) const {
    for (const std::vector<std::uint32_t>& order : orders_)
      if (auto chosen = last_step(order, packs_per_step)) return chosen;
    return std::nullopt;
  }

  [[nodiscard]] std::optional<chosen_packs> last_step(std::span<const std::uint32_t> order,
                                                      std::size_t packs_per_step) const {
    chosen_packs chosen{.whole = std::vector<bool>(packs_.size(), false)};
    std::size_t left = packs_.indices().size() - options_.samples;
    for (const std::uint32_t k : order) {
      if (packs_[k].size() > left || chosen.count + 1 == packs_per_step) continue;
      chosen.whole[k] = true;
      ++chosen.count;
      left -= packs_[k].size();
    }
    if (packs_.size() - chosen.count > options_.full_steps * packs_per_step) return std::nullopt;
    if (left == 0) return chosen;
    const auto divided = std::ranges::find_if(
        order, [&](std::uint32_t k) { return !chosen.whole[k] && packs_[k].size() >= left; });
    if (divided == order.end()) return std::nullopt;
    chosen.part = left;
    chosen.divided = *divided;
    return chosen;
  }

  [[nodiscard]] packs_of_steps with_last_step(const chosen_packs& chosen,
                                              std::size_t packs_per_step) const {
    grouping<std::uint32_t> last;
    grouping<std::uint32_t> others;
    for (std::size_t k = 0; k < packs_.size(); ++k) {
      const std::size_t part = chosen.whole[k]       ? packs_[k].size()
                               : k == chosen.divided ? chosen.part
                                                     : 0;
      if (part > 0) last.append(packs_[k].first(part));
      if (part < packs_[k].size()) others.append(packs_[k].subspan(part));
    }
    packs_of_steps found{.packs = split_packs(others, options_.full_steps * packs_per_step),
                         .in_last_step = last.size()};
    for (std::size_t k = 0; k < last.size(); ++k) found.packs.append(last[k]);
    return found;
  }

  const grouping<std::uint32_t>& packs_;
  exact_batch_options options_;
  /// Packs in the orders in which the last step may take them: a random draw, those of fewest
  /// samples first, those of most first.
  std::array<std::vector<std::uint32_t>, 3> orders_;
};

}  // namespace omnibal::inline v0::detail
