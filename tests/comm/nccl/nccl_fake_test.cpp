// SPDX-License-Identifier: Apache-2.0
/// @file
/// nccl_communicator against a fake NCCL and a fake CUDA runtime, which this program defines itself
/// and which replace the real ones at link time. So its error paths run, which no healthy
/// machine takes, and all of it runs without a GPU: ranks are threads, device memory is host
/// memory, and a stream has ended unless it was made to hang.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <new>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/nccl.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/core/error.hpp>

#include "comm/collective_checks.hpp"
#include "comm/nccl/fake_answers.hpp"

namespace fake {

/// One message of a group; sent or received.
struct message {
  std::size_t peer;
  std::span<const std::byte> sent;
  std::span<std::byte> received;
};

/// What the fake NCCL of this thread, that is of this rank, was asked to do and what it did.
struct script {
  omnibal::thread_communicator* ranks = nullptr;
  ncclResult_t call_result = ncclInProgress;  // of every call: non-blocking ones rarely end at once
  int polls_in_progress = 2;                  // before a call has ended
  ncclResult_t poll_result = ncclSuccess;     // once it has
  bool stream_hangs = false;
  bool child_fails = false;  // the communicator that the next split makes
  ncclComm_t failing_child = nullptr;
  int device = 0;
  cudaError_t stream_error = cudaSuccess;
  int groups = 0;
  int messages = 0;
  int finalized = 0;
  int destroyed = 0;
  int revoked = 0;
  std::atomic<int> aborted = 0;  // counted by the thread that aborts
  int polls = 0;
  bool in_group = false;
  std::set<int> call_devices = {};  // current at calls
  std::vector<message> group;
};

thread_local script state;

/// A rank begins anew, as the script says.
void begin(omnibal::thread_communicator* ranks, ncclResult_t poll_result = ncclSuccess) {
  state.~script();
  new (&state) script{.ranks = ranks, .poll_result = poll_result, .group = {}};
}

ncclResult_t begin_call() {
  state.polls = 0;
  state.call_devices.insert(state.device);
  return state.call_result;
}

std::span<const std::byte> bytes(const void* data, std::size_t count) {
  return {static_cast<const std::byte*>(data), count};
}

std::span<std::byte> bytes(void* data, std::size_t count) {
  return {static_cast<std::byte*>(data), count};
}

/// Does what the sends and receives of a group say, as one exchange between threads.
void exchange() {
  const std::size_t size = state.ranks->size();
  std::vector<std::size_t> sent_counts(size, 0);
  std::vector<std::size_t> received_counts(size, 0);
  for (const message& each : state.group) {
    sent_counts[each.peer] += each.sent.size();
    received_counts[each.peer] += each.received.size();
  }
  std::vector<std::byte> sent;
  std::vector<std::byte> received;
  for (std::size_t r = 0; r < size; ++r) {
    for (const message& each : state.group)
      if (each.peer == r) sent.insert(sent.end(), each.sent.begin(), each.sent.end());
    received.resize(received.size() + received_counts[r]);
  }
  state.ranks->all_to_all_bytes(sent, sent_counts, received, received_counts);
  auto position = received.begin();
  for (std::size_t r = 0; r < size; ++r)
    for (const message& each : state.group)
      if (each.peer == r && !each.received.empty()) {
        std::copy_n(position, each.received.size(), each.received.begin());
        position += static_cast<std::ptrdiff_t>(each.received.size());
      }
}

}  // namespace fake

struct ncclComm {
  std::size_t rank;
  std::size_t size;
  fake::script* script = &fake::state;
};

