// SPDX-License-Identifier: Apache-2.0
/// @file
/// How channels and communicators over NCCL end when something fails, against the fake NCCL of
/// fake_nccl.hpp: by a watchdog while their rank waits in CUDA, together with others of a set,
/// within a group, while an exception passes, and by the end of the process where NCCL does not
/// abort.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <omnibal/comm/nccl.hpp>
#include <omnibal/comm/nccl_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/comm/watchdog.hpp>

#include "comm/collective_checks.hpp"
#include "comm/nccl/fake_nccl.hpp"
#include "comm/nccl/fake_ranks.hpp"

namespace {

using collective_checks::expect;
using collective_checks::expect_throw;
using omnibal::communication_error;
using omnibal::invalid_input;
using omnibal::nccl_channel;
using omnibal::nccl_channel_options;
using omnibal::nccl_communicator;
using omnibal::nccl_communicator_set;
using omnibal::reduction;
using omnibal::thread_communicator;
using omnibal::view_of;
using std::chrono::milliseconds;

constexpr milliseconds long_deadline = std::chrono::minutes(2);

nccl_channel open(thread_communicator& ranks, const nccl_channel_options& options) {
  return {omnibal::exchange_nccl_id(ranks), ranks.rank(), ranks.size(), options};
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const communication_error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

void expect_part(const std::string& text, const std::string& part) {
  expect(text.find(part) != std::string::npos, "\"" + text + "\" has no \"" + part + "\"");
}

struct stream {
  stream() { cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking); }
  stream(stream&&) = delete;
  stream& operator=(stream&&) = delete;
  ~stream() { cudaStreamDestroy(handle); }
  cudaStream_t handle = nullptr;
};

// ---- the watchdog ----

omnibal::watchdog_options hasty(std::string directory = {}) {
  return {.deadline = milliseconds(50),
          .interval = milliseconds(5),
          .log_directory = std::move(directory),
          .report = [](const std::string&) {}};
}

/// Rank 0 waits in cudaStreamSynchronize for what rank 1 never calls, on two channels: the abort of
/// one waits for the kernel of the other, with and without ncclCommRevoke.
void check_watchdog_ends_a_wait_in_cuda(bool can_revoke) {
  fake::all.reset();
  fake::all.revoke_works = can_revoke;
  const auto folder = std::filesystem::temp_directory_path() /
                      ("omnibal_nccl_flights_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  std::string report;
  on_ranks(2, [&](thread_communicator& ranks) {
    stream first;
    stream second;
    nccl_channel data = open(ranks, {.deadline = long_deadline, .name = "data"});
    nccl_channel pipeline = open(ranks, {.deadline = long_deadline, .name = "pipeline"});
    std::vector<float> values(4);
    if (ranks.rank() == 0) {
      omnibal::channel_watchdog watchdog(hasty(folder.string()));
      watchdog.watch(data);
      watchdog.watch(pipeline);
      auto sum = data.all_reduce(view_of(values), reduction::sum, first.handle);
      (void)pipeline.send(view_of(values), 1, second.handle);
      cudaStreamSynchronize(first.handle);
      cudaStreamSynchronize(second.handle);
      expect_part(error_of([&] { sum.wait(); }), "the watchdog: channel data, rank 0: all_reduce");
      expect_part(error_of([&] { (void)pipeline.receive(view_of(values), 1, nullptr); }),
                  "the watchdog: channel data, rank 0: all_reduce");
      report = watchdog.report();
      watchdog.write_logs();
      expect(data.handle() == nullptr && pipeline.handle() == nullptr, "both have ended");
    }
    omnibal::barrier(ranks);
    data.abort("rank 0 has failed");
    pipeline.abort("rank 0 has failed");
  });
  expect_part(report,
              "channel data, rank 0: all_reduce #0 of 4 f32, sum, 16 bytes has not ended after");
  expect_part(report, "channel pipeline, rank 0: send #0 of 4 f32, 16 bytes, to rank 1 has not");
  expect(std::filesystem::exists(folder / "data.0.json"), "the flight record of data");
  expect(std::filesystem::exists(folder / "pipeline.0.json"), "the flight record of pipeline");
  std::filesystem::remove_all(folder);
  expect(fake::all.finalized == 0 && fake::all.aborted == 4, "aborted, not finalized");
}

/// The ticket of a late operation was dropped, and nobody calls the channel.
void check_watchdog_sees_dropped_tickets() {
  fake::all.reset();
  std::string report;
  on_ranks(2, [&](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    std::vector<float> values(4);
    if (ranks.rank() == 0) {
      omnibal::channel_watchdog watchdog(hasty());
      watchdog.watch(channel);
      (void)channel.all_reduce(view_of(values), reduction::sum, nullptr);
      while (channel.handle() != nullptr) std::this_thread::sleep_for(milliseconds(1));
      report = watchdog.report();
    }
    omnibal::barrier(ranks);
    channel.abort("rank 0 has failed");
  });
  expect_part(report, "all_reduce #0 of 4 f32, sum, 16 bytes has not ended after");
}

/// Operations that have ended are not late, although nobody looked at their tickets, and however
/// many there were.
void check_watchdog_leaves_ended_operations() {
  fake::all.reset();
  on_ranks(1, [&](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    stream other;
    omnibal::channel_watchdog watchdog(hasty());
    watchdog.watch(channel);
    std::vector<float> values(4);
    for (int i = 0; i < 1500; ++i)
      channel.all_reduce(view_of(values), reduction::sum, nullptr).after(other.handle);
    std::this_thread::sleep_for(milliseconds(120));
    expect(watchdog.report().empty(), watchdog.report());
    for (const auto& entry : channel.log().entries) expect(entry.ended > 0, "has ended");
  });
  expect(fake::all.aborted == 0 && fake::all.finalized == 1, "finalized");
}

/// The late operation is not forgotten behind more later ones than the record holds.
void check_watchdog_finds_the_oldest() {
  fake::all.reset();
  std::string report;
  on_ranks(2, [&](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    std::vector<float> values(4);
    if (ranks.rank() == 0) {
      auto options = hasty();
      options.deadline = milliseconds(500);
      omnibal::channel_watchdog watchdog(options);
      (void)channel.send(view_of(values), 1, nullptr);
      for (std::size_t i = 0; i < 2 * omnibal::flight_recorder::capacity; ++i)
        (void)channel.all_reduce(view_of(values), reduction::sum, nullptr);
      watchdog.watch(channel);
      while (channel.handle() != nullptr) std::this_thread::sleep_for(milliseconds(1));
      report = watchdog.report();
    }
    omnibal::barrier(ranks);
    channel.abort("rank 0 has failed");
  });
  expect_part(report, "send #0 of 4 f32");
}

/// A message of an open group is not under way, but has not ended either.
void check_watchdog_sees_an_open_group() {
  fake::all.reset();
  on_ranks(2, [](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    std::vector<float> values(4);
    std::vector<float> others(4);
    channel.begin_group();
    (void)channel.send(view_of(values), 1 - ranks.rank(), nullptr);
    const auto oldest = channel.watch_point().oldest_unfinished();
    expect(oldest && oldest->sequence == 0, "the message has not ended");
    expect(channel.log().entries[0].ended == 0, "nor in the record");
    (void)channel.receive(view_of(others), 1 - ranks.rank(), nullptr);
    channel.end_group().wait();
    expect(!channel.watch_point().oldest_unfinished(), "all has ended");
  });
  expect(fake::all.aborted == 0, "not aborted");
}

/// While a graph is captured, a look at an event from another thread is none that ends the capture.
void check_looks_do_not_end_a_capture() {
  fake::all.reset();
  on_ranks(1, [&](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    std::vector<float> values(4);
    (void)channel.all_reduce(view_of(values), reduction::sum, nullptr);
    fake::all.is_capturing = true;
    const auto point = channel.watch_point();
    std::thread([&] {
      fake::here = {};
      expect(!point.oldest_unfinished(), "it has ended");
    }).join();
    fake::all.is_capturing = false;
  });
}

// ---- sets ----

/// A failure of one ends all of its rank's set: the abort of one waits for the kernels of the
/// other.
void check_a_set_fails_together(bool can_revoke) {
  fake::all.reset();
  fake::all.revoke_works = can_revoke;
  on_ranks(2, [&](thread_communicator& ranks) {
    const auto set = std::make_shared<nccl_communicator_set>();
    stream first;
    stream second;
    nccl_channel data = open(ranks, {.deadline = long_deadline, .name = "data", .set = set});
    nccl_channel pipeline =
        open(ranks, {.deadline = long_deadline, .name = "pipeline", .set = set});
    std::optional<nccl_channel> part = pipeline.split(0, 0);
    nccl_communicator control(omnibal::exchange_nccl_id(ranks), ranks.rank(), 2, {.set = set});
    std::vector<float> values(4);
    if (ranks.rank() == 0) {
      (void)pipeline.send(view_of(values), 1, second.handle);
      auto sum = data.all_reduce(view_of(values), reduction::sum, first.handle);
      const std::string error = error_of([&] { sum.wait(milliseconds(50)); });
      expect_part(error, "rank 0, all_reduce #0: did not end within 50 ms");
      expect_part(error_of([&] { (void)pipeline.send(view_of(values), 1, nullptr); }), error);
      expect_part(error_of([&] { (void)part->send(view_of(values), 1, nullptr); }), error);
      expect_part(error_of([&] { control.send_bytes({}, 1); }), error);
    }
    omnibal::barrier(ranks);
    set->abort("rank 0 has failed");
    expect_part(error_of([&] { (void)part->send(view_of(values), 1 - ranks.rank(), nullptr); }),
                "aborted before");
  });
  expect(fake::all.aborted == 8 && fake::all.finalized == 0, "all are aborted");
}

/// A part that was destroyed is no longer of the set.
void check_a_set_forgets_what_has_ended() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    const auto set = std::make_shared<nccl_communicator_set>();
    { const nccl_channel channel = open(ranks, {.set = set}); }
    expect(set->members().empty(), "no members");
    set->abort("nothing to abort");
  });
  expect(fake::all.aborted == 0 && fake::all.destroyed == 2, "destroyed once");
}

