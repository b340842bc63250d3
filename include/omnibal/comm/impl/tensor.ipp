// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::size_t const_tensor_view::bytes() const {
  return checked_multiply(count, size_of(type), "count");
}

OMNIBAL_INLINE std::size_t tensor_view::bytes() const {
  return checked_multiply(count, size_of(type), "count");
}

namespace detail {

template <typename Number>
[[nodiscard]] Number combine(Number left, Number right, reduction how) {
  if (how == reduction::smallest) return right < left ? right : left;
  if (how == reduction::largest) return left < right ? right : left;
  if constexpr (std::integral<Number>)
    return checked_add(left, right, "sum over ranks");
  else
    return left + right;
}

template <tensor_element Element>
void fold(std::span<const std::byte* const> parts, std::byte* result, std::size_t count,
          reduction how) {
  for (std::size_t i = 0; i < count; ++i) {
    if constexpr (std::same_as<Element, bf16>) {
      float folded = to_float(load<bf16>(parts[0], i));
      for (std::size_t r = 1; r < parts.size(); ++r)
        folded = combine(folded, to_float(load<bf16>(parts[r], i)), how);
      store(result, i, to_bf16(folded));
    } else {
      Element folded = load<Element>(parts[0], i);
      for (std::size_t r = 1; r < parts.size(); ++r)
        folded = combine(folded, load<Element>(parts[r], i), how);
      store(result, i, folded);
    }
  }
}

OMNIBAL_INLINE void fold(std::span<const std::byte* const> parts, std::byte* result,
                         std::size_t count, element_type type, reduction how) {
  switch (type) {
    case element_type::byte: throw invalid_input("type", "byte", "bytes cannot be reduced");
    case element_type::bf16: return fold<bf16>(parts, result, count, how);
    case element_type::f32: return fold<float>(parts, result, count, how);
    case element_type::f64: return fold<double>(parts, result, count, how);
    case element_type::i64: return fold<std::int64_t>(parts, result, count, how);
  }
}

OMNIBAL_INLINE void require_reducible(element_type type) {
  if (type == element_type::byte) throw invalid_input("type", "byte", "bytes cannot be reduced");
}

OMNIBAL_INLINE void require_memory(std::string_view field, const_tensor_view view) {
  if (view.bytes() > 0 && view.data == nullptr)
    throw invalid_input(field, "null",
                        "must be the memory of its " + std::to_string(view.count) + " elements");
}

OMNIBAL_INLINE void require_views(const_tensor_view sent, const_tensor_view received) {
  require_memory("sent", sent);
  require_memory("received", received);
  if (sent.type != received.type)
    throw invalid_input("type of received", name_of(received.type),
                        "must be that of sent, " + std::string(name_of(sent.type)));
}

}  // namespace detail

}  // namespace omnibal::inline v0
