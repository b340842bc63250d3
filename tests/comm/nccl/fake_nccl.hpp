// SPDX-License-Identifier: Apache-2.0
/// @file
/// A fake NCCL and a fake CUDA runtime, which replace the real ones at link time in the one source
/// of a program that includes this. Ranks are threads of one process, each with a device of its
/// own; device memory is host memory.
///
/// It is as strict as NCCL, so that what hangs there hangs here. Streams carry out their work in
/// order; a communicator carries out its operations in order, those of a group at once; a send ends
/// when it is received and a collective operation when all ranks are at it; ranks that differ in
/// what they call wait for ever. Work reaches its stream when the call has ended and not before.
/// Nothing but a look, a revoke or an abort is allowed before that, nor anything after an end:
/// `violations` names what was done all the same. An abort waits for the kernels of other
/// communicators on the device, unless they are revoked.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include "comm/nccl/fake_answers.hpp"

namespace fake {

enum class kind { send, receive, all_reduce, reduce, reduce_scatter, all_gather, broadcast };

/// One call of NCCL.
struct primitive {
  kind what = kind::send;
  const std::byte* sent = nullptr;
  std::byte* received = nullptr;
  std::size_t count = 0;
  ncclDataType_t type = ncclInt8;
  ncclRedOp_t how = ncclSum;
  int peer = -1;  // or root
  bool done = false;
};

/// Work of a stream; a kernel of NCCL has a communicator.
struct work {
  ncclComm_t comm = nullptr;
  std::vector<primitive> primitives = {};
  std::function<bool()> run = {};  // of other work; false while it has to wait
  bool done = false;
};

/// The ranks of a communicator. Those of a part are complete once all ranks of the whole have
/// called its split.
struct clique {
  std::vector<ncclComm_t> ranks = {};  // null before they came and after they left
  std::size_t arrived = 0;
  std::map<int, std::size_t> split_calls = {};                        // by number of the split
  std::map<std::pair<int, int>, std::shared_ptr<clique>> parts = {};  // by split and color
  std::map<std::set<int>, std::shared_ptr<clique>> shrunk = {};       // by the ranks that are lost
  std::vector<std::pair<int, int>> order = {};                        // key and rank in the whole
};

/// What a communicator was to be like.
struct configuration {
  int most_blocks = 0;
  std::string name = {};
};

/// What a test wants to go wrong, and how NCCL fared; of all threads.
struct world {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::uint64_t, std::shared_ptr<clique>> cliques;
  std::vector<std::string> violations;
  std::set<ncclComm_t> alive;
  std::map<int, std::set<std::deque<std::shared_ptr<work>>*>> streams;  // by device
  std::uint64_t next_id = 1;
  int polls_in_progress = 1;  // looks before a call has ended
  bool moves_bytes = true;
  bool abort_hangs = false;
  bool holds_streams = false;  // nothing begins
  bool is_capturing = false;   // some thread captures a graph, in the global mode
  bool revoke_works = true;    // else as a NCCL that has no revoke
  ncclResult_t call_result = ncclSuccess;
  int failing_calls = std::numeric_limits<int>::max();  // with that result, the first ones
  cudaError_t copy_result = cudaSuccess;
  int finalized = 0;
  int destroyed = 0;
  int aborted = 0;
  int revoked = 0;
  int open_groups_at_abort = 0;
  std::vector<primitive> log;                 // every call in order, of all ranks
  std::function<void()> before_query;         // called at a look at an event, without the lock
  std::vector<configuration> configurations;  // of every communicator that was made
  std::map<void*, ncclComm_t> registered;     // by the memory