// ---- tickets that are left ----

/// A channel that ends as it should has waited for its operations, so their tickets are done.
void check_tickets_outlive_their_channel() {
  fake::all.reset();
  on_ranks(2, [](thread_communicator& ranks) {
    stream other;
    std::optional<nccl_channel> channel(open(ranks, {.deadline = long_deadline}));
    std::vector<float> values(4, 1.0F);
    auto sum = channel->all_reduce(view_of(values), reduction::sum, nullptr);
    auto copy = sum;
    channel.reset();
    copy.after(other.handle);
    expect(sum.done() && values[0] == 2.0F, "the sum has ended with its channel");
    copy.wait();
  });
  expect(fake::all.aborted == 0 && fake::all.finalized == 2, "finalized");
}

/// An abort is one, whatever its reason.
void check_abort_without_a_reason() {
  fake::all.reset();
  on_ranks(2, [](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    std::vector<float> values(4);
    if (ranks.rank() == 0) {
      auto sum = channel.all_reduce(view_of(values), reduction::sum, nullptr);
      channel.abort("");
      expect_part(error_of([&] { (void)sum.done(); }), "aborted before: no reason was given");
      expect_part(error_of([&] { sum.wait(); }), "aborted before: no reason was given");
      expect(!channel.log().failure.empty(), "the record has a failure");
      expect(channel.log().entries[0].ended == 0, "the sum has not ended");
    }
    omnibal::barrier(ranks);
    channel.abort("rank 0 has failed");
  });
}

