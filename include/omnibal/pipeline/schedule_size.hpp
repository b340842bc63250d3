// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a schedule is: its sizes, its capabilities, and the concept pipeline_schedule.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/operation.hpp>

namespace omnibal::inline v0 {

/// The sizes of a schedule.
struct schedule_size {
  static constexpr std::size_t largest = std::size_t{1} << 20;  ///< Of each.

  std::size_t stages = 1;          ///< Devices, p.
  std::size_t virtual_stages = 1;  ///< Per device, v.
  std::size_t microbatches = 1;    ///< Per step, m.
  std::size_t group_size = 0;      ///< Interleaved: consecutive micro-batches per stage; 0 means p.
};

/// What planning has to know of a schedule.
struct schedule_capabilities {
  bool splits_backward = false;  ///< W is an operation of its own.
  /// Virtual stages per device, least and most. Where the most is 1, every stage has a device to
  /// itself.
  std::size_t least_virtual_stages = 1;
  std::size_t most_virtual_stages = 1;
  bool in_megatron_lm = false;  ///< Megatron-LM runs it.
};

/// A schedule: an empty type whose static members give its name in files, messages and on the
/// command line, its capabilities, the sizes that it can run, and its placement and order.
/// - `validate(size)` throws invalid_input naming the size that the schedule cannot run. Sizes
///   of 0 and virtual stages outside the capabilities have been refused before.
/// - `runnable_microbatches(size, n)` is the least number of micro-batches, at least n, that it
///   can run.
/// - `device(size, stage)` is the device of a virtual stage.
/// - `order(size, device)` has every operation of the device's stages once: F and B of every
///   micro-batch, and W where the backward is split. Operations of the same stage and kind take
///   the micro-batches in rising order; planning refuses another, which can be simulated alone.
template <typename Schedule>
concept pipeline_schedule = std::is_empty_v<Schedule> && std::default_initializable<Schedule> &&
    requires(const schedule_size& size, std::size_t number) {
  { Schedule::name } -> std::convertible_to<std::string_view>;
  { Schedule::capabilities } -> std::convertible_to<schedule_capabilities>;
  { Schedule::validate(size) } -> std::same_as<void>;
  { Schedule::runnable_microbatches(size, number) } -> std::same_as<std::size_t>;
  { Schedule::device(size, number) } -> std::same_as<std::size_t>;
  { Schedule::order(size, number) } -> std::same_as<std::vector<pipeline_operation>>;
};

}  // namespace omnibal::inline v0