  void reset() {
    const std::scoped_lock lock(mutex);
    cliques.clear();
    violations.clear();
    log.clear();
    polls_in_progress = 1;
    moves_bytes = true;
    abort_hangs = false;
    holds_streams = false;
    is_capturing = false;
    revoke_works = true;
    call_result = ncclSuccess;
    failing_calls = std::numeric_limits<int>::max();
    copy_result = cudaSuccess;
    before_query = {};
    configurations.clear();
    registered.clear();
    finalized = destroyed = aborted = revoked = open_groups_at_abort = 0;
  }
};
inline world all;

using stream = std::deque<std::shared_ptr<work>>;

/// Of a thread.
struct thread_state {
  int device = 0;
  int group_depth = 0;
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
  std::map<ncclComm_t, std::pair<std::shared_ptr<work>, cudaStream_t>> group = {};
};
inline thread_local thread_state here;
inline std::map<int, stream> default_streams;

inline stream& stream_of(cudaStream_t handle) {
  stream& found =
      handle == nullptr ? default_streams[here.device] : *reinterpret_cast<stream*>(handle);
  all.streams[here.device].insert(&found);
  return found;
}

}  // namespace fake

struct ncclComm {
  std::shared_ptr<fake::clique> clique;
  int rank = 0;
  int device = 0;
  std::shared_ptr<fake::clique> whole = {};  // while a split is under way
  int split = 0;
  int splits = 0;
  int polls = 0;
  bool is_made = false;
  bool in_progress = false;
  bool is_revoked = false;
  bool is_finalized = false;
  ncclResult_t error = ncclSuccess;
  std::deque<std::shared_ptr<fake::work>> queue = {};  // in the order of the calls
  std::vector<std::pair<std::shared_ptr<fake::work>, fake::stream*>> pending = {};
};

namespace fake {

inline std::size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8: return 1;
    case ncclBfloat16: return 2;
    case ncclFloat32: return 4;
    default: return 8;
  }
}

template <typename Element, typename Load, typename Store>
void reduce_elements(const std::vector<const primitive*>& all_ranks, std::size_t first,
                     std::size_t count, std::byte* target, const Load& load, const Store& store) {
  std::vector<Element> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto value = load(reinterpret_cast<const Element*>(all_ranks[0]->sent)[first + i]);
    for (std::size_t r = 1; r < all_ranks.size(); ++r) {
      const auto other = load(reinterpret_cast<const Element*>(all_ranks[r]->sent)[first + i]);
      const ncclRedOp_t how = all_ranks[0]->how;
      value = how == ncclMin   ? std::min(value, other)
              : how == ncclMax ? std::max(value, other)
                               : static_cast<decltype(value)>(value + other);
    }
    result[i] = store(value);
  }
  if (count > 0) std::memcpy(target, result.data(), count * sizeof(Element));
}

/// The elements first … first + count of all ranks, reduced.
inline void reduce_into(const std::vector<const primitive*>& ranks, std::size_t first,
                        std::size_t count, std::byte* target) {
  const auto same = [](auto value) { return value; };
  switch (ranks[0]->type) {
    case ncclFloat32: return reduce_elements<float>(ranks, first, count, target, same, same);
    case ncclFloat64: return reduce_elements<double>(ranks, first, count, target, same, same);
    case ncclInt64: return reduce_elements<std::int64_t>(ranks, first, count, target, same, same);
    case ncclBfloat16:
      return reduce_elements<std::uint16_t>(
          ranks, first, count, target,
          [](std::uint16_t bits) {
            const std::uint32_t wide = std::uint32_t{bits} << 16U;
            float value = 0;
            std::memcpy(&value, &wide, sizeof(value));
            return value;
          },
          [](float value) {
            std::uint32_t bits = 0;
            std::memcpy(&bits, &value, sizeof(bits));
            return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16U & 1U)) >> 16U);
          });
    default: all.violations.emplace_back("a reduction of bytes");
  }
}