// ---- ranks that are lost ----

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
/// One rank leaves while the others wait for it in a sum: they go on without it.
void check_ranks_that_are_lost() {
  for (const std::size_t gone : {0U, 1U, 3U}) {
    fake::all.reset();
    on_ranks(4, [&](thread_communicator& ranks) {
      const auto set = std::make_shared<nccl_communicator_set>();
      nccl_channel channel = open(ranks, {.deadline = long_deadline, .name = "data", .set = set});
      nccl_channel other = open(ranks, {.deadline = long_deadline, .set = set});
      std::vector<float> values(4, 1.0F);
      if (ranks.rank() == gone) {
        channel.abort("this rank is lost");  // with its set
        return;
      }
      auto sum = channel.all_reduce(view_of(values), reduction::sum, nullptr);
      expect(!sum.done(), "it waits for the rank that is lost");
      nccl_channel left = channel.without(std::vector{gone});
      expect(left.size() == 3 && left.rank() == ranks.rank() - (ranks.rank() > gone ? 1 : 0),
             "the ranks that stay, in their order");
      expect(channel.handle() == nullptr && other.handle() != nullptr, "this one alone has ended");
      for (const auto& look :
           std::vector<std::function<void()>>{[&] { (void)sum.done(); }, [&] { sum.wait(); }})
        expect_part(error_of(look), "aborted before: replaced by a channel of 3 of its 4 ranks");
      expect(channel.log().entries[0].ended == 0, "the sum has not ended");
      expect(left.log().channel == "data-of-3" && left.log().entries.empty(),
             "a record of its own");
      values.assign(4, 2.0F);
      left.all_reduce(view_of(values), reduction::sum, nullptr).wait();
      expect(values == std::vector<float>(4, 6.0F), "the sum of those that stay");
      const std::size_t last = left.size() - 1;
      if (left.rank() == last) {
        left.abort("this rank is lost too");
        other.abort("lost");
        return;
      }
      nccl_channel pair = left.without(std::vector{last});
      values.assign(4, 3.0F);
      pair.all_reduce(view_of(values), reduction::sum, nullptr).wait();
      expect(values[0] == 6.0F && pair.log().channel == "data-of-3-of-2", "and once more");
      set->abort("the end");
      expect(pair.handle() == nullptr, "what replaces a channel is of its set");
    });
    expect(fake::all.alive.empty(), "all have ended");
  }
}

