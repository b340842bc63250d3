// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <omnibal/comm/gradient_reduction.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE double weighted_sum::mean() const {
  if (weight == 0)
    throw invalid_input("weight", "0 on all ranks", "a mean needs a token that counts");
  return numerator / weight;
}

namespace detail {

template <tensor_element Element, typename Scaled>
void scale_each(tensor_view values, const Scaled& scaled) {
  for (std::size_t i = 0; i < values.count; ++i)
    store(values.data, i, scaled(load<Element>(values.data, i)));
}

}  // namespace detail

OMNIBAL_INLINE void scale(tensor_view values, double factor) {
  switch (values.type) {
    case element_type::bf16:
      return detail::scale_each<bf16>(values, [&](bf16 value) {
        return to_bf16(static_cast<float>(to_float(value) * factor));
      });
    case element_type::f32:
      return detail::scale_each<float>(
          values, [&](float value) { return static_cast<float>(value * factor); });
    case element_type::f64:
      return detail::scale_each<double>(values, [&](double value) { return value * factor; });
    case element_type::byte:
    case element_type::i64:
      throw invalid_input("type", name_of(values.type), "must be a floating-point type");
  }
}

}  // namespace omnibal::inline v0