/// A collective operation that all ranks are at.
inline void carry_out(const std::vector<primitive*>& ranks) {
  const primitive& first = *ranks[0];
  const std::size_t element = size_of(first.type);
  const std::vector<const primitive*> sources(ranks.begin(), ranks.end());
  // Before any target is written: in place, it is a source.
  std::vector<std::vector<std::byte>> results(ranks.size());
  for (std::size_t r = 0; r < ranks.size() && all.moves_bytes; ++r) {
    std::vector<std::byte>& result = results[r];
    const bool is_root = ranks[r]->peer == static_cast<int>(r);
    if (first.what == kind::all_reduce || (first.what == kind::reduce && is_root)) {
      result.resize(first.count * element);
      reduce_into(sources, 0, first.count, result.data());
    } else if (first.what == kind::reduce_scatter) {
      result.resize(first.count * element);
      reduce_into(sources, r * first.count, first.count, result.data());
    } else if (first.what == kind::broadcast) {
      const std::byte* root = ranks[static_cast<std::size_t>(first.peer)]->sent;
      if (first.count > 0) result.assign(root, root + first.count * element);
    } else if (first.what == kind::all_gather && first.count > 0) {
      for (const primitive* each : ranks)
        result.insert(result.end(), each->sent, each->sent + first.count * element);
    }
  }
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (!results[r].empty()) std::memcpy(ranks[r]->received, results[r].data(), results[r].size());
    ranks[r]->done = true;
  }
}

/// The kernel that a rank is at: first of its communicator and of its stream.
inline work* active(ncclComm_t comm) {
  if (comm == nullptr || comm->queue.empty()) return nullptr;
  work* front = comm->queue.front().get();
  for (stream* each : all.streams[comm->device])
    if (!each->empty() && each->front().get() == front) return front;
  return nullptr;
}

inline primitive* next_collective(work* at) {
  if (at == nullptr) return nullptr;
  for (primitive& each : at->primitives)
    if (each.what > kind::receive && !each.done) return &each;
  return nullptr;
}

/// Whether the collective operation of all ranks could be carried out.
inline bool meet(const clique& ranks) {
  std::vector<primitive*> met;
  for (ncclComm_t comm : ranks.ranks) met.push_back(next_collective(active(comm)));
  for (const primitive* each : met)
    if (each == nullptr || each->what != met[0]->what || each->count != met[0]->count ||
        each->type != met[0]->type || each->how != met[0]->how || each->peer != met[0]->peer)
      return false;
  carry_out(met);
  return true;
}

/// Whether a send of this rank could be carried out: the first to each peer with the first there.
inline bool pass_message(ncclComm_t comm) {
  work* at = active(comm);
  if (at == nullptr) return false;
  std::set<int> peers;
  for (primitive& sent : at->primitives) {
    if (sent.what != kind::send || sent.done || !peers.insert(sent.peer).second) continue;
    work* other = active(comm->clique->ranks[static_cast<std::size_t>(sent.peer)]);
    if (other == nullptr) continue;
    for (primitive& received : other->primitives) {
      if (received.what != kind::receive || received.done || received.peer != comm->rank) continue;
      const std::size_t bytes = sent.count * size_of(sent.type);
      if (bytes != received.count * size_of(received.type)) break;  // for ever
      if (bytes > 0 && all.moves_bytes) std::memmove(received.received, sent.sent, bytes);
      sent.done = received.done = true;
      return true;
    }
  }
  return false;
}

inline bool retire(stream& line) {
  if (line.empty()) return false;
  work& front = *line.front();
  if (front.comm != nullptr && !front.done)
    front.done = std::ranges::all_of(front.primitives, &primitive::done);
  else if (!front.done)
    front.done = front.run();
  if (!front.done) return false;
  if (front.comm != nullptr && all.alive.contains(front.comm))
    std::erase(front.comm->queue, line.front());
  line.pop_front();
  return true;
}

/// Everything that can go on goes on. Under the lock.
inline void advance() {
  for (bool moved = !all.holds_streams; moved;) {
    moved = false;
    for (auto& [device, lines] : all.streams)
      for (stream* line : lines)
        while (retire(*line)) moved = true;
    std::set<clique*> seen;
    for (ncclComm_t comm : all.alive) {
      while (pass_message(comm)) moved = true;
      if (seen.insert(comm->clique.get()).second)
        while (meet(*comm->clique)) moved = true;
    }
    if (moved) all.changed.notify_all();
  }
}

