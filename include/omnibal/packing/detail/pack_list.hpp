// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs under construction: filled one after the other, then extended by single samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/parallel.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/packing/detail/load_sums.hpp>

namespace omnibal::inline v0::detail {

/// A list of packs and the sums of their loads.
template <typename Sums>
class pack_list {
 public:
  using word = typename Sums::word;

  /// The number of consecutive packs in a block; shuffled() permutes packs within blocks.
  static constexpr std::size_t block = 64;

  explicit pack_list(const Sums& sums) : sums_(sums) {}

  [[nodiscard]] std::size_t size() const noexcept { return loads_.size(); }
  /// The load sums of a pack.
  [[nodiscard]] const word& operator[](std::size_t pack) const noexcept { return loads_[pack]; }
  [[nodiscard]] bool fits(std::size_t pack, const word& load) const noexcept {
    return !sums_.exceeds(sums_.add(loads_[pack], load));
  }

  /// The number of samples in packs without those that add() added.
  [[nodiscard]] std::size_t samples() const noexcept { return ids_.size(); }

  void reserve(std::size_t packs, std::size_t samples) {
    ends_.reserve(packs);
    loads_.reserve(packs);
    ids_.reserve(samples);
  }

  /// Appends a sample to the open pack, which close() ends.
  void push_back(std::uint32_t id) { ids_.push_back(id); }
  void close(const word& load) {
    ends_.push_back(static_cast<std::uint32_t>(ids_.size()));
    loads_.push_back(load);
  }

  /// Appends packs first … last − 1 of another list. Precondition: none was extended by add().
  void append(const pack_list& other, std::size_t first, std::size_t last) {
    const std::size_t begin = other.begin_of(first);
    const auto at = [](const auto& all, std::size_t k) {
      return all.begin() + static_cast<std::ptrdiff_t>(k);
    };
    const auto moved = static_cast<std::uint32_t>(ids_.size() - begin);
    ids_.insert(ids_.end(), at(other.ids_, begin), at(other.ids_, other.begin_of(last)));
    for (std::size_t k = first; k < last; ++k) ends_.push_back(other.ends_[k] + moved);
    loads_.insert(loads_.end(), at(other.loads_, first), at(other.loads_, last));
  }

  /// Removes all but the first packs. Precondition: none of the others was extended by add().
  pack_list& shorten(std::size_t packs) {
    ids_.resize(begin_of(packs));
    ends_.resize(packs);
    loads_.resize(packs);
    return *this;
  }

  /// Adds a sample to a pack that it fits, or with pack = size() to a new one.
  void add(std::size_t pack, const packable<word>& sample) {
    if (pack == size()) close(sums_.empty());
    loads_[pack] = sums_.add(loads_[pack], sample.load);
    added_.push_back({.pack = static_cast<std::uint32_t>(pack), .id = sample.id});
  }

  /// All packs in random order. Blocks of the first `mixed` packs must be alike (each a random
  /// sample of all of them), so that only packs within a block are permuted. The list is empty
  /// afterwards.
  [[nodiscard]] grouping<std::uint32_t> shuffled(std::size_t mixed, random_stream& random,
                                                 unsigned threads = 1) {
    std::exchange(loads_, {});
    const std::vector<std::uint32_t> order = random_order(mixed, random);
    const added_groups added = group_added();
    std::vector<std::uint64_t> offsets(order.size() + 1);
    for (std::size_t k = 0; k < order.size(); ++k)
      offsets[k + 1] = offsets[k] + ends_[order[k]] - begin_of(order[k]) + added[order[k]].size();
    std::vector<std::uint32_t> ids(offsets.back());
    parallel_for(order.size(), threads, [&](std::size_t first, std::size_t last) {
      std::size_t end = offsets[first];
      for (std::size_t k = first; k < last; ++k) {
        for (std::size_t from = begin_of(order[k]); from < ends_[order[k]]; ++from)
          ids[end++] = ids_[from];
        for (const std::uint32_t id : added[order[k]]) ids[end++] = id;
      }
    });
    return {std::move(offsets), std::move(ids)};
  }

 private:
  struct added_sample {
    std::uint32_t pack;
    std::uint32_t id;
  };

  // The ids added to each pack; empty when none was added to any pack.
  struct added_groups {
    std::vector<std::uint32_t> begins = {};
    std::vector<std::uint32_t> ids = {};

    [[nodiscard]] std::span<const std::uint32_t> operator[](std::size_t pack) const noexcept {
      if (ids.empty()) return {};
      return std::span(ids).subspan(begins[pack], begins[pack + 1] - begins[pack]);
    }
  };

  [[nodiscard]] std::size_t begin_of(std::size_t pack) const noexcept {
    return pack == 0 ? 0 : ends_[pack - 1];
  }

  // Permutes packs within their blocks, then exchanges each pack from `mixed` on with any before
  // it.
  [[nodiscard]] std::vector<std::uint32_t> random_order(std::size_t mixed,
                                                        random_stream& random) const {
    std::vector<std::uint32_t> order(ends_.size());
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t first = 0; first < order.size(); first += block)
      shuffle_fast(std::span(order).subspan(first, std::min(block, order.size() - first)), random);
    for (std::size_t k = mixed; k < order.size(); ++k)
      std::swap(order[k], order[uniform_below(random, static_cast<std::uint32_t>(k) + 1)]);
    return order;
  }

  // The samples added to each pack, in order of adding.
  [[nodiscard]] added_groups group_added() const {
    added_groups groups;
    if (added_.empty()) return groups;
    groups.begins.resize(ends_.size() + 1);
    for (const added_sample& sample : added_) ++groups.begins[sample.pack];
    std::partial_sum(groups.begins.begin(), groups.begins.end(), groups.begins.begin());
    groups.ids.resize(added_.size());
    for (auto sample = added_.rbegin(); sample != added_.rend(); ++sample)
      groups.ids[--groups.begins[sample->pack]] = sample->id;
    return groups;
  }

  Sums sums_;
  std::vector<std::uint32_t> ids_;   // of all packs, without added ones
  std::vector<std::uint32_t> ends_;  // by pack: where its ids end
  std::vector<word> loads_;          // by pack
  std::vector<added_sample> added_;
};

}  // namespace omnibal::inline v0::detail