/// What is wrong by itself changes nothing; a rank that stays and does not come is an error.
void check_losses_that_cannot_be() {
  fake::all.reset();
  on_ranks(3, [](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = std::chrono::seconds(1)});
    const std::size_t own = ranks.rank();
    const std::size_t next = (own + 1) % 3;
    for (const std::vector<std::size_t>& lost :
         std::vector<std::vector<std::size_t>>{{}, {own}, {3}, {next, next}})
      expect_throw<invalid_input>([&] { (void)channel.without(lost); }, "ranks that are lost");
    std::vector<float> values(4, 1.0F);
    channel.all_reduce(view_of(values), reduction::sum, nullptr).wait();
    expect(values[0] == 3.0F, "the channel goes on");
    omnibal::barrier(ranks);
    if (own == 0)
      expect_part(error_of([&] { (void)channel.without(std::vector<std::size_t>{2}); }),
                  "rank 0, without #1: did not end within 1000 ms");
    omnibal::barrier(ranks);
    channel.abort("rank 0 has failed");
    expect_part(error_of([&] { (void)channel.without(std::vector<std::size_t>{next}); }),
                "aborted before");
  });
  expect(fake::all.alive.empty() && fake::all.finalized == 0, "all have been aborted");
}
#else
void check_ranks_that_are_lost() {}
void check_losses_that_cannot_be() {}
#endif

