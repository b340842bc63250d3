// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <omnibal/comm/detail/letter_board.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "catch.hpp"
#include "comm/channel_checks.hpp"
#include "comm/mismatch_checks.hpp"

namespace {

using Catch::Matchers::ContainsSubstring;
using omnibal::element_type;
using omnibal::flight_log;
using omnibal::reduction;
using omnibal::thread_channel;
using omnibal::thread_channel_options;
using omnibal::view_of;

static_assert(omnibal::tensor_channel<thread_channel>);

using body = std::function<void(thread_channel&)>;

/// The error of each rank when all run `run` over one channel, and their logs afterwards.
struct outcome {
  std::vector<std::string> errors;
  std::vector<flight_log> logs;
};

outcome run_channels(std::size_t size, const thread_channel_options& options, const body& run) {
  outcome result{std::vector<std::string>(size), std::vector<flight_log>(size)};
  omnibal::run_as_ranks(size, [&](omnibal::thread_communicator& ranks) {
    thread_channel channel = omnibal::open_thread_channel(ranks, options);
    try {
      run(channel);
    } catch (const omnibal::communication_error& error) {
      result.errors[ranks.rank()] = error.what();
    }
    result.logs[ranks.rank()] = channel.log();
  });
  return result;
}

constexpr auto short_wait = std::chrono::milliseconds(200);
constexpr auto long_wait = std::chrono::seconds(20);

}  // namespace

TEST_CASE("channels between threads do what every channel must") {
  for (const bool rendezvous : {false, true})
    for (const std::size_t size : {1U, 2U, 3U, 5U, 8U}) {
      const outcome result =
          run_channels(size, {.rendezvous = rendezvous},
                       [](thread_channel& channel) { channel_checks::check_channel(channel, 3); });
      CHECK(result.errors == std::vector<std::string>(size));
      CHECK_FALSE(omnibal::first_difference(result.logs));
    }
}

TEST_CASE("a group that an abort left open says so at every call") {
  for (const std::size_t size : {2U, 3U})
    CHECK(run_channels(size, {}, [](thread_channel& channel) {
            channel_checks::check_aborted_group(channel);
          }).errors == std::vector<std::string>(size));
}

TEST_CASE("an error of a part says which ranks of the whole are in it") {
  for (const std::size_t size : {2U, 3U, 8U, 11U}) {
    const outcome result = run_channels(size, {.name = "whole"}, [](thread_channel& channel) {
      channel_checks::abort_part(channel);
    });
    for (std::size_t r = 1; r < size; ++r)
      CHECK(channel_checks::complaint_of_aborted_part(result.errors[r], size, "whole") == "");
  }
}

TEST_CASE("both send first: fine with mailboxes, the deadline in rendezvous mode") {
  const auto exchange = [](thread_channel& channel) {
    std::vector<float> own(8, static_cast<float>(channel.rank()));
    std::vector<float> other(8);
    channel.send(view_of(own), 1 - channel.rank());
    channel.receive(view_of(other), 1 - channel.rank()).wait();
    CHECK(other[7] == static_cast<float>(1 - channel.rank()));
  };
  CHECK(run_channels(2, {}, exchange).errors == std::vector<std::string>(2));
  const outcome hung = run_channels(2, {.rendezvous = true, .deadline = short_wait}, exchange);
  int at_deadline = 0;
  for (const std::string& error : hung.errors)
    if (error.find("send of 32 bytes of f32 to rank") != std::string::npos &&
        error.find("did not come within 200 ms") != std::string::npos)
      ++at_deadline;
  CHECK(at_deadline >= 1);
}

TEST_CASE(
    "calls that differ between ranks are an error on all of them that says what each called") {
  for (const auto& differing : mismatch_checks::mismatches<thread_channel>())
    for (const bool rendezvous : {false, true})
      for (const std::size_t size : {2U, 4U}) {
        if (rendezvous && differing.name == "roots that both send") continue;
        INFO(differing.name << ", rendezvous " << rendezvous << ", ranks " << size);
        const outcome result = run_channels(
            size, {.rendezvous = rendezvous, .deadline = long_wait},
            [&](thread_channel& channel) { mismatch_checks::run(differing, channel); });
        for (std::size_t r = 0; r < size; ++r)
          CHECK(mismatch_checks::complaint(differing, r, result.errors[r]) == "");
      }
}

TEST_CASE("roots that differ are an error at the deadline where none can be found before") {
  const auto errors_of = [](std::size_t first, std::size_t second, bool rendezvous) {
    return run_channels(
               2, {.rendezvous = rendezvous, .deadline = short_wait},
               [=](thread_channel& channel) {
                 std::vector<float> values(5);
                 channel.broadcast(view_of(values), channel.rank() == 0 ? first : second).wait();
               })
        .errors;
  };
  // One of them may have failed and left before the other one's deadline.
  for (const auto& errors : {errors_of(0, 1, true), errors_of(1, 0, true), errors_of(1, 0, false)})
    for (const std::string& error : errors) {
      CHECK_THAT(error, ContainsSubstring("broadcast of 20 bytes of f32 #0"));
      CHECK_THAT(error, ContainsSubstring("did not come within 200 ms"));
    }
}

TEST_CASE("bytes of another call are not received") {
  std::vector<float> received(4, -1.0F);
  run_channels(2, {}, [&](thread_channel& channel) {
    const std::vector<double> doubles(2, 3.0);
    if (channel.rank() == 0) channel.send(view_of(doubles), 1);
    if (channel.rank() == 1) channel.receive(view_of(received), 0).wait();
  });
  CHECK(received == std::vector<float>(4, -1.0F));
}

