// SPDX-License-Identifier: Apache-2.0
/// @file
/// Pipeline schedules: which device runs which stages, and the order of operations on every device.
///
///     const omnibal::schedule_shape shape{
///         .kind = omnibal::schedules::interleaved{}, .stages = 4, .virtual_stages = 2,
///         .microbatches = 8};
///     const auto order = omnibal::device_order(shape, 0);
///
/// A pipeline of p devices has p·v virtual stages; every micro-batch passes forward through all of
/// them and backward again. A schedule gives a device to every stage and an order of operations to
/// every device: start times follow from durations (pipeline/simulate.hpp), activation memory from
/// the order alone (pipeline/memory.hpp).
///
/// Every schedule is a type of its own, in pipeline/schedules/; pipeline/schedules.hpp lists them.
/// A program may bring its own: a type that models pipeline_schedule is enough.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule_size.hpp>
#include <omnibal/pipeline/schedules/one_forward_one_backward.hpp>

namespace omnibal::inline v0 {

/// Any schedule, by value. Equal if the names are.
class any_schedule {
 public:
  constexpr any_schedule() noexcept : any_schedule(schedules::one_forward_one_backward{}) {}

  template <pipeline_schedule Schedule>
  constexpr any_schedule(Schedule) noexcept : members_(&members_of<Schedule>) {}

  [[nodiscard]] constexpr std::string_view name() const noexcept { return members_->name; }
  [[nodiscard]] constexpr const schedule_capabilities& capabilities() const noexcept {
    return members_->capabilities;
  }
  void validate(const schedule_size& size) const { members_->validate(size); }
  [[nodiscard]] std::size_t runnable_microbatches(const schedule_size& size,
                                                  std::size_t microbatches) const {
    return members_->runnable_microbatches(size, microbatches);
  }
  [[nodiscard]] std::size_t device(const schedule_size& size, std::size_t stage) const {
    return members_->device(size, stage);
  }
  [[nodiscard]] std::vector<pipeline_operation> order(const schedule_size& size,
                                                      std::size_t device) const {
    return members_->order(size, device);
  }

  friend constexpr bool operator==(const any_schedule& left, const any_schedule& right) noexcept {
    return left.name() == right.name();
  }

 private:
  struct members {
    std::string_view name;
    schedule_capabilities capabilities;
    void (*validate)(const schedule_size&);
    std::size_t (*runnable_microbatches)(const schedule_size&, std::size_t);
    std::size_t (*device)(const schedule_size&, std::size_t);
    std::vector<pipeline_operation> (*order)(const schedule_size&, std::size_t);
  };
  template <typename Schedule>
  static constexpr members members_of{Schedule::name,     Schedule::capabilities,
                                      Schedule::validate, Schedule::runnable_microbatches,
                                      Schedule::device,   Schedule::order};

  const members* members_;
};

/// A schedule with its size.
struct schedule_shape {
  any_schedule kind = {};
  std::size_t stages = 1;          ///< Devices, p.
  std::size_t virtual_stages = 1;  ///< Per device, v.
  std::size_t microbatches = 1;    ///< Per step, m.
  std::size_t group_size = 0;      ///< Interleaved: consecutive micro-batches per stage; 0 means p.

  [[nodiscard]] constexpr schedule_size size() const noexcept {
    return {stages, virtual_stages, microbatches, group_size};
  }
  [[nodiscard]] constexpr std::size_t total_stages() const noexcept {
    return stages * virtual_stages;
  }
  [[nodiscard]] constexpr bool splits_backward() const noexcept {
    return kind.capabilities().splits_backward;
  }
  /// Whether the virtual stages of a device may share its memory and time with others.
  [[nodiscard]] constexpr bool shares_devices() const noexcept {
    return kind.capabilities().most_virtual_stages > 1;
  }
  /// The device of a virtual stage. Preconditions: validate(*this) passes, stage < total_stages().
  [[nodiscard]] std::size_t device(std::size_t stage) const { return kind.device(size(), stage); }
  friend bool operator==(const schedule_shape&, const schedule_shape&) = default;
};

/// The least number of micro-batches, at least this one, that a schedule can run.
[[nodiscard]] std::size_t runnable_microbatches(const schedule_shape& schedule,
                                                std::size_t microbatches);

/// Throws invalid_input naming a size that is out of range for the schedule. O(1).
void validate(const schedule_shape& shape);

/// The operations of one device in the order in which it runs them. O(m·v).
/// Preconditions: validate(shape) passes, device < shape.stages.
[[nodiscard]] std::vector<pipeline_operation> device_order(const schedule_shape& shape,
                                                           std::size_t device);

/// The order of every device. O(p·m·v).
[[nodiscard]] std::vector<std::vector<pipeline_operation>> device_orders(
    const schedule_shape& shape);

/// The virtual stages of every device, in rising order. O(p·v).
[[nodiscard]] std::vector<std::vector<std::size_t>> stages_of_devices(const schedule_shape& shape);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/schedule.ipp>
#endif
