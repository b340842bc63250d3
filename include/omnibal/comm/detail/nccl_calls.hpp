// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the channel and the communicator both ask of NCCL: types and numbers as NCCL has them, the
/// configuration of a communicator, exchanges of parts, and the comparison of calls ahead of them.
#pragma once

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/detail/call_check.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/nccl_group.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

[[nodiscard]] inline ncclDataType_t nccl_type_of(element_type type) {
  switch (type) {
    case element_type::byte: return ncclUint8;
    case element_type::bf16: return ncclBfloat16;
    case element_type::f32: return ncclFloat32;
    case element_type::f64: return ncclFloat64;
    case element_type::i64: return ncclInt64;
  }
  return ncclUint8;
}

[[nodiscard]] inline ncclRedOp_t nccl_operation_of(reduction how) {
  if (how == reduction::smallest) return ncclMin;
  return how == reduction::largest ? ncclMax : ncclSum;
}

/// Of a rank, which fits.
[[nodiscard]] inline int to_int(std::size_t number) noexcept { return static_cast<int>(number); }

inline void require_nccl_rank(std::size_t rank, std::size_t size) {
  if (size > INT_MAX) throw invalid_input("size", size, "must fit an int");
  require_rank("rank", rank, size);
}

/// Non-blocking. `name`, which outlives the configuration, appears in the log of NCCL where it can
/// do that.
[[nodiscard]] inline ncclConfig_t nccl_configuration(int most_blocks = 0,
                                                     const char* name = nullptr) noexcept {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  if (most_blocks > 0) config.maxCTAs = most_blocks;
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
  if (name != nullptr) config.commName = name;
#else
  (void)name;
#endif
  return config;
}

[[nodiscard]] inline bool are_equal(std::span<const std::size_t> counts) {
  return std::ranges::all_of(counts, [&](std::size_t count) { return count == counts[0]; });
}

/// One part for each rank and one from each. Without counts all of `sent` goes to every rank.
struct nccl_parts {
  const_tensor_view sent = {};
  std::span<const std::size_t> sent_counts = {};
  tensor_view received = {};
  std::span<const std::size_t> received_counts = {};

  /// Calls body(rank, source, target) for every rank.
  template <typename Body>
  void for_each(const Body& body) const {
    std::size_t first_sent = 0;
    std::size_t first_received = 0;
    for (std::size_t r = 0; r < received_counts.size(); ++r) {
      const auto source = sent_counts.empty() ? sent : sent.part(first_sent, sent_counts[r]);
      const auto target = received.part(first_received, received_counts[r]);
      body(r, source, target);
      first_sent += source.count;
      first_received += target.count;
    }
  }
};

/// Sends and receives as one grouped operation, without the part of this rank. Parts of zero
/// elements are no messages.
[[nodiscard]] inline ncclResult_t exchange_parts(const nccl_parts& parts, std::size_t rank,
                                                 ncclComm_t handle, cudaStream_t stream) {
  nccl_group group;
  const ncclDataType_t type = nccl_type_of(parts.sent.type);
  parts.for_each([&](std::size_t r, const_tensor_view source, tensor_view target) {
    if (r == rank) return;
    if (source.count > 0)
      group.add(ncclSend(source.data, source.count, type, to_int(r), handle, stream));
    if (target.count > 0)
      group.add(ncclRecv(target.data, target.count, type, to_int(r), handle, stream));
  });
  return group.end();
}

/// Copies the part of this rank, before a group is open, which a failure would leave open.
[[nodiscard]] inline cudaError_t copy_own_part(const nccl_parts& parts, std::size_t rank,
                                               cudaStream_t stream) {
  cudaError_t result = cudaSuccess;
  parts.for_each([&](std::size_t r, const_tensor_view source, tensor_view target) {
    if (r == rank && source.count > 0 && source.data != target.data)
      result = cudaMemcpyAsync(target.data, source.data, source.bytes(), cudaMemcpyDefault, stream);
  });
  return result;
}

