// SPDX-License-Identifier: Apache-2.0
/// @file
/// A list of lists of indices in two flat arrays (compressed sparse rows): group k holds
/// indices[offsets[k] .. offsets[k + 1]). Packs, micro-batches, ranks and steps are returned,
/// written to files and sent between ranks in this form.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// An ordered list of ordered groups of indices. Memory: one Index per element, eight bytes per
/// group. Appending and copying have the strong guarantee; a grouping that was moved from is empty.
template <std::unsigned_integral Index = std::uint32_t>
class grouping {
 public:
  using index_type = Index;

  grouping() = default;
  grouping(const grouping&) = default;
  grouping(grouping&&) noexcept = default;
  grouping& operator=(const grouping& other) { return *this = grouping(other); }
  grouping& operator=(grouping&&) noexcept = default;
  ~grouping() = default;

  /// Takes ownership of existing arrays. Throws invalid_input unless offsets start at 0, never
  /// decrease and end at indices.size(). O(groups).
  grouping(std::vector<std::uint64_t> offsets, std::vector<Index> indices)
      : offsets_(std::move(offsets)), indices_(std::move(indices)) {
    if (offsets_.empty() || offsets_.front() != 0)
      throw invalid_input("offsets", 0, offsets_.empty() ? "nothing" : std::to_string(offsets_[0]),
                          "must start with 0");
    for (std::size_t k = 1; k < offsets_.size(); ++k)
      if (offsets_[k] < offsets_[k - 1])
        throw invalid_input("offsets", k, offsets_[k], "must not be less than the one before");
    if (offsets_.back() != indices_.size())
      throw invalid_input("offsets", offsets_.size() - 1, offsets_.back(),
                          "must end at the number of indices, " + std::to_string(indices_.size()));
  }

  [[nodiscard]] std::size_t size() const noexcept { return offsets().size() - 1; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// The indices of group k, in order. Precondition: k < size().
  [[nodiscard]] std::span<const Index> operator[](std::size_t k) const noexcept {
    return std::span(indices_).subspan(offsets_[k], offsets_[k + 1] - offsets_[k]);
  }

  /// size() + 1 offsets into indices(), the first 0.
  [[nodiscard]] std::span<const std::uint64_t> offsets() const noexcept {
    return offsets_.empty() ? std::span<const std::uint64_t>(no_groups) : offsets_;
  }
  /// The indices of all groups, one group after the other.
  [[nodiscard]] std::span<const Index> indices() const noexcept { return indices_; }

  void reserve(std::size_t groups, std::size_t indices) {
    offsets_.reserve(groups + 1);
    indices_.reserve(indices);
  }

  /// Adds an index to the group under construction, which close_group() ends.
  void push_back(Index index) { indices_.push_back(index); }

  /// Ends the group of all indices pushed since the previous call; it may be empty.
  void close_group() {
    if (offsets_.empty()) {
      offsets_.reserve(2);
      offsets_.push_back(0);
    }
    offsets_.push_back(indices_.size());
  }

  /// Appends a complete group, which must not be a view of this grouping.
  void append(std::span<const Index> group) {
    const std::size_t before = indices_.size();
    indices_.insert(indices_.end(), group.begin(), group.end());
    try {
      close_group();
    } catch (...) {
      indices_.resize(before);
      throw;
    }
  }

  friend bool operator==(const grouping& left, const grouping& right) noexcept {
    return std::ranges::equal(left.offsets(), right.offsets()) && left.indices_ == right.indices_;
  }

 private:
  static constexpr std::array<std::uint64_t, 1> no_groups = {0};

  std::vector<std::uint64_t> offsets_;  // empty as long as there is no group
  std::vector<Index> indices_;
};

}  // namespace omnibal::inline v0
