// SPDX-License-Identifier: Apache-2.0
/// @file
/// Compares what ranks are about to call, over a communicator for control, before a library sees it
/// that would hang or move wrong bytes. Each rank sends each other one 16 bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/hash.hpp>

namespace omnibal::inline v0::detail {

/// What a rank calls, as it is compared with another one.
struct call_header {
  static constexpr std::uint16_t nothing = std::numeric_limits<std::uint16_t>::max();

  std::uint32_t order = 0;  // as in flight_entry
  channel_operation operation = channel_operation::send;
  element_type type = element_type::byte;
  std::uint16_t kind = nothing;  // the root of a broadcast, how a reduction reduces
  std::uint64_t count = 0;  // of elements; where ranks have counts of their own, a hash of them

  friend bool operator==(const call_header&, const call_header&) = default;
};
static_assert(sizeof(call_header) == 16);

/// Of counts that must be equal on all ranks.
[[nodiscard]] inline std::uint64_t hash_of(std::span<const std::size_t> counts) {
  hash_stream hash;
  for (const std::size_t count : counts) add_to_hash(hash, count);
  return hash.value();
}

[[nodiscard]] inline std::string describe(const call_header& call) {
  const auto operation = static_cast<std::size_t>(call.operation);
  if (operation >= channel_operation_names.size()) return "something unknown";
  std::string text = std::string(name_of(call.operation)) + ", number " +
                     std::to_string(call.order) + " of its kind, of ";
  const bool has_counts = call.operation == channel_operation::reduce_scatter ||
                          call.operation == channel_operation::all_gather;
  text += has_counts ? "counts of hash " : "";
  text += std::to_string(call.count) + " " + std::string(name_of(call.type));
  if (call.kind == call_header::nothing) return text;
  if (call.operation == channel_operation::broadcast)
    return text + " from rank " + std::to_string(call.kind);
  return text + ", " + std::string(name_of(static_cast<reduction>(call.kind)));
}

/// One message of a group.
struct called_message {
  std::size_t peer = 0;
  bool sends = false;
  call_header call = {};
};

/// The calls throw std::runtime_error where ranks differ, and pass on what control throws; all then
/// end the control too, so that ranks that do not take part learn the reason. Empty at first, when
/// nothing is compared.
class call_check {
 public:
  call_check() = default;
  /// `control`, of the same ranks, outlives the check.
  template <communicator Communicator>
  explicit call_check(Communicator& control)
      : rank_(control.rank()),
        size_(control.size()),
        exchange_([&control](std::span<const std::byte> sent, std::span<std::byte> received) {
          const std::vector<std::size_t> counts(control.size(), sizeof(call_header));
          control.all_to_all_bytes(sent, counts, received, counts);
        }),
        send_([&control](std::span<const std::byte> sent, std::size_t to) {
          control.send_bytes(sent, to);
        }),
        receive_([&control](std::span<std::byte> received, std::size_t from) {
          control.receive_bytes(received, from);
        }),
        abort_([&control](std::string_view reason) { control.abort(reason); }) {}

  [[nodiscard]] explicit operator bool() const noexcept { return size_ > 0; }

  /// Sends own[r] to rank r, which must send expected[r].
  void collective(std::span<const call_header> own, std::span<const call_header> expected) const {
    std::vector<call_header> others(size_);
    exchange_(std::as_bytes(own), std::as_writable_bytes(std::span(others)));
    for (std::size_t r = 0; r < size_; ++r)
      if (r != rank_) require_equal(others[r], expected[r], own[r], r);
  }

  /// Both ends send each other their call.
  void message(const called_message& one) const {
    call_header other;
    const auto send_own = [&] { send_(std::as_bytes(std::span(&one.call, 1)), one.peer); };
    if (rank_ < one.peer) send_own();
    receive_(std::as_writable_bytes(std::span(&other, 1)), one.peer);
    if (rank_ > one.peer) send_own();
    call_header expected = one.call;
    expected.operation = one.sends ? channel_operation::receive : channel_operation::send;
    require_equal(other, expected, one.call, one.peer);
  }

  /// Pairs of ranks in one order on all ranks, so that none waits for another pair.
  void group(std::vector<called_message> messages) const {
    std::ranges::stable_sort(messages, {}, [&](const called_message& one) {
      const std::size_t low = std::min(rank_, one.peer);
      const bool from_low = one.sends == (rank_ == low);
      return std::tuple(low, std::max(rank_, one.peer), !from_low);
    });
    for (const called_message& one : messages) message(one);
  }

 private:
  void require_equal(const call_header& other, const call_header& expected, const call_header& own,
                     std::size_t r) const {
    if (other == expected) return;
    const std::string reason =
        on_rank(rank_) + " calls " + describe(own) + ", " + on_rank(r) + " " + describe(other);
    abort_(reason);
    throw std::runtime_error(reason);
  }

  std::size_t rank_ = 0;
  std::size_t size_ = 0;
  std::function<void(std::span<const std::byte>, std::span<std::byte>)> exchange_;
  std::function<void(std::span<const std::byte>, std::size_t)> send_;
  std::function<void(std::span<std::byte>, std::size_t)> receive_;
  std::function<void(std::string_view)> abort_;
};

}  // namespace omnibal::inline v0::detail
