// SPDX-License-Identifier: Apache-2.0
/// @file
/// The list of all schedules. A schedule that is not in it works as well, but no file and no
/// command can name it.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/schedules/gpipe.hpp>
#include <omnibal/pipeline/schedules/interleaved.hpp>
#include <omnibal/pipeline/schedules/one_forward_one_backward.hpp>
#include <omnibal/pipeline/schedules/zero_bubble_h1.hpp>
#include <omnibal/pipeline/schedules/zero_bubble_v.hpp>

namespace omnibal::inline v0 {

inline constexpr auto all_schedules = std::to_array<any_schedule>(
    {schedules::gpipe{}, schedules::one_forward_one_backward{}, schedules::interleaved{},
     schedules::zero_bubble_h1{}, schedules::zero_bubble_v{}});

/// The schedule of this name; nothing if none has it.
[[nodiscard]] constexpr std::optional<any_schedule> schedule_named(std::string_view name) {
  for (const any_schedule& one : all_schedules)
    if (one.name() == name) return one;
  return std::nullopt;
}

}  // namespace omnibal::inline v0