/// Kernels of a communicator end without a result.
inline void stop_kernels(ncclComm_t comm) {
  for (const auto& each : comm->queue) each->done = true;
  comm->queue.clear();
  comm->pending.clear();
  advance();
  all.changed.notify_all();
}

inline bool is_usable(ncclComm_t comm, const std::string& call) {
  if (!all.alive.contains(comm)) {
    all.violations.push_back(call + " of a communicator that has ended");
    return false;
  }
  if (comm->in_progress || comm->is_revoked || comm->is_finalized) {
    all.violations.push_back(call + (comm->in_progress  ? " before the call before has ended"
                                     : comm->is_revoked ? " after a revoke"
                                                        : " after ncclCommFinalize"));
    return false;
  }
  return true;
}

/// A call that the communicator has begun.
inline ncclResult_t begun(ncclComm_t comm) {
  comm->in_progress = true;
  comm->polls = all.polls_in_progress;
  return ncclInProgress;
}

inline void note(const ncclConfig_t& config) {
  configuration& noted = all.configurations.emplace_back();
  noted.most_blocks = config.maxCTAs;
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
  if (config.commName != nullptr) noted.name = config.commName;
#endif
}

inline ncclResult_t submit(ncclComm_t comm, std::shared_ptr<work> kernel, cudaStream_t handle) {
  comm->queue.push_back(kernel);
  comm->pending.emplace_back(std::move(kernel), &stream_of(handle));
  return begun(comm);
}

inline ncclResult_t call(ncclComm_t comm, cudaStream_t handle, const primitive& called) {
  const std::scoped_lock lock(all.mutex);
  if (!is_usable(comm, "a call")) return ncclInvalidUsage;
  if (all.call_result != ncclSuccess && all.failing_calls > 0) {
    --all.failing_calls;
    return all.call_result;
  }
  if (here.device != comm->device) all.violations.emplace_back("a call on another device");
  all.log.push_back(called);
  if (here.group_depth == 0) {
    auto kernel = std::make_shared<work>();
    kernel->comm = comm;
    kernel->primitives.push_back(called);
    return submit(comm, std::move(kernel), handle);
  }
  auto& [kernel, line] = here.group[comm];
  if (!kernel) {
    kernel = std::make_shared<work>();
    kernel->comm = comm;
    line = handle;
  }
  if (line != handle) all.violations.emplace_back("a group on two streams");
  kernel->primitives.push_back(called);
  return ncclSuccess;
}

/// What was registered with a communicator goes with it.
inline void leave(ncclComm_t comm) {
  std::erase_if(all.registered, [&](const auto& each) { return each.second == comm; });
  for (ncclComm_t& each : comm->clique->ranks)
    if (each == comm) each = nullptr;
}

/// Whether a call that ranks make together has been made by all: an init, a split, and an end,
/// which also waits for the kernels.
inline bool others_came(ncclComm_t comm) {
  const auto& ranks = comm->clique->ranks;
  if (comm->whole) return comm->whole->split_calls[comm->split] == comm->whole->ranks.size();
  if (!comm->is_made) return comm->clique->arrived == ranks.size();
  if (!comm->is_finalized) return true;
  advance();
  return std::ranges::all_of(ranks, [](auto* each) {
    return each == nullptr || (each->is_finalized && each->queue.empty());
  });
}

template <typename Memory>
auto bytes(Memory* data) {
  if constexpr (std::is_const_v<Memory>)
    return static_cast<const std::byte*>(data);
  else
    return static_cast<std::byte*>(data);
}

struct event {
  std::shared_ptr<work> marker;  // null when it was never recorded
};

