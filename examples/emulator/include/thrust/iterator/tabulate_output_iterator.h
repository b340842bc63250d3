// SPDX-License-Identifier: Apache-2.0
/// @file
/// Stands in for Thrust's header of this name.
#pragma once

namespace thrust {

/// What is assigned to element i goes to function(i, value).
template <typename Function>
struct tabulate_output_iterator {
  struct element {
    const Function& function;
    int number;
    template <typename Value>
    constexpr void operator=(const Value& value) const {
      function(number, value);
    }
  };

  Function function;
  constexpr element operator[](int i) const { return {function, i}; }
};

template <typename Function>
constexpr tabulate_output_iterator<Function> make_tabulate_output_iterator(Function function) {
  return {function};
}

}  // namespace thrust
