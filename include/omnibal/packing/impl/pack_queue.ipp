// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/pack_queue.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE pack_queue::pack_queue(std::vector<pack> packs) noexcept
    : packs_(places{.packs = std::move(packs)}) {}

OMNIBAL_INLINE std::span<const pack_queue::pack> pack_queue::packs() const noexcept {
  return std::span(packs_.value().packs).subspan(packs_.value().popped);
}

OMNIBAL_INLINE void pack_queue::push(pack made) { packs_.value().packs.push_back(std::move(made)); }

OMNIBAL_INLINE void pack_queue::remove_newest(std::size_t count) noexcept {
  std::vector<pack>& packs = packs_.value().packs;
  packs.erase(packs.end() - static_cast<std::ptrdiff_t>(count), packs.end());
}

OMNIBAL_INLINE std::optional<pack_queue::pack> pack_queue::pop() noexcept {
  auto& [packs, popped] = packs_.value();
  if (popped == packs.size()) return std::nullopt;
  std::optional<pack> oldest = std::move(packs[popped++]);
  if (2 * popped >= packs.size()) {
    packs.erase(packs.begin(), packs.begin() + static_cast<std::ptrdiff_t>(popped));
    popped = 0;
  }
  return oldest;
}

}  // namespace omnibal::inline v0::detail