int& current_device() { return here.device; }
int rank_of(ncclComm_t comm) { return comm->rank; }
int ranks_of(ncclComm_t comm) { return static_cast<int>(comm->clique->ranks.size()); }

}  // namespace fake

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::scoped_lock lock(fake::all.mutex);
  *id = {};
  std::memcpy(id, &fake::all.next_id, sizeof(fake::all.next_id));
  ++fake::all.next_id;
  return ncclSuccess;
}
const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  const std::scoped_lock lock(fake::all.mutex);
  if (config->blocking != 0) return ncclInvalidArgument;
  fake::note(*config);
  std::uint64_t key = 0;
  std::memcpy(&key, &id, sizeof(key));
  auto& ranks = fake::all.cliques[key];
  if (!ranks) ranks = std::make_shared<fake::clique>();
  ranks->ranks.resize(static_cast<std::size_t>(size));
  *comm = new ncclComm{.clique = ranks, .rank = rank, .device = fake::here.device};
  ranks->ranks[static_cast<std::size_t>(rank)] = *comm;
  ++ranks->arrived;
  fake::all.alive.insert(*comm);
  return fake::begun(*comm);
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* child,
                           ncclConfig_t* config) {
  const std::scoped_lock lock(fake::all.mutex);
  if (!fake::is_usable(comm, "ncclCommSplit")) return ncclInvalidUsage;
  if (config->blocking != 0) return ncclInvalidArgument;
  fake::note(*config);
  const int split = comm->splits++;
  ++comm->clique->split_calls[split];
  comm->whole = comm->clique;
  comm->split = split;
  *child = nullptr;
  if (color == NCCL_SPLIT_NOCOLOR) return fake::begun(comm);
  auto& part = comm->clique->parts[{split, color}];
  if (!part) part = std::make_shared<fake::clique>();
  *child =
      new ncclComm{.clique = part, .device = comm->device, .whole = comm->clique, .split = split};
  const std::pair<int, int> order(key, comm->rank);
  const auto at = std::ranges::lower_bound(part->order, order) - part->order.begin();
  part->order.insert(part->order.begin() + at, order);
  part->ranks.insert(part->ranks.begin() + at, *child);
  for (std::size_t r = 0; r < part->ranks.size(); ++r) part->ranks[r]->rank = static_cast<int>(r);
  fake::all.alive.insert(*child);
  (void)fake::begun(*child);
  return fake::begun(comm);
}

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
/// The parent has no part in it once its kernels have been stopped; the child waits for all that
/// stay.
ncclResult_t ncclCommShrink(ncclComm_t comm, int* lost, int count, ncclComm_t* child,
                            ncclConfig_t* config, int flags) {
  const std::scoped_lock lock(fake::all.mutex);
  if (!fake::is_usable(comm, "ncclCommShrink")) return ncclInvalidUsage;
  const std::set<int> ranks(lost, lost + count);
  if (config->blocking != 0 || ranks.contains(comm->rank)) return ncclInvalidArgument;
  fake::note(*config);
  if (flags == NCCL_SHRINK_ABORT)
    fake::stop_kernels(comm);
  else if (!comm->queue.empty())
    fake::all.violations.emplace_back("ncclCommShrink while operations are under way");
  auto& left = comm->clique->shrunk[ranks];
  if (!left) left = std::make_shared<fake::clique>();
  left->ranks.resize(comm->clique->ranks.size() - ranks.size());
  const auto below = std::distance(ranks.begin(), ranks.lower_bound(comm->rank));
  *child = new ncclComm{
      .clique = left, .rank = comm->rank - static_cast<int>(below), .device = comm->device};
  left->ranks[static_cast<std::size_t>((*child)->rank)] = *child;
  ++left->arrived;
  fake::all.alive.insert(*child);
  (void)fake::begun(*child);
  return fake::begun(comm);
}
#endif

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 19, 0)
ncclResult_t ncclCommRegister(const ncclComm_t comm, void* memory, std::size_t, void** handle) {
  const std::scoped_lock lock(fake::all.mutex);
  if (!fake::is_usable(comm, "ncclCommRegister")) return ncclInvalidUsage;
  if (fake::all.call_result != ncclSuccess) return fake::all.call_result;
  fake::all.registered[memory] = comm;
  *handle = memory;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t comm, void* handle) {
  const std::scoped_lock lock(fake::all.mutex);
  if (!fake::is_usable(comm, "ncclCommDeregister")) return ncclInvalidUsage;
  if (fake::all.registered.erase(handle) == 0)
    fake::all.violations.emplace_back("ncclCommDeregister of memory that is not registered");
  return ncclSuccess;
}
#endif

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const std::scoped_lock lock(fake::all.mutex);
  if (!fake::is_usable(comm, "ncclCommFinalize")) return ncclInvalidUsage;
  ++fake::all.finalized;
  comm->is_finalized = true;
  return fake::begun(comm);
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::scoped_lock lock(fake::all.mutex);
  if (fake::all.alive.erase(comm) == 0) {
    fake::all.violations.emplace_back("ncclCommDestroy of a communicator that has ended");
    return ncclInvalidUsage;
  }
  ++fake::all.destroyed;
  fake::leave(comm);
  delete comm;
  return ncclSuccess;
}

