// SPDX-License-Identifier: Apache-2.0
/// @file
/// A tensor_channel over MPI, whose ranks are processes and whose memory is the host's. Include it
/// only when the target omnibal::mpi is linked.
///
///     mpi_channel channel(MPI_COMM_WORLD, {.deadline = std::chrono::seconds(60)});
///
/// A message shorter or longer than expected is an error on its receiver, which reports it to
/// all others; in checked mode 16 bytes ahead of each message also contain operation and type. MPI
/// moves bytes while the rank calls into the channel, and so does Open MPI for large messages in
/// general.
#pragma once

#include <array>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/detail/host_channel.hpp>
#include <omnibal/comm/detail/mpi_requests.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/mpi.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct mpi_channel_options {
  /// The most bytes per message, 1 … INT_MAX; where ranks differ, the least of theirs.
  std::size_t largest_message = INT_MAX;
  /// Of construction and split, and of a ticket whose wait() has no deadline of its own: 0 or more,
  /// max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// Whether operation, type and size of a message are compared before it is sent. Equal on all
  /// ranks.
  bool checked = false;
  /// In the log.
  std::string name = "channel";
};

namespace detail {

/// The transport of one rank over a communicator of its own.
class mpi_transport final : public channel_transport {
 public:
  mpi_transport(mpi_communicator lane, bool checked) : lane_(std::move(lane)), checked_(checked) {}
  /// After a failure messages may still come, and MPI would deliver them to the next communicator
  /// that gets the number of one that was freed.
  ~mpi_transport() override {
    requests_.reset();
    if (reported_) (void)lane_.release();
  }

  [[nodiscard]] std::size_t rank() const noexcept override { return lane_.rank(); }
  [[nodiscard]] std::size_t size() const noexcept override { return lane_.size(); }
  [[nodiscard]] mpi_communicator& lane() noexcept { return lane_; }

  void start(std::span<const channel_message> messages, channel_operation operation) override {
    messages_.assign(messages.begin(), messages.end());
    require_mpi_on_this_thread();
    if (checked_)
      start_headers(operation);
    else
      start_bytes();
  }

  [[nodiscard]] bool test() override {
    if (!requests_->test()) return false;
    if (requests_->failure()) throw std::runtime_error(*requests_->failure());
    if (!headers_.empty()) {
      require_equal_headers();
      headers_.clear();
      start_bytes();
      return test();
    }
    requests_.reset();
    return true;
  }

  [[nodiscard]] std::vector<std::size_t> missing() const override {
    return requests_ ? requests_->missing() : std::vector<std::size_t>();
  }
  void pause() override { looks_.pause(); }
  void give_up() override { requests_.reset(); }
  void leave() override {}
  void report(std::string_view reason) override {
    if (!reported_) mpi_notices::send(lane_.handle(), rank(), size(), reason);
    reported_ = true;
  }
  [[nodiscard]] bool reports_from_any_thread() const noexcept override { return false; }
  [[nodiscard]] std::optional<std::string> reported() override {
    auto notice = mpi_notices::receive(lane_.handle());
    if (notice) reported_ = true;  // the rank that failed has reported to all
    return notice;
  }

 private:
  /// What both ends of a message must agree on.
  struct header {
    std::uint32_t operation = 0;
    std::uint32_t type = 0;
    std::uint64_t bytes = 0;

    friend bool operator==(const header&, const header&) = default;
  };
  static_assert(sizeof(header) == 16);

  void start_headers(channel_operation operation) {
    headers_.clear();
    for (const channel_message& message : messages_)
      headers_.emplace_back(header{static_cast<std::uint32_t>(operation),
                                   static_cast<std::uint32_t>(message.type), message.bytes},
                            header{});
    reset_requests();
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      auto& [own, other] = headers_[i];
      const std::span sent(&own, 1);
      const std::span received(&other, 1);
      if (messages_[i].receives())
        requests_->receive(std::as_writable_bytes(received), messages_[i].peer, tag_header);
      else
        requests_->send(std::as_bytes(sent), messages_[i].peer, tag_header);
    }
  }

  void require_equal_headers() const {
    for (std::size_t i = 0; i < messages_.size(); ++i)
      if (messages_[i].receives() && headers_[i].first != headers_[i].second)
        throw std::runtime_error(on_rank(messages_[i].peer) + " sends " +
                                 text_of(headers_[i].second) + " to " + on_rank(rank()) +
                                 ", which expects " + text_of(headers_[i].first));
  }

  [[nodiscard]] static std::string text_of(const header& call) {
    if (call.operation >= channel_operation_names.size()) return "something unknown";
    return std::to_string(call.bytes) + " bytes of " +
           std::string(name_of(static_cast<element_type>(call.type))) + " in " +
           std::string(name_of(static_cast<channel_operation>(call.operation)));
  }

  void start_bytes() {
    reset_requests();
    for (const channel_message& message : messages_)
      if (message.receives())
        requests_->receive({message.received, message.bytes}, message.peer,
                           tag_of(received_[message.peer]++));
      else
        requests_->send({message.sent, message.bytes}, message.peer, tag_of(sent_[message.peer]++));
  }

  void reset_requests() {
    requests_ = std::make_unique<mpi_requests>(lane_.handle(), lane_.options().largest_message);
    looks_ = {};
  }

  /// Each message has a tag of its own, so that one with a piece too many does not fill the next.
  [[nodiscard]] static int tag_of(std::uint64_t number) {
    return first_tag + static_cast<int>(number % 16384);
  }

  static constexpr int tag_header = 15;
  static constexpr int first_tag = 16;

  mpi_communicator lane_;
  bool checked_;
  bool reported_ = false;
  std::vector<channel_message> messages_;
  std::vector<std::pair<header, header>> headers_;  // own, the other's
  std::unique_ptr<mpi_requests> requests_;
  std::map<std::size_t, std::uint64_t> sent_;
  std::map<std::size_t, std::uint64_t> received_;
  patience looks_;
};

}  // namespace detail

/// One rank of a channel over MPI; models tensor_channel. To be used by one thread, apart from
/// abort() and log(); see mpi_communicator for the thread level.
class mpi_channel : public detail::host_channel {
 public:
  /// To be called by all ranks of `parent`, which is duplicated. Throws invalid_input as
  /// mpi_communicator does.
  explicit mpi_channel(MPI_Comm parent = MPI_COMM_WORLD, const mpi_channel_options& options = {})
      : mpi_channel(mpi_communicator(parent, {.largest_message = options.largest_message,
                                              .deadline = options.deadline}),
                    options) {}

  [[nodiscard]] std::optional<mpi_channel> split(std::optional<int> color, int key) {
    (void)gather_colors(color, key);
    auto part = static_cast<detail::mpi_transport&>(transport()).lane().split(color, key);
    if (!part) return std::nullopt;
    return mpi_channel(std::move(*part), options_);
  }

 private:
  mpi_channel(mpi_communicator lane, const mpi_channel_options& options)
      : host_channel(std::make_unique<detail::mpi_transport>(std::move(lane), options.checked),
                     options.name, options.deadline),
        options_(options) {}

  mpi_channel_options options_;
};

}  // namespace omnibal::inline v0
