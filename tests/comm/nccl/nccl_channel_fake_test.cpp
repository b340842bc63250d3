// SPDX-License-Identifier: Apache-2.0
/// @file
/// nccl_channel against the fake NCCL of fake_nccl.hpp, whose ranks are threads: what hangs with
/// NCCL hangs here.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>
#include <unistd.h>

#include <omnibal/comm/nccl_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/comm/watchdog.hpp>

#include "comm/channel_checks.hpp"
#include "comm/nccl/fake_nccl.hpp"
#include "comm/nccl/fake_ranks.hpp"
#include "comm/reduction_checks.hpp"

namespace {

using channel_checks::expect;
using channel_checks::expect_throw;
using omnibal::nccl_channel;
using omnibal::reduction;
using omnibal::view_of;

static_assert(omnibal::tensor_channel<nccl_channel>);

using body = std::function<void(nccl_channel&)>;
using omnibal::thread_communicator;
using std::chrono::milliseconds;

thread_local thread_communicator* control = nullptr;

std::vector<std::string> errors_of(std::size_t size, const body& run) {
  fake::all.reset();
  std::vector<std::string> errors(size);
  on_ranks(size, [&](thread_communicator& ranks) {
    control = &ranks;
    nccl_channel channel(omnibal::exchange_nccl_id(ranks), ranks.rank(), size,
                         {.deadline = std::chrono::minutes(2)});
    try {
      run(channel);
    } catch (const omnibal::communication_error& error) {
      errors[ranks.rank()] = error.what();
    }
  });
  return errors;
}

void expect_part(const std::string& text, const std::string& part) {
  expect(text.find(part) != std::string::npos, "\"" + text + "\" has no \"" + part + "\"");
}

void check_all() {
  for (const std::size_t size : {1U, 2U, 3U, 5U}) {
    std::vector<omnibal::flight_log> logs(size);
    const auto errors = errors_of(size, [&](nccl_channel& channel) {
      channel_checks::check_channel(channel, 3);
      logs[channel.rank()] = channel.log();
    });
    for (const std::string& error : errors) expect(error.empty(), error);
    expect(!omnibal::first_difference(logs), "the same operations on all ranks");
    for (const auto& entry : logs[0].entries) {
      const bool reduces = entry.operation == omnibal::channel_operation::all_reduce ||
                           entry.operation == omnibal::channel_operation::reduce_scatter;
      expect(entry.how.has_value() == reduces, "the record of " + describe(entry));
    }
  }
  expect(fake::all.aborted == 0 && fake::all.finalized > 0, "finalized, not aborted");
}

/// Both ranks send first: with NCCL that hangs.
void check_order_that_hangs() {
  const auto errors = errors_of(2, [](nccl_channel& channel) {
    std::vector<float> own(8);
    std::vector<float> other(8);
    const std::size_t peer = 1 - channel.rank();
    channel.send(view_of(own), peer, nullptr);
    channel.receive(view_of(other), peer, nullptr).wait(milliseconds(200));
  });
  expect_part(errors[0] + errors[1], "receive #1: did not end within 200 ms");
  expect(fake::all.aborted > 0, "aborted");
}

/// A group that an abort left open says so at every call.
void check_aborted_group() {
  const auto errors =
      errors_of(2, [](nccl_channel& channel) { channel_checks::check_aborted_group(channel); });
  for (const std::string& error : errors) expect(error.empty(), error);
}

/// Buckets reduce what their backward makes, over NCCL as over the host.
void check_buckets() {
  for (const std::size_t size : {1U, 2U, 3U, 5U}) {
    const auto errors = errors_of(size, [](nccl_channel& channel) {
      for (const std::uint64_t seed : {1U, 2U, 3U}) reduction_checks::check_buckets(channel, seed);
      reduction_checks::check_idle_buckets(channel);
    });
    for (const std::string& error : errors) expect(error.empty(), error);
  }
  expect(fake::all.aborted == 0, "not aborted");
}

/// The last rank leaves a step by an exception: it aborts this channel and no other one, and the
/// reduction that never begins is an error of the other rank at its deadline.
void check_destroyed_buckets() {
  fake::all.reset();
  on_ranks(2, [](thread_communicator& ranks) {
    const auto open = [&](milliseconds deadline) {
      return nccl_channel(omnibal::exchange_nccl_id(ranks), ranks.rank(), 2,
                          {.deadline = deadline});
    };
    nccl_channel channel = open(std::chrono::seconds(2));
    nccl_channel other = open(std::chrono::minutes(2));
    std::string error;
    std::vector<float> gradients(400, 1.0F);
    try {
      const std::vector<std::size_t> counts(4, 100);
      omnibal::gradient_buckets buckets(channel, view_of(gradients), counts, {.bytes = 800});
      buckets.ready(3);
      buckets.ready(2);  // the first bucket begins
      if (ranks.rank() == 1) throw std::domain_error("not a number");
      buckets.ready_without_backward();
      buckets.finish();
    } catch (const std::domain_error&) {
      expect(channel.handle() == nullptr, "aborted");
      expect_part(channel.log().failure, "an exception destroyed gradient buckets in mid-step");
    } catch (const omnibal::communication_error& thrown) {
      error = thrown.what();
    }
    if (ranks.rank() == 0) expect_part(error, "did not end within 2000 ms");
    std::vector<float> sum = {1.0F};
    other.all_reduce(view_of(sum), reduction::sum, nullptr).wait();
    expect(sum[0] == 2.0F, "another channel goes on");
  });
}

/// What a channel is given for NCCL, also that which was split off.
void check_options_reach_nccl() {
  fake::all.reset();
  on_ranks(1, [](thread_communicator& ranks) {
    nccl_channel channel(omnibal::exchange_nccl_id(ranks), 0, 1,
                         {.name = "gradients", .most_blocks = 3});
    const auto part = channel.split(0, 0);
    const nccl_channel plain(omnibal::exchange_nccl_id(ranks), 0, 1);
  });
  expect(fake::all.configurations.size() == 3, "three communicators");
  for (std::size_t i = 0; i < 2; ++i) {
    expect(fake::all.configurations[i].most_blocks == 3, "most_blocks");
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
    expect(fake::all.configurations[i].name == (i == 0 ? "gradients" : "gradients/0/0"), "name");
#endif
  }
  expect(fake::all.configurations[2].most_blocks == NCCL_CONFIG_UNDEF_INT, "left to NCCL");
}

/// A ticket of a message is not done before its group has ended.
void check_tickets_of_a_group() {
  const auto errors = errors_of(2, [](nccl_channel& channel) {
    std::vector<float> own(8, 1.0F);
    std::vector<float> other(8);
    channel.begin_group();
    auto sent = channel.send(view_of(own), 1 - channel.rank(), nullptr);
    auto received = channel.receive(view_of(other), 1 - channel.rank(), nullptr);
    for (auto* ticket : {&sent, &received}) {
      const auto refuses = [&](auto call) {
        expect_throw<omnibal::invalid_input>(call, "no work");
      };
      refuses([&] { (void)ticket->done(); });
      refuses([&] { ticket->wait(); });
      refuses([&] { ticket->wait(milliseconds(1)); });
      refuses([&] { ticket->after(nullptr); });
    }
    channel.end_group().wait();
    expect(sent.done() && received.done() && other == own, "all has ended");
  });
  expect(errors[0].empty() && errors[1].empty(), errors[0] + errors[1]);
}

/// All ranks call `run` on a channel that compares their calls.
std::vector<std::string> checked_errors_of(std::size_t size, const body& run) {
  return errors_of(size, [&](nccl_channel& channel) {
    auto checks = control->split(0, static_cast<int>(channel.rank()));
    channel.check_over(*checks);
    run(channel);
  });
}

/// Checked mode lets everything pass that is right, groups in any order too.
void check_checked_mode() {
  for (const std::size_t size : {1U, 2U, 3U, 5U})
    for (const std::string& error : checked_errors_of(
             size, [](nccl_channel& channel) { channel_checks::check_channel(channel, 2); }))
      expect(error.empty(), error);
  collective_checks::expect_throw<omnibal::invalid_input>(
      [] {
        on_ranks(2, [](thread_communicator& ranks) {
          nccl_channel channel(omnibal::exchange_nccl_id(ranks), ranks.rank(), 2);
          auto other = ranks.split(0, -static_cast<int>(ranks.rank()));
          channel.check_over(*other);
        });
      },
      "a control in which ranks have other numbers");
}

/// Rank 0 calls one thing and the others another: all learn it before NCCL sees it.
void check_differing_calls() {
  const auto expect_difference = [](const std::string& what, const body& first,
                                    const body& others) {
    const auto errors = checked_errors_of(3, [&](nccl_channel& channel) {
      (channel.rank() == 0 ? first : others)(channel);
      std::vector<float> sum(1);
      channel.all_reduce(view_of(sum), reduction::sum, nullptr).wait();
    });
    for (const std::string& error : errors) {
      expect_part(error, "calls");
      expect_part(error, what);
    }
  };
  const auto all_reduce = [](auto number, std::size_t count, reduction how = reduction::sum) {
    return [number, count, how](nccl_channel& channel) {
      std::vector values(count, number);
      channel.all_reduce(view_of(values), how, nullptr).wait();
    };
  };
  const auto reduce_scatter = [](reduction how) {
    return [how](nccl_channel& channel) {
      const std::vector<float> values(6);
      std::vector<float> own(2);
      const std::vector<std::size_t> counts(3, 2);
      channel.reduce_scatter(view_of(values), view_of(own), counts, how, nullptr).wait();
    };
  };
  const auto broadcast = [](std::size_t root) {
    return [root](nccl_channel& channel) {
      std::vector<float> values(4);
      channel.broadcast(view_of(values), root, nullptr).wait();
    };
  };
  const auto all_gather = [](const std::vector<std::size_t>& counts) {
    return [counts](nccl_channel& channel) {
      std::vector<float> own(counts[channel.rank()]);
      std::vector<float> all(6);
      channel.all_gather(view_of(own), view_of(all), counts, nullptr).wait();
    };
  };
  const auto all_to_all = [](std::size_t received) {
    return [received](nccl_channel& channel) {
      std::vector<std::size_t> counts(3, received);
      std::vector<float> values(3 * received);
      std::vector<float> all(3 * received);
      channel.all_to_all(view_of(values), counts, view_of(all), counts, nullptr).wait();
    };
  };
  const auto message = [](std::size_t count, bool in_group) {
    return [count, in_group](nccl_channel& channel) {
      std::vector<float> values(count);
      if (in_group) channel.begin_group();
      if (channel.rank() == 0) channel.send(view_of(values), 1, nullptr);
      if (channel.rank() == 1) channel.receive(view_of(values), 0, nullptr);
      if (in_group) channel.end_group().wait();
    };
  };
  expect_difference("broadcast", all_reduce(1.0F, 4), broadcast(0));
  expect_difference("f64", all_reduce(1.0F, 4), all_reduce(1.0, 4));
  expect_difference("of 5 f32", all_reduce(1.0F, 4), all_reduce(1.0F, 5));
  expect_difference("of 4 f32, largest", all_reduce(1.0F, 4),
                    all_reduce(1.0F, 4, reduction::largest));
  expect_difference(", smallest", reduce_scatter(reduction::smallest),
                    reduce_scatter(reduction::sum));
  expect_difference("from rank 2", broadcast(1), broadcast(2));
  expect_difference("counts of hash", all_gather({1, 2, 3}), all_gather({1, 3, 2}));
  expect_difference("all_to_all", all_to_all(2), all_to_all(3));
  expect_difference("of 4 f32", message(3, false), message(4, false));
  expect_difference("of 4 f32", message(3, true), message(4, true));
}

/// A channel over a communicator of somebody else leaves it as it is.
void check_lent_communicator() {
  fake::all.reset();
  on_ranks(2, [&](thread_communicator& ranks) {
    const ncclUniqueId id = omnibal::exchange_nccl_id(ranks);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t lent = nullptr;
    (void)ncclCommInitRankConfig(&lent, 2, id, static_cast<int>(ranks.rank()), &config);
    for (ncclResult_t state = ncclInProgress; state == ncclInProgress;)
      (void)ncclCommGetAsyncError(lent, &state);
    {
      nccl_channel channel(lent);
      std::vector<double> values = {1.0};
      channel.all_reduce(view_of(values), reduction::sum, nullptr).wait();
      expect(values[0] == 2.0 && channel.size() == 2, "the lent communicator works");
    }
    expect(fake::all.finalized == 0 && fake::all.aborted == 0, "and still does");
    ncclCommDestroy(lent);
  });
}

void check_id_by_file() {
  const auto file =
      std::filesystem::temp_directory_path() / ("omnibal_nccl_id_" + std::to_string(::getpid()));
  std::ofstream(file) << "an id of another run";
  std::array<ncclUniqueId, 3> ids{};
  on_ranks(3, [&](thread_communicator& ranks) {
    ids[ranks.rank()] = omnibal::exchange_nccl_id({.file = file, .rank = ranks.rank(), .ranks = 3});
  });
  for (const ncclUniqueId& id : ids)
    expect(std::ranges::equal(id.internal, ids[0].internal), "all have the id of rank 0");
  expect(!std::filesystem::exists(file), "no file is left");
  collective_checks::expect_throw<omnibal::communication_error>(
      [&] {
        (void)omnibal::exchange_nccl_id(
            {.file = file, .rank = 1, .ranks = 2, .deadline = std::chrono::milliseconds(30)});
      },
      "nobody writes the file");
}

}  // namespace

int main(int count, char** arguments) {
  return collective_checks::status_of(count, arguments,
                                      {
                                          {"all operations", check_all},
                                          {"an aborted group", check_aborted_group},
                                          {"buckets", check_buckets},
                                          {"destroyed buckets", check_destroyed_buckets},
                                          {"options reach NCCL", check_options_reach_nccl},
                                          {"tickets of a group", check_tickets_of_a_group},
                                          {"an order that hangs", check_order_that_hangs},
                                          {"checked mode", check_checked_mode},
                                          {"calls that differ", check_differing_calls},
                                          {"a lent communicator", check_lent_communicator},
                                          {"an id by file", check_id_by_file},
                                      });
}