/// Frees memory of the device, which waits for the kernels of other communicators.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  std::unique_lock lock(fake::all.mutex);
  if (!fake::all.alive.contains(comm)) {
    fake::all.violations.emplace_back("ncclCommAbort of a communicator that has ended");
    return ncclInvalidUsage;
  }
  if (fake::here.group_depth > 0) ++fake::all.open_groups_at_abort;
  comm->is_revoked = true;
  fake::stop_kernels(comm);
  fake::all.changed.wait(lock, [&] {
    return !fake::all.abort_hangs && std::ranges::none_of(fake::all.alive, [&](ncclComm_t other) {
      return other != comm && other->device == comm->device && !other->is_revoked &&
             fake::active(other) != nullptr;
    });
  });
  fake::all.alive.erase(comm);
  ++fake::all.aborted;
  fake::leave(comm);
  delete comm;
  fake::all.changed.notify_all();
  return ncclSuccess;
}

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 9)
ncclResult_t ncclCommRevoke(ncclComm_t comm, int) {
  const std::scoped_lock lock(fake::all.mutex);
  if (!fake::all.alive.contains(comm)) {
    fake::all.violations.emplace_back("ncclCommRevoke of a communicator that has ended");
    return ncclInvalidUsage;
  }
  ++fake::all.revoked;
  if (!fake::all.revoke_works) return ncclInvalidUsage;
  comm->is_revoked = true;
  fake::stop_kernels(comm);
  return ncclInProgress;
}
#endif

