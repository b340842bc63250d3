// SPDX-License-Identifier: Apache-2.0
/// @file
/// Where ranks that are threads meet: all of them at every collective operation, two of them at a
/// pair of send and receive. What each passes is compared before anything is copied, so a mistake
/// is an error on every rank, and so is a rank that is missing at the deadline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// The collective operation that one rank called, with its arguments.
struct rank_call {
  std::string_view operation;
  std::size_t root = 0;
  std::span<const std::byte> sent = {};
  std::span<const std::size_t> sent_counts = {};
  std::span<std::byte> received = {};
  std::span<const std::size_t> received_counts = {};
  std::optional<int> color = {};
  int key = 0;
};

/// The reason why calls do not match; empty when they do.
[[nodiscard]] std::string find_mismatch(std::span<const rank_call> calls);

/// The ranks that pass the color of `rank`, by key and then by rank; empty without a color.
[[nodiscard]] std::vector<std::size_t> ranks_of_color(std::span<const rank_call> calls,
                                                      std::size_t rank);

/// The synchronisation point of all ranks: each arrives with its call, reads the calls of the
/// others, and departs.
class meeting_point {
 public:
  meeting_point(std::size_t size, std::chrono::milliseconds deadline);

  [[nodiscard]] std::size_t size() const noexcept { return calls_.size(); }

  /// Waits for all ranks and returns their calls, which are valid until depart(). Throws
  /// communication_error when they do not match or a rank is missing.
  [[nodiscard]] std::span<const rank_call> arrive(std::size_t rank, const rank_call& call);

  /// Waits until all ranks have read the calls that they need.
  void depart();

  /// After arrive() at a split and before depart(): the meeting point of the ranks of one color.
  [[nodiscard]] std::shared_ptr<meeting_point> child_of(std::size_t rank);

  /// Offers bytes to rank `to` and waits until it has taken them.
  void send(std::size_t from, std::size_t to, std::span<const std::byte> bytes);
  /// Waits for the bytes of rank `from`.
  void receive(std::size_t to, std::size_t from, std::span<std::byte> bytes);

  /// Records that a rank will not arrive again. Ranks that wait for it get an error.
  void leave(std::size_t rank) noexcept;

  /// Fails every operation of every rank, here and in the parts that were split off.
  void abort(std::size_t rank, std::string_view reason) noexcept;

 private:
  enum class seat { away, taken, left };

  /// A send and its receive, each of them present or not, and how many messages were before them.
  struct passage {
    std::optional<std::span<const std::byte>> offered = {};
    std::optional<std::size_t> wanted = {};
    bool taken = false;
    std::uint64_t sequence = 0;
  };

  [[nodiscard]] std::string list(seat state) const;
  [[nodiscard]] std::vector<std::shared_ptr<meeting_point>> make_children() const;
  void take_seat(std::size_t rank, const rank_call& call);
  void wait_for_others(std::unique_lock<std::mutex>& lock, std::uint64_t sequence);
  void wait_for_peer(std::unique_lock<std::mutex>& lock, std::size_t peer, const bool& done);
  void match(const passage& message, std::size_t from, std::size_t to);
  void require_peer_here(std::size_t peer);
  void fail(std::string reason);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<rank_call> calls_;
  std::vector<seat> seats_;
  std::vector<std::shared_ptr<meeting_point>> children_;  // by rank, during a split
  std::vector<std::weak_ptr<meeting_point>> parts_;       // of all splits
  std::map<std::pair<std::size_t, std::size_t>, passage> passages_;
  std::size_t present_ = 0;
  std::uint64_t started_ = 0;  // meetings at which all ranks arrived, with calls that match
  std::uint64_t ended_ = 0;    // meetings from which all ranks departed
  std::string failure_;        // once set, every later operation fails
  std::chrono::milliseconds deadline_;
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/meeting_point.ipp>
#endif
