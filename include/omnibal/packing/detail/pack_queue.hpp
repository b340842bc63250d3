// SPDX-License-Identifier: Apache-2.0
/// @file
/// The packs that a streaming packer has made and nobody has popped yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/emptied_when_moved.hpp>

namespace omnibal::inline v0::detail {

/// A queue of packs, first in, first out. Other than with std::deque, moves allocate nothing.
class pack_queue {
 public:
  using pack = std::vector<std::uint64_t>;

  pack_queue() = default;
  explicit pack_queue(std::vector<pack> packs) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return packs().size(); }
  [[nodiscard]] std::span<const pack> packs() const noexcept;

  /// Strong guarantee.
  void push(pack made);

  /// Removes the newest packs. Precondition: count ≤ size().
  void remove_newest(std::size_t count) noexcept;

  /// Amortized constant time: popped places are given back when they are half of all.
  [[nodiscard]] std::optional<pack> pop() noexcept;

 private:
  struct places {
    std::vector<pack> packs = {};
    std::size_t popped = 0;
  };

  emptied_when_moved<places> packs_;
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/pack_queue.ipp>
#endif