// ---- registered memory ----

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 19, 0)
/// Memory is registered as long as both the registration and the channel live, whichever ends
/// first, and however the channel ends.
void check_registered_memory() {
  fake::all.reset();
  on_ranks(1, [](thread_communicator& ranks) {
    std::vector<float> values(4, 1.0F);
    std::vector<float> others(4);
    std::optional<nccl_channel> channel(open(ranks, {.deadline = long_deadline}));
    {
      auto first = channel->register_memory(view_of(values));
      const auto moved = std::move(first);
      const auto second = channel->register_memory(view_of(others));
      expect(fake::all.registered.size() == 2, "both are registered");
      channel->all_reduce(view_of(values), reduction::sum, nullptr).wait();
    }
    expect(fake::all.registered.empty(), "taken back");
    expect_throw<invalid_input>([&] { (void)channel->register_memory({}); }, "no memory");
    {
      const auto outlives = channel->register_memory(view_of(values));
      channel.reset();
    }
    channel.emplace(open(ranks, {.deadline = long_deadline}));
    {
      const auto outlives = channel->register_memory(view_of(values));
      channel->abort("the user has had enough");
    }
    expect_part(error_of([&] { (void)channel->register_memory(view_of(values)); }),
                "aborted before: the user has had enough");
    channel.emplace(open(ranks, {.deadline = long_deadline}));
    fake::all.call_result = ncclRemoteError;
    expect_part(error_of([&] { (void)channel->register_memory(view_of(values)); }),
                "register_memory #0: remote error");
  });
  expect(fake::all.registered.empty() && fake::all.alive.empty(), "nothing is left");
}
#else
void check_registered_memory() {}
#endif

// ---- groups and exceptions ----

/// Rank 0 leaves within a group: NCCL has seen nothing of it, the others reach their deadline, and
/// nothing waits for them.
void check_channel_destroyed_within_a_group(bool by_exception) {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    std::vector<float> values(4);
    try {
      nccl_channel channel = open(ranks, {.deadline = long_deadline});
      if (ranks.rank() == 1) {
        auto received = channel.receive(view_of(values), 0, nullptr);
        expect_part(error_of([&] { received.wait(milliseconds(100)); }),
                    "did not end within 100 ms");
        return;
      }
      channel.begin_group();
      auto sent = channel.send(view_of(values), 1, nullptr);
      if (by_exception) sent.wait();
    } catch (const invalid_input&) {
    }
  });
  expect(fake::all.finalized == 0 && fake::all.aborted == 2, "aborted, not finalized");
}

/// The other ranks may wait for the one that threw.
void check_exception_aborts_channels() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    std::vector<float> values(4);
    try {
      nccl_channel channel = open(ranks, {.deadline = long_deadline});
      throw std::domain_error("the loss is not a number");
    } catch (const std::domain_error&) {
    }
  });
  expect(fake::all.finalized == 0 && fake::all.aborted == 2, "aborted, not finalized");
}

/// The copy of a rank's own part fails: no group is left open, and no abort comes within one.
void check_copy_that_fails() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    nccl_communicator other(omnibal::exchange_nccl_id(ranks), ranks.rank(), 2);
    omnibal::barrier(ranks);
    if (ranks.rank() == 0) fake::all.copy_result = cudaErrorUnknown;
    omnibal::barrier(ranks);
    std::vector<float> sent(4);
    std::vector<float> received(4);
    const std::vector<std::size_t> counts = {2, 2};
    expect_part(error_of([&] {
                  (void)channel.all_to_all(view_of(sent), counts, view_of(received), counts,
                                           nullptr);
                }),
                "all_to_all #0: a CUDA error");
    const std::vector<std::size_t> bytes = {8, 8};
    expect_part(error_of([&] {
                  other.enqueue_all_to_all(std::as_bytes(std::span(sent)), bytes,
                                           std::as_writable_bytes(std::span(received)), bytes,
                                           nullptr);
                }),
                "all_to_all #0: a CUDA error");
    expect(fake::here.group_depth == 0, "no group is open");
    omnibal::barrier(ranks);
  });
  expect(fake::all.open_groups_at_abort == 0 && fake::all.aborted == 4, "aborted outside a group");
}

