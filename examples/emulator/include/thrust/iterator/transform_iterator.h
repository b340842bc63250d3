// SPDX-License-Identifier: Apache-2.0
/// @file
/// Stands in for Thrust's header of this name.
#pragma once

namespace thrust {

template <typename Iterator, typename Function>
struct transform_iterator {
  Iterator values;
  Function function;
  constexpr auto operator[](int i) const { return function(values[i]); }
};

template <typename Iterator, typename Function>
constexpr transform_iterator<Iterator, Function> make_transform_iterator(Iterator values,
                                                                         Function function) {
  return {values, function};
}

}  // namespace thrust
