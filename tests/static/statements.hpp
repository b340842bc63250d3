// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the library promises of its types, in words that the statements of this folder use.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace omnibal::statements {

/// Can be kept in containers and handed on without a copy that might throw.
template <typename Type>
concept movable_for_free =
    std::is_nothrow_move_constructible_v<Type> && std::is_nothrow_move_assignable_v<Type>;

/// Written with designated initialisers, copied, and moved for free.
template <typename Type>
concept plain = std::is_aggregate_v<Type> && std::copyable<Type> && movable_for_free<Type>;

/// Plain, and `{}` is a complete value of it.
template <typename Type>
concept plain_with_defaults = plain<Type> && std::default_initializable<Type>;

/// Plain with defaults, and compared by value.
template <typename Type>
concept plain_and_regular = plain_with_defaults<Type> && std::equality_comparable<Type>;

/// Its bytes are its value: written to files and sent as they are.
template <typename Type, std::size_t Bytes>
concept bytes_alone = std::is_trivially_copyable_v<Type> && std::is_standard_layout_v<Type> &&
                      sizeof(Type) == Bytes;

}  // namespace omnibal::statements
