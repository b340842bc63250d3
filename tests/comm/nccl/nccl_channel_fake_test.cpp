// SPDX-License-Identifier: Apache-2.0
/// @file
/// nccl_channel against a fake NCCL and a fake CUDA runtime, which this program defines itself.
/// Ranks are threads, and the fake moves bytes through a thread_channel in rendezvous mode: a send
/// ends when it is received, operations of a communicator run one after the other, a group is one
/// operation, and a stream or an event has ended when its operations have. So what hangs with NCCL
/// hangs here.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/nccl_channel.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "comm/channel_checks.hpp"

namespace fake {

using ticket = omnibal::thread_channel::ticket;

/// Work in the order of a stream, of which a part may have ended.
struct work_list {
  std::vector<ticket> tickets;

  cudaError_t query() {
    try {
      while (!tickets.empty() && tickets.front().done()) tickets.erase(tickets.begin());
    } catch (const std::exception&) {
      return cudaErrorNotReady;  // a kernel that waits for ever
    }
    return tickets.empty() ? cudaSuccess : cudaErrorNotReady;
  }
};

thread_local omnibal::thread_communicator* ranks = nullptr;
thread_local work_list default_stream;
thread_local int group_depth = 0;
thread_local ncclComm_t group_member = nullptr;
thread_local cudaStream_t group_stream = nullptr;
std::atomic<int> aborted = 0;
std::atomic<int> finalized = 0;

work_list& stream_of(cudaStream_t stream) {
  return stream == nullptr ? default_stream : *reinterpret_cast<work_list*>(stream);
}

}  // namespace fake

struct ncclComm {
  omnibal::thread_channel channel;
};

