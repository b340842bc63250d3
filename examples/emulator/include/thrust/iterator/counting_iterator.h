// SPDX-License-Identifier: Apache-2.0
/// @file
/// Stands in for Thrust's header of this name.
#pragma once

namespace thrust {

template <typename Value>
struct counting_iterator {
  Value first;
  constexpr Value operator[](Value i) const { return first + i; }
};

template <typename Value>
constexpr counting_iterator<Value> make_counting_iterator(Value first) {
  return {first};
}

}  // namespace thrust
