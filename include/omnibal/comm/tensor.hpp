// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a tensor_channel moves: views of elements of one type, and how they are reduced over ranks.
///
///     std::vector<float> gradient(parameters);
///     channel.all_reduce(view_of(gradient), reduction::sum).wait();
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// The upper half of an IEEE 754 single: 8 bits of exponent, 7 of mantissa.
struct bf16 {
  std::uint16_t bits = 0;

  friend bool operator==(const bf16&, const bf16&) = default;
};

[[nodiscard]] constexpr float to_float(bf16 value) noexcept {
  return std::bit_cast<float>(std::uint32_t{value.bits} << 16U);
}

/// Rounds to nearest, ties to even; a NaN stays one.
[[nodiscard]] constexpr bf16 to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return {static_cast<std::uint16_t>(bits >> 16U | 0x40U)};
  return {static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16U & 1U)) >> 16U)};
}

enum class element_type : std::uint8_t { byte, bf16, f32, f64, i64 };

[[nodiscard]] constexpr std::size_t size_of(element_type type) noexcept {
  switch (type) {
    case element_type::byte: return 1;
    case element_type::bf16: return 2;
    case element_type::f32: return 4;
    case element_type::f64:
    case element_type::i64: return 8;
  }
  return 0;
}

[[nodiscard]] constexpr std::string_view name_of(element_type type) noexcept {
  switch (type) {
    case element_type::byte: return "byte";
    case element_type::bf16: return "bf16";
    case element_type::f32: return "f32";
    case element_type::f64: return "f64";
    case element_type::i64: return "i64";
  }
  return "?";
}

/// How elements of all ranks become one. A sum of i64 that overflows is an error; bf16 is summed in
/// single precision and rounded once.
enum class reduction : std::uint8_t { sum, smallest, largest };

[[nodiscard]] constexpr std::string_view name_of(reduction how) noexcept {
  switch (how) {
    case reduction::sum: return "sum";
    case reduction::smallest: return "smallest";
    case reduction::largest: return "largest";
  }
  return "?";
}

/// Elements that a channel reads. Its maker keeps the memory until the ticket is done.
struct const_tensor_view {
  const std::byte* data = nullptr;
  std::size_t count = 0;
  element_type type = element_type::byte;

  /// Throws invalid_input for 2⁶⁴ bytes or more.
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::span<const std::byte> span() const { return {data, bytes()}; }
  [[nodiscard]] const_tensor_view part(std::size_t first, std::size_t size) const {
    return {size == 0 ? data : data + first * size_of(type), size, type};
  }
};

/// Elements that a channel reads or writes.
struct tensor_view {
  std::byte* data = nullptr;
  std::size_t count = 0;
  element_type type = element_type::byte;

  operator const_tensor_view() const noexcept { return {data, count, type}; }
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::span<std::byte> span() const { return {data, bytes()}; }
  [[nodiscard]] tensor_view part(std::size_t first, std::size_t size) const {
    return {size == 0 ? data : data + first * size_of(type), size, type};
  }
};

template <typename Element>
concept tensor_element = std::same_as<Element, std::byte> || std::same_as<Element, bf16> ||
    std::same_as<Element, float> || std::same_as<Element, double> ||
    std::same_as<Element, std::int64_t>;

template <tensor_element Element>
[[nodiscard]] constexpr element_type element_type_of() noexcept {
  if constexpr (std::same_as<Element, std::byte>) return element_type::byte;
  if constexpr (std::same_as<Element, bf16>) return element_type::bf16;
  if constexpr (std::same_as<Element, float>) return element_type::f32;
  if constexpr (std::same_as<Element, double>) return element_type::f64;
  return element_type::i64;
}

/// The view of a contiguous range; read-only where its elements are.
template <std::ranges::contiguous_range Range>
requires tensor_element<std::ranges::range_value_t<Range>>
[[nodiscard]] auto view_of(Range&& values) {
  using element = std::remove_reference_t<std::ranges::range_reference_t<Range>>;
  constexpr element_type type = element_type_of<std::ranges::range_value_t<Range>>();
  const std::size_t count = std::ranges::size(values);
  if constexpr (std::is_const_v<element>)
    return const_tensor_view{reinterpret_cast<const std::byte*>(std::ranges::data(values)), count,
                             type};
  else
    return tensor_view{reinterpret_cast<std::byte*>(std::ranges::data(values)), count, type};
}

namespace detail {

/// Reads and writes elements at any address: parts of a byte buffer are not aligned.
template <tensor_element Element>
[[nodiscard]] Element load(const std::byte* data, std::size_t index) noexcept {
  Element element{};
  std::memcpy(&element, data + index * sizeof(Element), sizeof(Element));
  return element;
}

template <tensor_element Element>
void store(std::byte* data, std::size_t index, Element element) noexcept {
  std::memcpy(data + index * sizeof(Element), &element, sizeof(Element));
}

/// result[i] = combine(… combine(parts[0][i], parts[1][i]) …): in the order of the parts, so that
/// all ranks get the same bits. The result may be one of the parts. Throws invalid_input when a sum
/// of integers overflows.
void fold(std::span<const std::byte* const> parts, std::byte* result, std::size_t count,
          element_type type, reduction how);

void require_reducible(element_type type);

/// Throws unless there is memory for the elements, of less than 2⁶⁴ bytes.
void require_memory(std::string_view field, const_tensor_view view);

/// The same of both, which are of one type.
void require_views(const_tensor_view sent, const_tensor_view received);

}  // namespace detail

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/tensor.ipp>
#endif
