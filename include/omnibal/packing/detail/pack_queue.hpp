// SPDX-License-Identifier: Apache-2.0
/// @file
/// The packs that a streaming packer has made and nobody has popped yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/emptied_when_moved.hpp>

namespace omnibal::inline v0::detail {

/// A queue of packs, first in, first out. Other than with std::deque, moves allocate nothing.
class pack_queue {
 public:
  using pack = std::vector<std::uint64_t>;

  pack_queue() = default;
  explicit pack_queue(std::vector<pack> packs) noexcept
      : packs_(places{.packs = std::move(packs)}) {}

  [[nodiscard]] std::size_t size() const noexcept { return packs().size(); }
  [[nodiscard]] std::span<const pack> packs() const noexcept {
    return std::span(packs_.value().packs).subspan(packs_.value().popped);
  }

  /// Strong guarantee.
  void push(pack made) { packs_.value().packs.push_back(std::move(made)); }

  /// Removes the newest packs. Precondition: count ≤ size().
  void remove_newest(std::size_t count) noexcept {
    std::vector<pack>& packs = packs_.value().packs;
    packs.erase(packs.end() - static_cast<std::ptrdiff_t>(count), packs.end());
  }

  /// Amortized constant time: popped places are given back when they are half of all.
  [[nodiscard]] std::optional<pack> pop() noexcept {
    auto& [packs, popped] = packs_.value();
    if (popped == packs.size()) return std::nullopt;
    std::optional<pack> oldest = std::move(packs[popped++]);
    if (2 * popped >= packs.size()) {
      packs.erase(packs.begin(), packs.begin() + static_cast<std::ptrdiff_t>(popped));
      popped = 0;
    }
    return oldest;
  }

 private:
  struct places {
    std::vector<pack> packs = {};
    std::size_t popped = 0;
  };

  emptied_when_moved<places> packs_;
};

}  // namespace omnibal::inline v0::detail
