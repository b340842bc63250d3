// SPDX-License-Identifier: Apache-2.0
/// @file
/// A tensor_channel over MPI, whose ranks are processes and whose memory is the host's. Include it
/// only when the target omnibal::mpi is linked.
///
///     mpi_channel channel(MPI_COMM_WORLD, {.deadline = std::chrono::seconds(60)});
///
/// Every message begins with 40 bytes that tell what its sender called: operation, its number,
/// element type, counts, reduction, root. Where its receiver called something else it is an error
/// there, which is reported to all others, and no byte of it is taken. MPI moves bytes while the
/// rank calls into the channel, and so does Open MPI for large messages in general.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <deque>
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
#include <omnibal/comm/detail/channel_part.hpp>
#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/detail/host_channel.hpp>
#include <omnibal/comm/detail/message_header.hpp>
#include <omnibal/comm/detail/mpi_notices.hpp>
#include <omnibal/comm/detail/mpi_process.hpp>
#include <omnibal/comm/detail/mpi_requests.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/mpi.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct mpi_channel_options {
  /// The most bytes of a tensor per message of MPI, 1 … INT_MAX; where ranks differ, the least of
  /// theirs.
  std::size_t largest_message = INT_MAX;
  /// Of construction and split, and of a ticket whose wait() has no deadline of its own: 0 or more,
  /// max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// In the log.
  std::string name = "channel";
};

namespace detail {

/// The transport of one rank over a communicator of its own.
class mpi_transport final : public channel_transport {
 public:
  explicit mpi_transport(mpi_communicator lane) : lane_(std::move(lane)) {}
  /// After a failure messages may still come, and MPI would deliver them to the next communicator
  /// that gets the number of one that was freed.
  ~mpi_transport() override {
    if (requests_) give_up("a channel is destroyed within an operation");
    if (reported_) (void)lane_.release();
  }

  [[nodiscard]] std::size_t rank() const noexcept override { return lane_.rank(); }
  [[nodiscard]] std::size_t size() const noexcept override { return lane_.size(); }
  [[nodiscard]] mpi_communicator& lane() noexcept { return lane_; }

  void start(std::span<const channel_message> messages) override {
    require_mpi_on_this_thread();
    requests_ = std::make_unique<mpi_requests>(lane_.handle(), lane_.options().largest_message);
    envelopes_ = std::make_unique<envelopes>();
    looks_ = {};
    for (const channel_message& message : messages)
      if (message.receives())
        receive(message, tag_of(received_[message.peer]++));
      else
        send(message, tag_of(sent_[message.peer]++));
  }

  [[nodiscard]] bool test() override {
    if (!requests_->test()) return false;
    if (requests_->failure()) throw std::runtime_error(*requests_->failure());
    requests_.reset();
    envelopes_.reset();
    return true;
  }

  [[nodiscard]] std::vector<std::size_t> missing() const override {
    return requests_ ? requests_->missing() : std::vector<std::size_t>();
  }
  void pause() override { looks_.pause(); }
  void give_up(std::string_view reason) override {
    if (requests_) requests_->give_up(reason);
    requests_.reset();
    (void)envelopes_.release();  // MPI may still read what was to be sent
  }
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
  /// A header and the first bytes of its message; what does not fit follows by itself.
  struct envelope {
    // With the header less than what libraries of MPI send ahead of the receive.
    static constexpr std::size_t most = 3960;

    message_header header = {};
    std::array<std::byte, most> first;

    envelope() {}  // leaves the bytes as they are
  };
  using envelopes = std::deque<envelope>;

  /// The bytes of a message that its envelope has.
  [[nodiscard]] std::size_t bytes_within(std::size_t bytes) const {
    return std::min({bytes, envelope::most, lane_.options().largest_message});
  }

  void send(const channel_message& message, int tag) {
    envelope& sent = envelopes_->emplace_back();
    const std::size_t within = bytes_within(message.bytes());
    sent.header = message.header;
    std::copy_n(message.sent, within, sent.first.begin());
    requests_->send_whole(
        {reinterpret_cast<const std::byte*>(&sent), sizeof(message_header) + within}, message.peer,
        tag_envelope);
    if (within < message.bytes())
      requests_->send(std::span(message.sent, message.bytes()).subspan(within), message.peer, tag);
  }

  /// The rest of a message is received once its envelope has come and fits.
  void receive(const channel_message& message, int tag) {
    envelope& came = envelopes_->emplace_back();
    requests_->receive_whole(
        {reinterpret_cast<std::byte*>(&came), sizeof(envelope)}, message.peer, tag_envelope,
        [this, &came, message, tag](std::size_t bytes) {
          const std::size_t within = bytes_within(message.bytes());
          if (came.header != message.header || bytes != sizeof(message_header) + within)
            throw std::runtime_error(
                mismatch_text(message.peer, came.header, rank(), message.header));
          std::copy_n(came.first.begin(), within, message.received);
          if (within < message.bytes())
            requests_->receive(std::span(message.received, message.bytes()).subspan(within),
                               message.peer, tag);
        });
  }

  /// The rest of each message has a tag of its own: envelopes may be looked at in any order.
  [[nodiscard]] static int tag_of(std::uint64_t number) {
    return first_tag + static_cast<int>(number % 16384);
  }

  static constexpr int tag_envelope = 15;
  static constexpr int first_tag = 16;

  mpi_communicator lane_;
  bool reported_ = false;
  std::unique_ptr<envelopes> envelopes_;  // outlives the requests
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
    const std::vector<std::size_t> members = gather_part(color, key);
    auto part = static_cast<detail::mpi_transport&>(transport()).lane().split(color, key);
    const std::uint64_t number = splits_++;
    if (!part) return std::nullopt;
    mpi_channel_options options = options_;
    options.name = detail::part_name(options_.name, number, *color);
    return mpi_channel(std::move(*part), options, detail::describe_part(members, options_.name));
  }

 private:
  mpi_channel(mpi_communicator lane, const mpi_channel_options& options, std::string part = {})
      : host_channel(std::make_unique<detail::mpi_transport>(std::move(lane)), options.name,
                     options.deadline, std::move(part)),
        options_(options) {}

  mpi_channel_options options_;
  std::uint64_t splits_ = 0;
};

}  // namespace omnibal::inline v0