/// What a rank sends itself is wrong by itself, so the communicator goes on.
void check_own_part_of_another_size() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    nccl_communicator other(omnibal::exchange_nccl_id(ranks), ranks.rank(), 2);
    const std::vector<std::size_t> sent_counts = {1, 1};
    const std::vector<std::size_t> received_counts = {2, 0};
    std::vector<std::byte> sent(2);
    std::vector<std::byte> received(2);
    if (ranks.rank() == 0)
      expect_throw<invalid_input>(
          [&] { other.enqueue_all_to_all(sent, sent_counts, received, received_counts, nullptr); },
          "a part for oneself");
    omnibal::barrier(other);
  });
  expect(fake::all.aborted == 0, "not aborted");
}

/// The second call of a group fails, the others do not: the group has failed.
void check_a_call_of_a_group_that_fails() {
  fake::all.reset();
  on_ranks(1, [](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    std::vector<float> values(6);
    fake::all.call_result = ncclRemoteError;
    fake::all.failing_calls = 1;
    omnibal::nccl_group group;
    group.add(ncclAllReduce(values.data(), values.data(), 1, ncclFloat32, ncclSum, channel.handle(),
                            nullptr));
    group.add(ncclAllReduce(values.data(), values.data(), 1, ncclFloat32, ncclSum, channel.handle(),
                            nullptr));
    expect(group.end() == ncclRemoteError, "the first failure of a group");
    channel.abort("a call has failed");
  });
}

/// The channel is aborted just before somebody looks at an event: the work has ended, but not with
/// a result. Neither a ticket nor the record says that it has.
void check_abort_before_a_look() {
  fake::all.reset();
  on_ranks(2, [](thread_communicator& ranks) {
    for (const bool waits : {false, true}) {
      nccl_channel channel = open(ranks, {.deadline = long_deadline});
      std::vector<float> values(4);
      if (ranks.rank() == 0) {
        auto sum = channel.all_reduce(view_of(values), reduction::sum, nullptr);
        fake::all.before_query = [&] { channel.abort("the user has had enough"); };
        expect_part(error_of([&] {
                      if (waits) sum.wait();
                      if (!waits && sum.done()) throw std::logic_error("an aborted sum is done");
                    }),
                    "aborted before: the user has had enough");
        fake::all.before_query = {};
        expect(channel.log().entries[0].ended == 0, "has not ended");
        expect(channel.watch_point().oldest_unfinished().has_value(), "is unfinished");
      }
      omnibal::barrier(ranks);
      channel.abort("rank 0 has failed");
      omnibal::barrier(ranks);
    }
  });
}

/// Any thread may abort a channel whose rank waits for a ticket.
void check_abort_by_another_thread() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    std::vector<float> values(4);
    if (ranks.rank() == 0) {
      auto sum = channel.all_reduce(view_of(values), reduction::sum, nullptr);
      std::jthread other([&] {
        std::this_thread::sleep_for(milliseconds(20));
        channel.abort("the user has had enough");
      });
      expect_part(error_of([&] { sum.wait(); }), "aborted before: the user has had enough");
      other.join();
      expect(channel.log().failure == "the user has had enough", channel.log().failure);
    }
    omnibal::barrier(ranks);
    channel.abort("rank 0 has failed");
  });
}

