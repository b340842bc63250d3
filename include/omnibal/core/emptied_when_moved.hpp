// SPDX-License-Identifier: Apache-2.0
/// @file
/// A member that is empty after it was moved from, so that a class whose other members are vectors
/// can leave its moves to the compiler and still be empty, not inconsistent, afterwards.
///
///     std::vector<sample> samples_;
///     emptied_when_moved<std::uint64_t> pushed_;  // 0 as soon as the samples are gone
#pragma once

#include <concepts>
#include <utility>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// A value that is Value{} after it was moved from, and that is copied whole or not at all.
/// Converts to the value and back. Value is regular and can be default constructed and swapped
/// without exceptions.
template <typename Value>
class emptied_when_moved {
 public:
  constexpr emptied_when_moved() noexcept = default;
  constexpr emptied_when_moved(Value value) noexcept : value_(std::move(value)) {}

  constexpr emptied_when_moved(const emptied_when_moved&) = default;
  constexpr emptied_when_moved(emptied_when_moved&& other) noexcept { swap(other); }
  constexpr emptied_when_moved& operator=(const emptied_when_moved& other) {
    return *this = emptied_when_moved(other);
  }
  constexpr emptied_when_moved& operator=(emptied_when_moved&& other) noexcept {
    emptied_when_moved taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~emptied_when_moved() = default;

  constexpr operator const Value&() const noexcept { return value_; }
  [[nodiscard]] constexpr Value& value() noexcept { return value_; }
  [[nodiscard]] constexpr const Value& value() const noexcept { return value_; }

 private:
  constexpr void swap(emptied_when_moved& other) noexcept {
    std::ranges::swap(value_, other.value_);
  }

  Value value_{};
};

}  // namespace omnibal::inline v0
