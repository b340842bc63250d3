// SPDX-License-Identifier: Apache-2.0
/// @file
/// The list of all packers. A packer that is not in it works as well, but no command can name it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <tuple>

#include <omnibal/config.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/streaming.hpp>

namespace omnibal::inline v0 {

using all_packers = std::tuple<packers::balanced, packers::isf, packers::streaming>;

/// Their names.
inline constexpr auto packer_names = []<typename... Packer>(std::tuple<Packer...>*) {
  return std::to_array<std::string_view>({Packer::name...});
}(static_cast<all_packers*>(nullptr));

/// The packer of this name with the options it has by default; nothing if none has it.
template <std::size_t Resources>
[[nodiscard]] std::optional<any_packer<Resources>> packer_named(std::string_view name) {
  std::optional<any_packer<Resources>> found;
  const auto look_at = [&](const auto& one) {
    if (one.name == name) found = one;
  };
  std::apply([&](const auto&... one) { (look_at(one), ...); }, all_packers{});
  return found;
}

}  // namespace omnibal::inline v0
