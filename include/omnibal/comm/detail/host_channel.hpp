// SPDX-License-Identifier: Apache-2.0
/// @file
/// A tensor_channel over host memory, given a transport that moves bytes between two ranks. Every
/// operation is a list of phases; a phase is a set of messages, and what is computed once they have
/// all ended. One operation after the other goes through its phases, whenever this rank calls into
/// the channel: nothing happens behind its back, and no thread is started.
///
/// A collective operation exchanges its parts directly, so each rank sends and receives the least
/// bytes possible: (n − 1)/n of the tensor to reduce or gather it, twice that for an all_reduce.
/// Sums are in rank order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// The part of a channel that tickets keep alive: its operations under way and its transport.
class host_channel_core;

/// The ticket of an operation on host memory.
class host_ticket {
 public:
  host_ticket(std::shared_ptr<host_channel_core> core, std::uint64_t sequence)
      : core_(std::move(core)), sequence_(sequence) {}

  [[nodiscard]] bool done();
  void wait();
  void wait(std::chrono::milliseconds deadline);
  void after(host_stream) { wait(); }

 private:
  std::shared_ptr<host_channel_core> core_;
  std::uint64_t sequence_;
};

/// Everything of a channel over host memory but how it is made and split.
class host_channel {
 public:
  using ticket = host_ticket;
  using stream_type = host_stream;
  static constexpr memory_space space = memory_space::host;

  /// `part` ends the errors of a channel that was split off another one: describe_part().
  host_channel(std::unique_ptr<channel_transport> transport, std::string name,
               std::chrono::milliseconds deadline, std::string part = {});
  host_channel(host_channel&&) noexcept = default;
  host_channel& operator=(host_channel&&) = delete;
  /// Waits for what was called, unless an exception passes or a group is open, which is reported to
  /// the other ranks.
  ~host_channel();

  [[nodiscard]] std::size_t rank() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept;

  ticket send(const_tensor_view sent, std::size_t to, host_stream = {});
  ticket receive(tensor_view received, std::size_t from, host_stream = {});
  ticket all_reduce(tensor_view values, reduction how, host_stream = {});
  ticket reduce_scatter(const_tensor_view sent, tensor_view received,
                        std::span<const std::size_t> counts, reduction how, host_stream = {});
  ticket all_gather(const_tensor_view sent, tensor_view received,
                    std::span<const std::size_t> counts, host_stream = {});
  ticket broadcast(tensor_view values, std::size_t root, host_stream = {});
  ticket all_to_all(const_tensor_view sent, std::span<const std::size_t> sent_counts,
                    tensor_view received, std::span<const std::size_t> received_counts,
                    host_stream = {});

  void begin_group();
  ticket end_group();

  void abort(std::string_view reason) noexcept;

  /// The last operations; from any thread.
  [[nodiscard]] flight_log log() const;
  [[nodiscard]] channel_watch_point watch_point() const;

 protected:
  [[nodiscard]] channel_transport& transport() noexcept;

  /// The ranks of this one's color by key, gathered through the channel itself: those of the part
  /// that it will belong to. Empty without a color.
  [[nodiscard]] std::vector<std::size_t> gather_part(std::optional<int> color, int key);

 private:
  std::shared_ptr<host_channel_core> core_;
  int exceptions_ = std::uncaught_exceptions();  // when constructed
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/host_channel.ipp>
#endif