namespace fake {

omnibal::element_type type_of(ncclDataType_t type) {
  switch (type) {
    case ncclBfloat16: return omnibal::element_type::bf16;
    case ncclFloat32: return omnibal::element_type::f32;
    case ncclFloat64: return omnibal::element_type::f64;
    case ncclInt64: return omnibal::element_type::i64;
    default: return omnibal::element_type::byte;
  }
}

omnibal::reduction reduction_of(ncclRedOp_t how) {
  if (how == ncclMin) return omnibal::reduction::smallest;
  return how == ncclMax ? omnibal::reduction::largest : omnibal::reduction::sum;
}

omnibal::tensor_view view(void* data, std::size_t count, ncclDataType_t type) {
  return {static_cast<std::byte*>(data), count, type_of(type)};
}
omnibal::const_tensor_view view(const void* data, std::size_t count, ncclDataType_t type) {
  return {static_cast<const std::byte*>(data), count, type_of(type)};
}

/// Sends and receives of a group begin at its end.
template <typename Call>
ncclResult_t message(ncclComm_t comm, cudaStream_t stream, const Call& call) {
  if (group_depth > 0 && group_member == nullptr) {
    group_member = comm;
    group_stream = stream;
    comm->channel.begin_group();
  }
  try {
    const ticket begun = call();
    if (group_depth == 0) stream_of(stream).tickets.push_back(begun);
  } catch (const omnibal::communication_error&) {
    return ncclRemoteError;
  }
  return ncclInProgress;
}

template <typename Call>
ncclResult_t collective(cudaStream_t stream, const Call& call) {
  try {
    stream_of(stream).tickets.push_back(call());
  } catch (const omnibal::communication_error&) {
    return ncclRemoteError;
  }
  return ncclInProgress;
}

}  // namespace fake

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) { return "an error of NCCL"; }
const char* ncclGetLastError(ncclComm_t) { return ""; }
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int, ncclUniqueId, int,
                                    ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidArgument;
  *comm = new ncclComm{omnibal::open_thread_channel(*fake::ranks, {.rendezvous = true})};
  return ncclInProgress;
}
ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* child, ncclConfig_t*) {
  auto part =
      comm->channel.split(color == NCCL_SPLIT_NOCOLOR ? std::nullopt : std::optional(color), key);
  if (part) *child = new ncclComm{std::move(*part)};
  return ncclInProgress;
}
ncclResult_t ncclCommFinalize(ncclComm_t) {
  ++fake::finalized;
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  ++fake::aborted;
  comm->channel.abort("ncclCommAbort");
  delete comm;
  return ncclSuccess;
}
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 9)
ncclResult_t ncclCommRevoke(ncclComm_t, int) { return ncclSuccess; }
#endif
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* error) {
  *error = ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  *rank = static_cast<int>(comm->channel.rank());
  return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int* size) {
  *size = static_cast<int>(comm->channel.size());
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() {
  ++fake::group_depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (--fake::group_depth > 0 || fake::group_member == nullptr) return ncclSuccess;
  ncclComm_t comm = std::exchange(fake::group_member, nullptr);
  return fake::collective(fake::group_stream, [&] { return comm->channel.end_group(); });
}
ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return fake::message(comm, stream, [&] {
    return comm->channel.send(fake::view(data, count, type), static_cast<std::size_t>(peer));
  });
}
ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return fake::message(comm, stream, [&] {
    return comm->channel.receive(fake::view(data, count, type), static_cast<std::size_t>(peer));
  });
}
ncclResult_t ncclBroadcast(const void*, void* data, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  return fake::collective(stream, [&] {
    return comm->channel.broadcast(fake::view(data, count, type), static_cast<std::size_t>(root));
  });
}
ncclResult_t ncclAllReduce(const void*, void* data, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t how, ncclComm_t comm, cudaStream_t stream) {
  return fake::collective(stream, [&] {
    return comm->channel.all_reduce(fake::view(data, count, type), fake::reduction_of(how));
  });
}
ncclResult_t ncclReduce(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                        ncclRedOp_t how, int root, ncclComm_t comm, cudaStream_t stream) {
  std::vector<std::size_t> counts(comm->channel.size(), 0);
  counts[static_cast<std::size_t>(root)] = count;
  const bool is_root = comm->channel.rank() == static_cast<std::size_t>(root);
  return fake::collective(stream, [&] {
    return comm->channel.reduce_scatter(fake::view(sent, count, type),
                                        fake::view(received, is_root ? count : 0, type), counts,
                                        fake::reduction_of(how));
  });
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "a CUDA error"; }
cudaError_t cudaStreamQuery(cudaStream_t stream) { return fake::stream_of(stream).query(); }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int) {
  auto& target = fake::stream_of(stream).tickets;
  const auto& source = reinterpret_cast<fake::work_list*>(event)->tickets;
  target.insert(target.end(), source.begin(), source.end());
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int) {
  *event = reinterpret_cast<cudaEvent_t>(new fake::work_list);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete reinterpret_cast<fake::work_list*>(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *reinterpret_cast<fake::work_list*>(event) = fake::stream_of(stream);
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return reinterpret_cast<fake::work_list*>(event)->query();
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  while (fake::stream_of(stream).query() != cudaSuccess) {
  }
  std::memmove(to, from, bytes);
  return cudaSuccess;
}
}