/// A reduction of which rank r receives part r.
struct nccl_reduced_parts {
  const_tensor_view sent = {};
  tensor_view received = {};
  std::span<const std::size_t> counts = {};
  reduction how = reduction::sum;
};

[[nodiscard]] inline ncclResult_t reduce_parts(const nccl_reduced_parts& parts, std::size_t rank,
                                               ncclComm_t handle, cudaStream_t stream) {
  const ncclDataType_t type = nccl_type_of(parts.sent.type);
  const ncclRedOp_t how = nccl_operation_of(parts.how);
  if (are_equal(parts.counts))
    return ncclReduceScatter(parts.sent.data, parts.received.data, parts.received.count, type, how,
                             handle, stream);
  nccl_group group;
  std::size_t first = 0;
  for (std::size_t r = 0; r < parts.counts.size(); first += parts.counts[r++])
    if (parts.counts[r] > 0)
      group.add(ncclReduce(parts.sent.part(first, parts.counts[r]).data,
                           r == rank ? parts.received.data : nullptr, parts.counts[r], type, how,
                           to_int(r), handle, stream));
  return group.end();
}

/// What is sent to oneself is received from oneself.
inline void require_own_part(std::span<const std::size_t> sent_counts,
                             std::span<const std::size_t> received_counts, std::size_t rank) {
  if (sent_counts[rank] != received_counts[rank])
    throw invalid_input(
        "received_counts", rank, received_counts[rank],
        "must be what this rank sends itself, " + std::to_string(sent_counts[rank]));
}

/// By rank: those that are equal on all ranks, or what is sent and received.
struct counts_by_rank {
  std::span<const std::size_t> of_all = {};
  std::span<const std::size_t> sent = {};
  std::span<const std::size_t> received = {};
};

/// A collective operation as ranks compare it.
[[nodiscard]] inline call_header header_of(channel_operation operation, std::uint64_t order,
                                           element_type type, std::size_t count,
                                           std::optional<reduction> how = {}) {
  return {.order = static_cast<std::uint32_t>(order),
          .operation = operation,
          .type = type,
          .kind = how ? static_cast<std::uint16_t>(*how) : call_header::nothing,
          .count = count};
}

/// The comparison of calls over a communicator of the host; until it is opened nothing is compared.
/// Ranks that differ never reach NCCL: all get an error, and their communicators are aborted.
class nccl_call_check {
 public:
  template <communicator Communicator>
  void open(Communicator& control, std::size_t rank, std::size_t size) {
    if (control.rank() != rank || control.size() != size)
      throw invalid_input("control", on_rank(control.rank()),
                          "must have the ranks of the channel: this is " + on_rank(rank) + " of " +
                              std::to_string(size));
    check_ = call_check(control);
    size_ = size;
  }

  void collective(nccl_handle& handle, const nccl_place& at, call_header called,
                  std::optional<std::uint64_t> root, const counts_by_rank& counts) const {
    if (!check_) return;
    if (root) called.kind = static_cast<std::uint16_t>(*root);
    if (!counts.of_all.empty()) called.count = hash_of(counts.of_all);
    std::vector<call_header> own(size_, called);
    std::vector<call_header> expected(size_, called);
    for (std::size_t r = 0; r < counts.sent.size(); ++r) {
      own[r].count = counts.sent[r];
      expected[r].count = counts.received[r];
    }
    compare(handle, at, [&] { check_.collective(own, expected); });
  }

  void message(nccl_handle& handle, const nccl_place& at, const called_message& called) const {
    if (check_) compare(handle, at, [&] { check_.message(called); });
  }

  void group(nccl_handle& handle, const nccl_place& at,
             const std::vector<called_message>& called) const {
    if (check_) compare(handle, at, [&] { check_.group(called); });
  }

 private:
  template <typename Compare>
  static void compare(nccl_handle& handle, const nccl_place& at, const Compare& compare_calls) {
    try {
      compare_calls();
    } catch (const std::runtime_error& difference) {
      handle.fail(difference.what(), at);
    }
  }

  call_check check_;
  std::size_t size_ = 0;
};

}  // namespace omnibal::inline v0::detail