namespace fake {

int& current_device() { return state.device; }
int rank_of(ncclComm_t comm) { return static_cast<int>(comm->rank); }
int ranks_of(ncclComm_t comm) { return static_cast<int>(comm->size); }

}  // namespace fake

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  return ncclSuccess;
}
const char* ncclGetLastError(ncclComm_t) { return "a cable was pulled"; }
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId, int rank,
                                    ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidArgument;
  *comm = new ncclComm{static_cast<std::size_t>(rank), static_cast<std::size_t>(size)};
  return fake::begin_call();
}
ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* child,
                           ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidArgument;
  if (color != NCCL_SPLIT_NOCOLOR && fake::state.call_result == ncclInProgress)
    *child = new ncclComm{static_cast<std::size_t>(key), comm->size - 1};
  fake::state.failing_child = fake::state.child_fails ? *child : nullptr;
  return fake::begin_call();
}
ncclResult_t ncclCommFinalize(ncclComm_t) {
  ++fake::state.finalized;
  return fake::begin_call();
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  ++fake::state.destroyed;
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  ++comm->script->aborted;
  delete comm;
  return ncclSuccess;
}
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 9)
ncclResult_t ncclCommRevoke(ncclComm_t comm, int) {
  ++comm->script->revoked;
  return ncclSuccess;
}
#endif
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (comm == fake::state.failing_child && comm != nullptr) {
    *error = ncclRemoteError;
    return ncclSuccess;
  }
  const bool ended = ++fake::state.polls > fake::state.polls_in_progress;
  *error = ended ? fake::state.poll_result : ncclInProgress;
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() {
  fake::state.in_group = true;
  fake::state.group.clear();
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  fake::state.in_group = false;
  ++fake::state.groups;
  fake::exchange();
  return fake::begin_call();
}
ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t, int peer, ncclComm_t,
                      cudaStream_t) {
  ++fake::state.messages;
  if (count == 0) return ncclInvalidUsage;
  if (!fake::state.in_group) {
    fake::state.ranks->send_bytes(fake::bytes(data, count), static_cast<std::size_t>(peer));
    return fake::begin_call();
  }
  fake::state.group.push_back({static_cast<std::size_t>(peer), fake::bytes(data, count), {}});
  return ncclSuccess;
}
ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t, int peer, ncclComm_t,
                      cudaStream_t) {
  if (count == 0) return ncclInvalidUsage;
  if (!fake::state.in_group) {
    fake::state.ranks->receive_bytes(fake::bytes(data, count), static_cast<std::size_t>(peer));
    return fake::begin_call();
  }
  fake::state.group.push_back({static_cast<std::size_t>(peer), {}, fake::bytes(data, count)});
  return ncclSuccess;
}
ncclResult_t ncclBroadcast(const void*, void* data, std::size_t count, ncclDataType_t, int root,
                           ncclComm_t, cudaStream_t) {
  if (fake::state.call_result == ncclInProgress)
    fake::state.ranks->broadcast_bytes(fake::bytes(data, count), static_cast<std::size_t>(root));
  return fake::begin_call();
}
ncclResult_t ncclAllGather(const void* sent, void* received, std::size_t count, ncclDataType_t,
                           ncclComm_t, cudaStream_t) {
  omnibal::thread_communicator& ranks = *fake::state.ranks;
  const std::vector<std::size_t> counts(ranks.size(), count);
  ranks.all_gather_bytes(fake::bytes(sent, count), fake::bytes(received, count * ranks.size()),
                         counts);
  return fake::begin_call();
}
/// Knows the sum of 64-bit integers.
ncclResult_t ncclAllReduce(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t combine, ncclComm_t, cudaStream_t) {
  if (type != ncclInt64 || combine != ncclSum) return ncclInvalidArgument;
  for (std::size_t i = 0; i < count; ++i)
    static_cast<std::int64_t*>(received)[i] =
        omnibal::all_reduce_sum(*fake::state.ranks, static_cast<const std::int64_t*>(sent)[i]);
  return fake::begin_call();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
  *stream = reinterpret_cast<cudaStream_t>(std::malloc(1));
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::free(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t) {
  return fake::state.stream_hangs ? cudaErrorNotReady : fake::state.stream_error;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
}

namespace {

using collective_checks::expect;
using collective_checks::expect_throw;
using omnibal::communication_error;
using omnibal::nccl_communicator;

static_assert(omnibal::communicator<nccl_communicator>);

using checks = std::function<void(nccl_communicator&)>;

/// For waits that never end.
constexpr auto short_deadline = std::chrono::milliseconds(200);

/// Runs checks on each of `size` ranks.
void on_ranks(std::size_t size, const checks& body,
              std::chrono::milliseconds deadline = std::chrono::seconds(30)) {
  const ncclUniqueId id = omnibal::make_nccl_id();
  omnibal::run_as_ranks(size, [&](omnibal::thread_communicator& threads) {
    fake::begin(&threads);
    nccl_communicator ranks(id, threads.rank(), threads.size(), {.deadline = deadline});
    body(ranks);
  });
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const communication_error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

void expect_equal(const std::string& left, const std::string& right) {
  expect(left == right, "\"" + left + "\" is not \"" + right + "\"");
}

void broadcast_of_nothing(nccl_communicator& ranks) { ranks.broadcast_bytes({}, 0); }

void check_all_operations() {
  for (std::size_t size = 1; size <= 5; ++size)
    on_ranks(size, [](nccl_communicator& ranks) {
      collective_checks::check_collectives(ranks);
      collective_checks::check_messages(ranks);
    });
}

/// Host memory goes through a buffer of the host, piece by piece, and device memory that grows.
void check_host_memory_of_several_pieces() {
  on_ranks(2, [](nccl_communicator& ranks) {
    for (const std::size_t count : {1000U, 100'000U}) {
      std::vector<std::int32_t> values(count);
      std::iota(values.begin(), values.end(), static_cast<std::int32_t>(ranks.rank()));
      ranks.broadcast_bytes(std::as_writable_bytes(std::span(values)), 1);
      for (std::size_t i = 0; i < count; ++i)
        expect(values[i] == static_cast<std::int32_t>(i + 1), "value " + std::to_string(i));
    }
  });
}

void check_equal_counts_use_no_messages() {
  on_ranks(3, [](nccl_communicator& ranks) {
    collective_checks::check_all_gather(ranks);
    expect(fake::state.messages == 0, "messages in an all_gather of equal counts");
    collective_checks::check_all_gather_variable(ranks);
    expect(fake::state.groups == 1, "groups in an all_gather of different counts");
  });
}

void check_all_reduce_on_device() {
  on_ranks(4, [](nccl_communicator& ranks) {
    std::vector<std::int64_t> values = {static_cast<std::int64_t>(ranks.rank()), 10};
    ranks.enqueue_all_reduce(values.data(), values.data(), 2, ncclInt64, ncclSum, nullptr);
    ranks.wait(nullptr);
    expect(values == std::vector<std::int64_t>{6, 40}, "all_reduce");
  });
}

void check_end() {
  on_ranks(1, [](nccl_communicator& ranks) {
    { const nccl_communicator moved = std::move(ranks); }
    expect(fake::state.finalized == 1 && fake::state.destroyed == 1, "finalized and destroyed");
    expect(fake::state.aborted == 0, "not aborted");
  });
}

void check_end_that_hangs() {
  on_ranks(
      1,
      [](nccl_communicator& ranks) {
        fake::state.poll_result = ncclInProgress;
        { const nccl_communicator moved = std::move(ranks); }
        expect(fake::state.destroyed == 0 && fake::state.aborted == 1, "aborted, not destroyed");
      },
      short_deadline);
}

void check_call_that_fails() {
  on_ranks(2, [](nccl_communicator& ranks) {
    collective_checks::check_all_gather(ranks);
    fake::state.call_result = ncclRemoteError;
    expect_equal(error_of([&] { broadcast_of_nothing(ranks); }),
                 "rank " + std::to_string(ranks.rank()) +
                     ", broadcast #3: remote error; NCCL: a cable was pulled");
    expect(fake::state.aborted == 1 && ranks.handle() == nullptr, "aborted");
    expect_equal(error_of([&] { broadcast_of_nothing(ranks); }),
                 "rank " + std::to_string(ranks.rank()) +
                     ", broadcast #3: the communicator was aborted before: rank " +
                     std::to_string(ranks.rank()) +
                     ", broadcast #3: remote error; NCCL: a cable was pulled");
  });
}

void check_error_after_a_call() {
  on_ranks(1, [](nccl_communicator& ranks) {
    fake::state.poll_result = ncclRemoteError;
    expect_equal(error_of([&] { broadcast_of_nothing(ranks); }),
                 "rank 0, broadcast #0: remote error; NCCL: a cable was pulled");
  });
}

/// A broadcast that `hang` keeps from ending at this place is an error there, and aborts.
void check_hang(const std::function<void()>& hang, const std::string& place) {
  on_ranks(
      1,
      [&](nccl_communicator& ranks) {
        hang();
        expect_equal(error_of([&] { broadcast_of_nothing(ranks); }),
                     "rank 0, " + place + ": did not end within 200 ms; NCCL: a cable was pulled");
        expect(fake::state.aborted == 1, "aborted");
      },
      short_deadline);
}

void check_call_that_does_not_end() {
  check_hang([] { fake::state.poll_result = ncclInProgress; }, "broadcast #0");
}

void check_stream_that_hangs() {
  check_hang([] { fake::state.stream_hangs = true; }, "broadcast #1");
}

void check_error_while_the_stream_runs() {
  on_ranks(1, [](nccl_communicator& ranks) {
    fake::state.stream_hangs = true;
    fake::state.poll_result = ncclRemoteError;
    expect_equal(error_of([&] { ranks.wait(nullptr, "step"); }),
                 "rank 0, step #0: remote error; NCCL: a cable was pulled");
  });
}

/// A failed device leaves peers waiting unless the communicator is aborted.
void check_error_of_the_device() {
  on_ranks(1, [](nccl_communicator& ranks) {
    fake::state.stream_error = cudaErrorUnknown;
    expect_equal(error_of([&] { ranks.wait(nullptr, "step"); }),
                 "rank 0, step #0: a CUDA error; NCCL: a cable was pulled");
    expect(fake::state.aborted == 1, "aborted");
  });
}

/// Finalizing waits for the other ranks, and they may wait for the one that threw.
void check_exception_aborts() {
  on_ranks(1, [](nccl_communicator& ranks) {
    try {
      const nccl_communicator moved = std::move(ranks);
      throw std::domain_error("the loss is not a number");
    } catch (const std::domain_error&) {
    }
    expect(fake::state.aborted == 1 && fake::state.finalized == 0, "aborted, not finalized");
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 9)
    expect(fake::state.revoked == 1, "revoked first");
#endif
  });
}

void check_abort() {
  on_ranks(1, [](nccl_communicator& ranks) {
    ranks.abort("another rank has failed");
    expect(fake::state.aborted == 1 && ranks.handle() == nullptr, "aborted");
    expect_equal(error_of([&] { broadcast_of_nothing(ranks); }),
                 "rank 0, broadcast #0: the communicator was aborted before: another rank has "
                 "failed");
  });
}

/// The communicator works on its device, whatever device is current at a call.
void check_device() {
  on_ranks(1, [](nccl_communicator& ranks) {
    fake::state.device = 3;
    collective_checks::check_all_gather(ranks);
    expect(fake::state.device == 3, "the device of the caller is current again");
    expect(fake::state.call_devices == std::set<int>{0}, "calls on the device of construction");
  });
}

/// A part that fails is not the end of the whole.
void check_split_whose_part_fails() {
  on_ranks(3, [](nccl_communicator& ranks) {
    fake::state.child_fails = true;
    const std::string error = error_of([&] { (void)ranks.split(0, 0); });
    expect(error.find("split #0: remote error") != std::string::npos, error);
    expect(fake::state.aborted == 1 && ranks.handle() != nullptr, "only the part is aborted");
    collective_checks::check_all_gather(ranks);
  });
}

void check_ranks_that_do_not_meet() {
  fake::begin(nullptr, ncclInProgress);
  const auto make = [](std::size_t rank, std::size_t size) {
    nccl_communicator(omnibal::make_nccl_id(), rank, size,
                      {.deadline = std::chrono::milliseconds(5)});
  };
  expect_equal(error_of([&] { make(1, 2); }),
               "rank 1, init #0: did not end within 5 ms; NCCL: a cable was pulled");
  expect(fake::state.aborted == 1, "aborted");
  expect_throw<omnibal::invalid_input>([&] { make(2, 2); }, "rank");
  expect_throw<omnibal::invalid_input>([&] { make(0, 0); }, "size");
}

void check_split() {
  on_ranks(3, [](nccl_communicator& ranks) {
    {
      const std::optional<nccl_communicator> part = ranks.split(7, 1);
      expect(part.has_value() && part->rank() == 1 && part->size() == 2, "part of the ranks");
    }
    expect(fake::state.destroyed == 1, "the part is destroyed");
    expect(!ranks.split(std::nullopt, 0).has_value(), "no color, no part");
    expect_throw<omnibal::invalid_input>([&] { (void)ranks.split(-1, 0); }, "color");
    fake::state.call_result = ncclRemoteError;
    const std::string error = error_of([&] { (void)ranks.split(0, 0); });
    expect(error.find("split #2: remote error") != std::string::npos, error);
  });
}

}  // namespace

int main(int count, char** arguments) {
  return collective_checks::status_of(
      count, arguments,
      {
          {"all operations", check_all_operations},
          {"host memory of several pieces", check_host_memory_of_several_pieces},
          {"equal counts use no messages", check_equal_counts_use_no_messages},
          {"an all_reduce on the device", check_all_reduce_on_device},
          {"an end", check_end},
          {"an end that hangs", check_end_that_hangs},
          {"a call that fails", check_call_that_fails},
          {"an error after a call", check_error_after_a_call},
          {"a call that does not end", check_call_that_does_not_end},
          {"a stream that hangs", check_stream_that_hangs},
          {"an error while the stream runs", check_error_while_the_stream_runs},
          {"an error of the device", check_error_of_the_device},
          {"an exception aborts", check_exception_aborts},
          {"an abort", check_abort},
          {"the device of a communicator", check_device},
          {"a split whose part fails", check_split_whose_part_fails},
          {"ranks that do not meet", check_ranks_that_do_not_meet},
          {"a split", check_split},
      });
}