/// The record of a channel that has failed is there before its rank does anything else, and that of
/// another one of its set at its end.
void check_flight_records_of_failures() {
  fake::all.reset();
  const auto folder = std::filesystem::temp_directory_path() /
                      ("omnibal_nccl_failures_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const auto record = [&](const std::string& name) {
    std::ifstream file(folder / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  on_ranks(2, [&](thread_communicator& ranks) {
    const auto set = std::make_shared<nccl_communicator_set>();
    const nccl_channel_options options{
        .deadline = long_deadline, .name = "data", .log_directory = folder.string(), .set = set};
    nccl_channel channel = open(ranks, options);
    auto other_options = options;
    other_options.name = "other";
    const nccl_channel other = open(ranks, other_options);
    std::vector<float> values(4);
    if (ranks.rank() == 0) {
      auto sum = channel.all_reduce(view_of(values), reduction::sum, nullptr);
      (void)error_of([&] { sum.wait(milliseconds(50)); });
      expect_part(record("data.0.json"), "\"failure\":\"rank 0, all_reduce #0: did not end within");
      expect_part(record("data.0.json"), "\"operation\":\"all_reduce\"");
    }
    omnibal::barrier(ranks);
  });
  expect_part(record("other.0.json"), "\"failure\":\"rank 0, all_reduce #0: did not end within");
  expect(!std::filesystem::exists(folder / "other.1.json"), "rank 1 has not failed");
  std::filesystem::remove_all(folder);
}

/// A copy between host and device that does not end has a deadline too.
void check_copies_have_deadlines() {
  fake::all.reset();
  on_ranks(1, [](thread_communicator& ranks) {
    nccl_communicator alone(omnibal::exchange_nccl_id(ranks), 0, 1,
                            {.deadline = milliseconds(500)});
    fake::all.holds_streams = true;
    std::vector<std::byte> bytes(10);
    expect_part(error_of([&] { alone.broadcast_bytes(bytes, 0); }),
                "broadcast #0: did not end within 500 ms");
    fake::all.holds_streams = false;
  });
  expect(fake::all.aborted == 1, "aborted");
}

/// A channel works on its device, whatever device is current at a call.
void check_device_of_a_channel() {
  fake::all.reset();
  on_ranks(2, [](thread_communicator& ranks) {
    nccl_channel channel = open(ranks, {.deadline = long_deadline});
    fake::here.device = 7;
    std::vector<float> values(4, 1.0F);
    auto sum = channel.all_reduce(view_of(values), reduction::sum, nullptr);
    sum.wait();
    expect(values[0] == 2.0F && fake::here.device == 7, "the caller's device is current again");
  });
  expect(fake::all.aborted == 0, "not aborted");
}

// ---- checked mode of the communicator, deadlines ----

/// Ranks that differ in a size learn it before NCCL sees the operation.
void check_communicator_in_checked_mode() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    auto control = ranks.split(0, static_cast<int>(ranks.rank()));
    nccl_communicator checked(omnibal::exchange_nccl_id(ranks), ranks.rank(), 2,
                              {.deadline = long_deadline});
    checked.check_over(*control);
    collective_checks::check_collectives(checked);
    collective_checks::check_messages(checked);
    std::vector<std::byte> bytes(3 + ranks.rank());
    const std::string error = error_of([&] { checked.broadcast_bytes(bytes, 0); });
    expect_part(error, "of 3 byte from rank 0");
    expect_part(error, "of 4 byte from rank 0");
  });
  expect(fake::all.aborted == 2, "aborted");
}