namespace {

using channel_checks::expect;
using omnibal::nccl_channel;
using omnibal::reduction;
using omnibal::view_of;

static_assert(omnibal::tensor_channel<nccl_channel>);

using body = std::function<void(nccl_channel&)>;

std::vector<std::string> errors_of(std::size_t size, const body& run) {
  std::vector<std::string> errors(size);
  omnibal::run_as_ranks(size, [&](omnibal::thread_communicator& ranks) {
    fake::ranks = &ranks;
    fake::default_stream.tickets.clear();
    {
      nccl_channel channel(omnibal::exchange_nccl_id(ranks), ranks.rank(), size,
                           {.deadline = std::chrono::milliseconds(200)});
      try {
        run(channel);
      } catch (const omnibal::communication_error& error) {
        errors[ranks.rank()] = error.what();
      }
      fake::default_stream.tickets.clear();
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
  }
  expect(fake::aborted == 0 && fake::finalized > 0, "finalized, not aborted");
}

/// Both ranks send first: with NCCL that hangs.
void check_order_that_hangs() {
  const auto errors = errors_of(2, [](nccl_channel& channel) {
    std::vector<float> own(8);
    std::vector<float> other(8);
    const std::size_t peer = 1 - channel.rank();
    channel.send(view_of(own), peer, nullptr);
    channel.receive(view_of(other), peer, nullptr).wait();
  });
  expect_part(errors[0] + errors[1], "receive #1: did not end within 200 ms");
  expect(fake::aborted > 0, "aborted");
}

/// A ticket of a message is not done before its group has ended.
void check_tickets_of_a_group() {
  const auto errors = errors_of(2, [](nccl_channel& channel) {
    std::vector<float> own(8, 1.0F);
    std::vector<float> other(8);
    channel.begin_group();
    auto sent = channel.send(view_of(own), 1 - channel.rank(), nullptr);
    auto received = channel.receive(view_of(other), 1 - channel.rank(), nullptr);
    expect(!sent.done() && !received.done(), "nothing has begun");
    channel.end_group().wait();
    expect(sent.done() && received.done() && other == own, "all has ended");
  });
  expect(errors[0].empty() && errors[1].empty(), errors[0] + errors[1]);
}

/// All ranks call `run` on a channel that compares their calls.
std::vector<std::string> checked_errors_of(std::size_t size, const body& run) {
  return errors_of(size, [&](nccl_channel& channel) {
    auto control = fake::ranks->split(0, static_cast<int>(channel.rank()));
    channel.check_over(*control);
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
        omnibal::run_as_ranks(2, [](omnibal::thread_communicator& ranks) {
          fake::ranks = &ranks;
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
  const auto all_reduce = [](auto number, std::size_t count) {
    return [number, count](nccl_channel& channel) {
      std::vector<decltype(number)> values(count);
      channel.all_reduce(view_of(values), reduction::sum, nullptr).wait();
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
  expect_difference("from rank 2", broadcast(1), broadcast(2));
  expect_difference("counts of hash", all_gather({1, 2, 3}), all_gather({1, 3, 2}));
  expect_difference("all_to_all", all_to_all(2), all_to_all(3));
  expect_difference("of 4 f32", message(3, false), message(4, false));
  expect_difference("of 4 f32", message(3, true), message(4, true));
}

/// A channel over a communicator of somebody else leaves it as it is.
void check_lent_communicator() {
  fake::finalized = 0;
  fake::aborted = 0;
  omnibal::run_as_ranks(2, [&](omnibal::thread_communicator& ranks) {
    fake::ranks = &ranks;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t lent = nullptr;
    (void)ncclCommInitRankConfig(&lent, 2, {}, static_cast<int>(ranks.rank()), &config);
    {
      nccl_channel channel(lent);
      std::vector<double> values = {1.0};
      channel.all_reduce(view_of(values), reduction::sum, nullptr).wait();
      expect(values[0] == 2.0 && channel.size() == 2, "the lent communicator works");
    }
    expect(fake::finalized == 0 && fake::aborted == 0, "and still does");
    fake::default_stream.tickets.clear();
    ncclCommDestroy(lent);
  });
}

void check_id_by_file() {
  const auto file =
      std::filesystem::temp_directory_path() / ("omnibal_nccl_id_" + std::to_string(std::rand()));
  collective_checks::expect_throw<omnibal::communication_error>(
      [&] { (void)omnibal::exchange_nccl_id(file, 1, std::chrono::milliseconds(30)); },
      "nobody writes the file");
  (void)omnibal::exchange_nccl_id(file, 0);
  (void)omnibal::exchange_nccl_id(file, 1);
  collective_checks::expect_throw<omnibal::communication_error>(
      [&] { (void)omnibal::exchange_nccl_id(file, 0); }, "a file of another run");
  std::filesystem::remove(file);
}

int run_checks() {
  try {
    check_all();
    check_tickets_of_a_group();
    check_order_that_hangs();
    check_checked_mode();
    check_differing_calls();
    check_lent_communicator();
    check_id_by_file();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "failed: %s\n", error.what());
    return 1;
  }
}

}  // namespace

int main() { return run_checks(); }
