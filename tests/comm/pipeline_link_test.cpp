// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <omnibal/comm/pipeline_link.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "catch.hpp"
#include "comm/pipeline_checks.hpp"

namespace {

using namespace pipeline_checks;
using Catch::Matchers::ContainsSubstring;
using omnibal::pipeline_link;
using omnibal::thread_channel;
using omnibal::thread_communicator;

constexpr auto long_wait = std::chrono::seconds(60);
constexpr auto short_wait = std::chrono::milliseconds(200);

/// The errors of all ranks; empty where they ended well.
std::vector<std::string> errors_of(const schedule_shape& shape, const programs& ranks,
                                   const passage_sizes& sizes, std::chrono::milliseconds deadline,
                                   std::size_t in_flight = 2) {
  std::vector<std::string> errors(shape.stages);
  omnibal::run_as_ranks(shape.stages, [&](thread_communicator& own) {
    thread_channel channel =
        omnibal::open_thread_channel(own, {.rendezvous = true, .deadline = deadline});
    try {
      run_pipeline(channel, shape, ranks, sizes, in_flight);
    } catch (const omnibal::communication_error& error) {
      errors[own.rank()] = error.what();
    }
  });
  return errors;
}

using thread_link = pipeline_link<thread_channel>;

/// Sends four bytes from stage 0 to rank 1.
void send(thread_link& one, std::uint32_t microbatch) {
  (void)one.output({.kind = item_kind::forward, .microbatch = microbatch}, 4);
  one.issue({.kind = item_kind::send_activation, .microbatch = microbatch, .peer = 1}, 4);
}

}  // namespace

TEST_CASE("every schedule runs to its end where a send ends with its receive") {
  for (const std::size_t p : {1U, 2U, 3U, 4U, 8U})
    for (const schedule_shape& shape : shapes_of(p, {1, p + 1, 2 * p}))
      for (const std::size_t in_flight : {1U, 2U}) {
        INFO(name_of(shape) << ", in flight " << in_flight);
        CHECK(errors_of(shape, message_order_of(shape), {.seed = 7 * p, .most = 300}, long_wait,
                        in_flight) == std::vector<std::string>(p));
      }
}

TEST_CASE("the natural order reaches its deadline exactly where the model gets stuck") {
  std::size_t stuck = 0;
  std::size_t free = 0;
  for (const std::size_t p : {2U, 4U})
    for (const schedule_shape& shape : shapes_of(p, {1, p + 1})) {
      const programs natural = omnibal::test::as_operations_come(shape, message_order_of(shape));
      INFO(name_of(shape));
      std::string all;
      for (const std::string& error :
           errors_of(shape, natural, {.seed = p, .most = 30, .some_are_empty = false},
                     is_stuck(natural) ? std::chrono::milliseconds(short_wait) : long_wait))
        all += error;
      if (is_stuck(natural))
        CHECK_THAT(all, ContainsSubstring("did not come within 200 ms"));
      else
        CHECK(all.empty());
      ++(is_stuck(natural) ? stuck : free);
    }
  CHECK(stuck > 5);
  CHECK(free > 5);
}

TEST_CASE("no more messages of a kind are under way than in_flight") {
  for (const std::size_t in_flight : {1U, 2U, 3U}) {
    // Rank 1 calls nothing.
    auto channels = omnibal::make_thread_channels(2, {.rendezvous = true, .deadline = short_wait});
    thread_link one(channels[0], {.in_flight = in_flight});
    std::uint32_t issued = 0;
    const auto issue_all = [&] {
      for (; issued < 10; ++issued) send(one, issued);
    };
    CHECK_THROWS_AS(issue_all(), omnibal::communication_error);
    CHECK(issued == in_flight);
    CHECK(one.held_bytes() == std::int64_t{4} * (issued + 1));
  }
  auto alone = omnibal::make_thread_channels(2);
  CHECK_THROWS_WITH(thread_link(alone[0], {.in_flight = 0}), "in_flight = 0: must be at least 1");
}