/// A call ends after some looks; its work is then on the stream.
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  const std::scoped_lock lock(fake::all.mutex);
  if (!fake::all.alive.contains(comm)) {
    fake::all.violations.emplace_back("ncclCommGetAsyncError of a communicator that has ended");
    return ncclInvalidUsage;
  }
  if (comm->in_progress && comm->polls-- <= 0 && fake::others_came(comm)) {
    comm->in_progress = false;
    comm->is_made = true;
    comm->whole.reset();
    for (auto& [kernel, line] : comm->pending) line->push_back(std::move(kernel));
    comm->pending.clear();
    fake::advance();
  }
  *error = comm->error != ncclSuccess ? comm->error
           : comm->in_progress        ? ncclInProgress
                                      : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++fake::here.group_depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  const std::scoped_lock lock(fake::all.mutex);
  if (fake::here.group_depth == 0) {
    fake::all.violations.emplace_back("ncclGroupEnd without ncclGroupStart");
    return ncclInvalidUsage;
  }
  if (--fake::here.group_depth > 0) return ncclSuccess;
  ncclResult_t result = ncclSuccess;
  for (auto& [comm, called] : std::exchange(fake::here.group, {})) {
    if (!fake::is_usable(comm, "the end of a group")) return ncclInvalidUsage;
    result = fake::submit(comm, std::move(called.first), called.second);
  }
  return result;
}

ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return fake::call(comm, stream,
                    {.what = fake::kind::send,
                     .sent = fake::bytes(data),
                     .count = count,
                     .type = type,
                     .peer = peer});
}
ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return fake::call(comm, stream,
                    {.what = fake::kind::receive,
                     .received = fake::bytes(data),
                     .count = count,
                     .type = type,
                     .peer = peer});
}
ncclResult_t ncclBroadcast(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  return fake::call(comm, stream,
                    {.what = fake::kind::broadcast,
                     .sent = fake::bytes(sent),
                     .received = fake::bytes(received),
                     .count = count,
                     .type = type,
                     .peer = root});
}
ncclResult_t ncclAllGather(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return fake::call(comm, stream,
                    {.what = fake::kind::all_gather,
                     .sent = fake::bytes(sent),
                     .received = fake::bytes(received),
                     .count = count,
                     .type = type});
}
ncclResult_t ncclAllReduce(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t how, ncclComm_t comm, cudaStream_t stream) {
  return fake::call(comm, stream,
                    {.what = fake::kind::all_reduce,
                     .sent = fake::bytes(sent),
                     .received = fake::bytes(received),
                     .count = count,
                     .type = type,
                     .how = how});
}
ncclResult_t ncclReduceScatter(const void* sent, void* received, std::size_t count,
                               ncclDataType_t type, ncclRedOp_t how, ncclComm_t comm,
                               cudaStream_t stream) {
  return fake::call(comm, stream,
                    {.what = fake::kind::reduce_scatter,
                     .sent = fake::bytes(sent),
                     .received = fake::bytes(received),
                     .count = count,
                     .type = type,
                     .how = how});
}
ncclResult_t ncclReduce(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                        ncclRedOp_t how, int root, ncclComm_t comm, cudaStream_t stream) {
  return fake::call(comm, stream,
                    {.what = fake::kind::reduce,
                     .sent = fake::bytes(sent),
                     .received = fake::bytes(received),
                     .count = count,
                     .type = type,
                     .how = how,
                     .peer = root});
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, fake::here.capture_mode);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
  *stream = reinterpret_cast<cudaStream_t>(new fake::stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::scoped_lock lock(fake::all.mutex);
  auto* line = reinterpret_cast<fake::stream*>(stream);
  for (auto& [device, lines] : fake::all.streams) lines.erase(line);
  delete line;
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::scoped_lock lock(fake::all.mutex);
  fake::stream& line = fake::stream_of(stream);
  fake::advance();
  return line.empty() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  std::unique_lock lock(fake::all.mutex);
  fake::stream& line = fake::stream_of(stream);
  fake::advance();
  fake::all.changed.wait(lock, [&] { return line.empty(); });
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int) {
  const std::scoped_lock lock(fake::all.mutex);
  auto waiter = std::make_shared<fake::work>();
  waiter->run = [marker = reinterpret_cast<fake::event*>(event)->marker] {
    return !marker || marker->done;
  };
  fake::stream_of(stream).push_back(std::move(waiter));
  fake::advance();
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int) {
  *event = reinterpret_cast<cudaEvent_t>(new fake::event);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::scoped_lock lock(fake::all.mutex);
  delete reinterpret_cast<fake::event*>(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::scoped_lock lock(fake::all.mutex);
  auto marker = std::make_shared<fake::work>();
  marker->run = [] { return true; };
  reinterpret_cast<fake::event*>(event)->marker = marker;
  fake::stream_of(stream).push_back(std::move(marker));
  fake::advance();
  return cudaSuccess;
}
/// As with CUDA, an event that was never recorded counts as ended.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (fake::all.before_query) fake::all.before_query();
  const std::scoped_lock lock(fake::all.mutex);
  if (fake::all.is_capturing && fake::here.capture_mode == cudaStreamCaptureModeGlobal)
    fake::all.violations.emplace_back("a look at an event that ends the capture of a graph");
  fake::advance();
  const auto& marker = reinterpret_cast<fake::event*>(event)->marker;
  return !marker || marker->done ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  const std::scoped_lock lock(fake::all.mutex);
  if (fake::all.copy_result != cudaSuccess) return fake::all.copy_result;
  auto copy = std::make_shared<fake::work>();
  copy->run = [=] {
    if (fake::all.moves_bytes) std::memmove(to, from, bytes);
    return true;
  };
  fake::stream_of(stream).push_back(std::move(copy));
  fake::advance();
  return cudaSuccess;
}
}
