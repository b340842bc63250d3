// SPDX-License-Identifier: Apache-2.0
// Channels over threads stand for those whose memory is a device's: the "device" is memory of its
// own, so what is not copied there and back is not seen.
#include "staged_channel.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "catch.hpp"
#include "comm/channel_checks.hpp"

using namespace omnibal;
using namespace omnibal::trainer;

namespace {

/// Counts what is allocated; memory is full of ones, so that what nobody wrote is no number.
class counted_memory {
 public:
  std::byte* allocate(std::size_t bytes) {
    if (bytes == 0) throw std::logic_error("0 bytes");
    ++held;
    auto* const memory = new std::byte[bytes];
    std::memset(memory, 0xff, bytes);
    return memory;
  }
  void release(std::byte* memory) noexcept {
    --held;
    delete[] memory;
  }
  void copy_in(std::byte* to, const std::byte* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
  }
  void copy_out(std::byte* to, const std::byte* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
  }
  host_stream stream() { return {}; }

  int held = 0;
};

using channel_under_test = staged_channel<thread_channel, counted_memory>;
static_assert(tensor_channel<channel_under_test>);
static_assert(channel_under_test::space == memory_space::host);

channel_under_test open(thread_communicator& ranks, const std::shared_ptr<counted_memory>& memory) {
  return {open_thread_channel(ranks, {.rendezvous = true, .deadline = std::chrono::seconds(20)}),
          memory};
}

}  // namespace

TEST_CASE("A staged channel does all that a channel does, and frees the device's memory") {
  for (const std::size_t size : {1U, 2U, 3U, 5U}) {
    std::vector<int> held(size, -1);
    run_as_ranks(size, [&](thread_communicator& ranks) {
      auto memory = std::make_shared<counted_memory>();
      {
        channel_under_test channel = open(ranks, memory);
        channel_checks::check_channel(channel, 3);
      }
      held[ranks.rank()] = memory->held;
    });
    CHECK(held == std::vector<int>(size, 0));
  }
}

TEST_CASE(
    "What is sent may change at once, and what is received is there once another call is done") {
  std::vector<float> seen(2);
  run_as_ranks(2, [&](thread_communicator& ranks) {
    channel_under_test channel = open(ranks, std::make_shared<counted_memory>());
    std::vector<float> value = {static_cast<float>(ranks.rank()) + 1};
    std::vector<float> one = {1};
    if (ranks.rank() == 0) {
      channel.send(view_of(value), 1);
      value[0] = 7;
    } else {
      channel.receive(view_of(value), 0);  // the ticket is dropped
    }
    channel.all_reduce(view_of(one), reduction::sum).wait();
    seen[ranks.rank()] = value[0] + one[0];
  });
  CHECK(seen == std::vector<float>{9, 3});
}

TEST_CASE("Abort of a staged channel ends the waits of the other ranks with its reason") {
  std::vector<std::string> errors(2);
  run_as_ranks(2, [&](thread_communicator& ranks) {
    channel_under_test channel = open(ranks, std::make_shared<counted_memory>());
    std::vector<float> value = {1};
    if (ranks.rank() == 0) {
      channel.abort("no more");
      return;
    }
    try {
      channel.receive(view_of(value), 0).wait();
    } catch (const communication_error& error) {
      errors[1] = error.what();
    }
  });
  CHECK(errors[1].find("no more") != std::string::npos);
}