TEST_CASE("what passes between two stages of one rank stays in its buffer") {
  auto channels = omnibal::make_thread_channels(1);
  thread_link one(channels[0]);
  const execution_item first{.kind = item_kind::forward, .stage = 0, .microbatch = 3};
  const execution_item second{.kind = item_kind::forward, .stage = 1, .microbatch = 3};
  const auto made = one.output(first, 8);
  CHECK(made.data == one.input(second).data);
  CHECK(one.input(first).count == 0);
  CHECK(one.held_bytes() == 8);
  CHECK_THROWS_WITH(one.finish(),
                    "step = activation after stage 0, micro-batch 3: was neither sent nor read: "
                    "items are missing");
  one.release_input(second);
  one.finish();
  CHECK(one.held_bytes() == 0);
}

TEST_CASE("items and bytes that do not fit are refused before anything is sent") {
  auto channels = omnibal::make_thread_channels(2);
  thread_link one(channels[0]);
  const execution_item forward{.kind = item_kind::forward};
  const execution_item sent{.kind = item_kind::send_activation, .peer = 1};
  const execution_item received{.kind = item_kind::receive_gradient, .peer = 1};
  CHECK_THROWS_WITH(one.issue(forward, 4), ContainsSubstring("must be a message"));
  CHECK_THROWS_WITH(one.issue(sent, 4), ContainsSubstring("was not filled by an operation"));
  CHECK_THROWS_WITH(one.issue(received, -4), ContainsSubstring("= -4: must be a multiple of 4"));
  CHECK_THROWS_WITH(one.issue(received, 6), ContainsSubstring("= 6: must be a multiple of 4"));
  (void)one.output(forward, 4);
  CHECK_THROWS_WITH(one.output(forward, 4),
                    "buffer = activation after stage 0, micro-batch 0: exists already");
  CHECK_THROWS_WITH(one.issue(sent, 8), ContainsSubstring("must be those of its buffer, 4"));
  one.issue(sent, 0);
  CHECK(channels[0].log().entries.empty());
}

TEST_CASE("a buffer whose message is under way is not released before it was read") {
  auto channels = omnibal::make_thread_channels(2, {.rendezvous = true});
  const execution_item reads{.kind = item_kind::forward, .stage = 1, .microbatch = 2};
  const execution_item received{
      .kind = item_kind::receive_activation, .stage = 1, .microbatch = 2, .peer = 0};
  thread_link one(channels[1]);
  one.issue(received, 8);
  constexpr const char* refusal =
      "buffer = activation after stage 0, micro-batch 2: has a message under way; call input() "
      "before release_input()";
  CHECK_THROWS_WITH(one.release_input(reads), refusal);
  CHECK(one.held_bytes() == 8);
  const std::vector<float> sent = {3.0F, 4.0F};
  auto sending = channels[0].send(omnibal::view_of(sent), 1);
  CHECK(one.input(reads).count == 2);
  one.release_input(reads);
  sending.wait();
  CHECK(one.held_bytes() == 0);

  // A stage that reads what its own rank sends to another one.
  thread_link other(channels[0]);
  send(other, 3);
  CHECK_THROWS_WITH(other.release_input({.kind = item_kind::forward, .stage = 1, .microbatch = 3}),
                    ContainsSubstring("has a message under way"));
  std::vector<float> arrived(1);
  channels[1].receive(omnibal::view_of(arrived), 0).wait();
  other.finish();
}

TEST_CASE("a link that an exception destroys leaves no message that points into its memory") {
  std::string error;
  std::atomic<bool> is_gone = false;
  const auto destroy_with_message = [](thread_channel& channel) {
    thread_link one(channel);
    send(one, 0);
    throw std::domain_error("the loss is not a number");
  };
  const auto run = [&](thread_communicator& ranks) {
    thread_channel channel = omnibal::open_thread_channel(ranks, {.rendezvous = true});
    try {
      if (ranks.rank() == 0) destroy_with_message(channel);
      while (!is_gone) std::this_thread::yield();
      std::vector<float> received(1);
      channel.receive(omnibal::view_of(received), 0).wait();
    } catch (const omnibal::communication_error& thrown) {
      error = thrown.what();
    } catch (const std::domain_error&) {
      is_gone = true;
      throw;
    }
  };
  CHECK_THROWS_AS(omnibal::run_as_ranks(2, run), std::domain_error);
  CHECK_THAT(error, ContainsSubstring("rank 0 aborted: messages of a pipeline are given up"));
}
