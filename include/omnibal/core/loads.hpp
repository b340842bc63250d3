// SPDX-License-Identifier: Apache-2.0
/// @file
/// The loads of a sample: one non-negative integer per resource (image tiles, text tokens, audio
/// frames, ...). The number of resources is fixed at compile time, the integer type is the
/// caller's, and a projection extracts the loads from the caller's own sample type:
///
///     struct sample { int tiles, tokens; };
///     auto result = pack_balanced(samples, {.capacity = {9, 4096}},
///                                 [](const sample& s) { return loads<2>{s.tiles, s.tokens}; });
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// The loads of a sample or a pack, or the capacities of a pack: one integer per resource.
template <std::size_t Resources, std::integral Integer = std::int64_t>
using loads = std::array<Integer, Resources>;

namespace detail {

template <typename>
inline constexpr bool is_loads = false;
template <std::integral Integer, std::size_t Resources>
inline constexpr bool is_loads<std::array<Integer, Resources>> =
    Resources > 0 && !std::same_as<Integer, bool>;

/// The error of a sample whose load of a resource is beyond the capacity and may not be.
template <std::integral Integer>
[[nodiscard]] invalid_input load_beyond_capacity(std::string_view resource, std::size_t sample,
                                                 Integer load, std::int64_t capacity) {
  return {resource, sample, load,
          std::string("exceeds the capacity ")
              .append(std::to_string(capacity))
              .append("; raise it, or choose to skip such samples or to give them own packs")};
}

}  // namespace detail

/// A std::array of at least one integer.
template <typename Type>
concept load_array = detail::is_loads<std::remove_cvref_t<Type>>;

/// Any sized random-access range whose elements the projection turns into loads.
template <typename Range, typename Projection = std::identity>
concept sample_range = std::ranges::random_access_range<Range> && std::ranges::sized_range<Range> &&
    std::invocable<const Projection&, std::ranges::range_reference_t<Range>> &&
    load_array<std::invoke_result_t<const Projection&, std::ranges::range_reference_t<Range>>>;

/// The loads type that a projection yields for a range's samples.
template <typename Range, typename Projection = std::identity>
using projected_loads = std::remove_cvref_t<
    std::invoke_result_t<const Projection&, std::ranges::range_reference_t<Range>>>;

/// How many resources a load array holds.
template <load_array Loads>
inline constexpr std::size_t resource_count = std::tuple_size_v<std::remove_cvref_t<Loads>>;

}  // namespace omnibal::inline v0