TEST_CASE("a sum of integers that overflows is an error on all ranks, not another number") {
  const outcome result = run_channels(2, {}, [](thread_channel& channel) {
    std::vector<std::int64_t> values = {1, std::numeric_limits<std::int64_t>::max()};
    channel.all_reduce(view_of(values), reduction::sum).wait();
  });
  for (const std::string& error : result.errors)
    CHECK_THAT(error, ContainsSubstring("sum over ranks"));
}

TEST_CASE("an exception on one rank and an abort end the others at once") {
  const auto wait_for = [](thread_channel& channel) {
    std::vector<float> values(1);
    channel.all_reduce(view_of(values), reduction::sum).wait();
  };
  std::vector<std::string> errors(3);
  const auto throwing = [&](omnibal::thread_communicator& ranks) {
    thread_channel channel = omnibal::open_thread_channel(ranks);
    if (ranks.rank() == 2) throw std::domain_error("the loss is not a number");
    try {
      wait_for(channel);
    } catch (const omnibal::communication_error& error) {
      errors[ranks.rank()] = error.what();
    }
  };
  CHECK_THROWS_AS(omnibal::run_as_ranks(3, throwing), std::domain_error);
  for (const std::size_t r : {0U, 1U})
    CHECK_THAT(errors[r], ContainsSubstring("rank 2 aborted: an exception"));
  const outcome aborted = run_channels(3, {}, [&](thread_channel& channel) {
    if (channel.rank() == 1) channel.abort("a spike of the loss");
    wait_for(channel);
  });
  for (const std::string& error : aborted.errors)
    CHECK_THAT(error, ContainsSubstring("rank 1 aborted: a spike of the loss"));
}

TEST_CASE("a channel destroyed within a group ends the others with the reason") {
  for (const bool rendezvous : {false, true})
    for (const bool by_exception : {false, true}) {
      std::vector<std::string> errors(3);
      omnibal::run_as_ranks(3, [&](omnibal::thread_communicator& ranks) {
        errors[ranks.rank()] = channel_checks::error_of_destroyed_group(
            [&] {
              return omnibal::open_thread_channel(
                  ranks, {.rendezvous = rendezvous, .deadline = long_wait});
            },
            by_exception);
      });
      for (const std::size_t r : {1U, 2U})
        CHECK_THAT(errors[r],
                   ContainsSubstring(channel_checks::expected_of_destroyed_group(by_exception)));
    }
}

TEST_CASE("channels with a negative deadline are refused, and may wait for ever") {
  constexpr auto negative = std::chrono::milliseconds(-1);
  CHECK_THROWS_WITH(omnibal::make_thread_channels(2, {.deadline = negative}),
                    ContainsSubstring("deadline = -1: milliseconds must not be negative"));
  std::vector<int> refused(2);
  omnibal::run_as_ranks(2, [&](omnibal::thread_communicator& ranks) {
    try {
      (void)omnibal::open_thread_channel(ranks, {.deadline = negative});
    } catch (const omnibal::invalid_input&) {
      refused[ranks.rank()] = 1;
    }
  });
  CHECK(refused == std::vector<int>{1, 1});
  const outcome patient =
      run_channels(2, {.deadline = std::chrono::milliseconds::max()}, [](thread_channel& channel) {
        if (channel.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        std::vector<float> sum(1);
        channel.all_reduce(view_of(sum), reduction::sum).wait();
      });
  CHECK(patient.errors == std::vector<std::string>(2));
}

TEST_CASE("a rank that fails and leaves is missed with its reason, not for having left") {
  omnibal::detail::letter_board board(2);
  omnibal::detail::channel_message wanted{.peer = 1,
                                          .header = {.bytes = 4, .type = element_type::f32}};
  const auto take = [&] { return board.take(0, wanted); };
  CHECK_FALSE(take());
  board.fail("rank 1 aborted: no memory");
  board.leave(1);
  CHECK_THROWS_WITH(take(), "rank 1 aborted: no memory");
}

TEST_CASE("bf16 rounds to nearest even and keeps what is no number") {
  CHECK(omnibal::to_bf16(1.0F).bits == 0x3f80);
  CHECK(omnibal::to_bf16(1.00390625F).bits == 0x3f80);  // half-way, to even
  CHECK(omnibal::to_bf16(1.01171875F).bits == 0x3f82);  // half-way, to even
  CHECK(omnibal::to_float(omnibal::to_bf16(-2.5F)) == -2.5F);
  const float nan = omnibal::to_float(omnibal::to_bf16(std::numeric_limits<float>::quiet_NaN()));
  CHECK(nan != nan);
  CHECK(omnibal::to_bf16(std::numeric_limits<float>::infinity()).bits == 0x7f80);
  CHECK(omnibal::to_bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
}

TEST_CASE("sums are in rank order: the same bits as a sum by hand") {
  constexpr std::array<float, 4> of_rank = {1e8F, 1.0F, -1e8F, 0.5F};
  float by_hand = of_rank[0];
  for (std::size_t r = 1; r < 4; ++r) by_hand += of_rank[r];
  run_channels(4, {}, [&](thread_channel& channel) {
    std::vector<float> values(7, of_rank[channel.rank()]);
    channel.all_reduce(view_of(values), reduction::sum).wait();
    channel_checks::expect(values == std::vector<float>(7, by_hand), "sum in rank order");
  });
}