void check_deadlines() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    const ncclUniqueId id = omnibal::exchange_nccl_id(ranks);
    for (const auto wait : {milliseconds(-1), milliseconds::min()}) {
      expect_throw<invalid_input>([&] { nccl_channel(id, ranks.rank(), 2, {.deadline = wait}); },
                                  "deadline");
      expect_throw<invalid_input>(
          [&] { nccl_channel(id, ranks.rank(), 2, {.abort_deadline = wait}); }, "abort_deadline");
      expect_throw<invalid_input>(
          [&] { nccl_communicator(id, ranks.rank(), 2, {.deadline = wait}); }, "deadline");
      expect_throw<invalid_input>(
          [&] { nccl_communicator(id, ranks.rank(), 2, {.abort_deadline = wait}); },
          "abort_deadline");
      expect_throw<invalid_input>(
          [&] {
            (void)omnibal::exchange_nccl_id({.file = "nowhere", .ranks = 1, .deadline = wait});
          },
          "deadline of a file");
    }
    nccl_channel channel(id, ranks.rank(), 2, {.deadline = milliseconds::max()});
    std::vector<float> values(4, 1.0F);
    auto sum = channel.all_reduce(view_of(values), reduction::sum, nullptr);
    for (const auto wait : {milliseconds(-1), milliseconds::min()})
      expect_throw<invalid_input>([&] { sum.wait(wait); }, "a negative deadline");
    sum.wait(milliseconds::max());
    sum.wait(milliseconds(0));
    expect(values[0] == 2.0F, "the sum");
    channel.all_reduce(view_of(values), reduction::sum, nullptr).wait();
  });
  expect(fake::all.aborted == 0, "not aborted");
}

// ---- an abort that hangs ----

/// Runs in a process of its own, which has to end with the message. The first check of the program:
/// before there are threads.
void check_abort_that_hangs() {
  int ends[2] = {};
  expect(pipe(ends) == 0, "a pipe");
  const pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], STDERR_FILENO);
    fake::all.reset();
    fake::all.abort_hangs = true;
    on_ranks(1, [](thread_communicator& ranks) {
      nccl_channel channel = open(ranks, {.abort_deadline = milliseconds(50)});
      channel.abort("the loss is not a number");
    });
    _exit(0);
  }
  close(ends[1]);
  std::string message(200, '\0');
  message.resize(
      static_cast<std::size_t>(std::max<ssize_t>(read(ends[0], message.data(), 200), 0)));
  int status = 0;
  waitpid(process, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE, "the process ends");
  expect_part(message, "the loss is not a number; NCCL did not abort either, the process ends");
}

void both(void (*check)(bool)) {
  check(true);
  check(false);
}

}  // namespace

int main(int count, char** arguments) {
  return collective_checks::status_of(
      count, arguments,
      {
          {"an abort that hangs", check_abort_that_hangs},
          {"a watchdog ends a wait in CUDA", [] { both(check_watchdog_ends_a_wait_in_cuda); }},
          {"a set fails together", [] { both(check_a_set_fails_together); }},
          {"a channel destroyed within a group",
           [] { both(check_channel_destroyed_within_a_group); }},
          {"a watchdog sees dropped tickets", check_watchdog_sees_dropped_tickets},
          {"a watchdog leaves ended operations", check_watchdog_leaves_ended_operations},
          {"a watchdog finds the oldest", check_watchdog_finds_the_oldest},
          {"a watchdog sees an open group", check_watchdog_sees_an_open_group},
          {"looks do not end a capture", check_looks_do_not_end_a_capture},
          {"a set forgets what has ended", check_a_set_forgets_what_has_ended},
          {"tickets outlive their channel", check_tickets_outlive_their_channel},
          {"an abort without a reason", check_abort_without_a_reason},
          {"ranks that are lost", check_ranks_that_are_lost},
          {"losses that cannot be", check_losses_that_cannot_be},
          {"registered memory", check_registered_memory},
          {"an exception aborts channels", check_exception_aborts_channels},
          {"a copy that fails", check_copy_that_fails},
          {"an own part of another size", check_own_part_of_another_size},
          {"a call of a group that fails", check_a_call_of_a_group_that_fails},
          {"an abort before a look", check_abort_before_a_look},
          {"an abort by another thread", check_abort_by_another_thread},
          {"flight records of failures", check_flight_records_of_failures},
          {"copies have deadlines", check_copies_have_deadlines},
          {"the device of a channel", check_device_of_a_channel},
          {"a communicator in checked mode", check_communicator_in_checked_mode},
          {"deadlines", check_deadlines},
      });
}
