// SPDX-License-Identifier: Apache-2.0
/// @file
/// The roll call before a collective operation over MPI: every rank tells every other one what it
/// calls and with how many bytes, so that a mismatch is found before bytes are moved, and a missing
/// rank is known by name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/mpi_lane.hpp>
#include <omnibal/comm/detail/mpi_requests.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

enum class mpi_call : std::uint64_t { open, broadcast, all_gather, all_to_all, split };

[[nodiscard]] inline std::string_view name_of(mpi_call called) {
  constexpr std::array<std::string_view, 5> names = {"open", "broadcast", "all_gather",
                                                     "all_to_all", "split"};
  const auto number = static_cast<std::size_t>(called);
  return number < names.size() ? names[number] : "an unknown operation";
}

/// What a rank sends another one at a collective operation.
struct mpi_roll_entry {
  mpi_call called = mpi_call::open;
  std::uint64_t root = 0;
  std::uint64_t sent = 0;      // bytes to the rank that reads this
  std::uint64_t expected = 0;  // bytes from it
};

/// A collective operation as a rank calls it, with the bytes to and from each rank.
struct mpi_rolled_call {
  mpi_call called = mpi_call::open;
  std::size_t root = 0;
  std::span<const std::size_t> sent = {};
  std::span<const std::size_t> expected = {};

  [[nodiscard]] mpi_roll_entry entry_for(std::size_t rank) const {
    return {called, root, sent.empty() ? 0 : sent[rank], expected.empty() ? 0 : expected[rank]};
  }
};

/// The reason why the call of rank `peer` does not fit that of `rank`, the lower rank first; empty
/// where it does.
[[nodiscard]] inline std::string find_mismatch(std::size_t rank, const mpi_roll_entry& own,
                                               std::size_t peer, const mpi_roll_entry& other) {
  const bool first = rank < peer;
  const std::string low = on_rank(first ? rank : peer);
  const std::string high = on_rank(first ? peer : rank);
  const mpi_roll_entry& low_entry = first ? own : other;
  const mpi_roll_entry& high_entry = first ? other : own;
  if (own.called != other.called)
    return low + " called " + std::string(name_of(low_entry.called)) + ", " + high + " called " +
           std::string(name_of(high_entry.called));
  if (own.called == mpi_call::open) return {};
  if (own.root != other.root)
    return low + " broadcasts from " + on_rank(low_entry.root) + ", " + high + " from " +
           on_rank(high_entry.root);
  if (own.sent != other.expected) return size_mismatch(rank, own.sent, peer, other.expected);
  if (own.expected != other.sent) return size_mismatch(peer, other.sent, rank, own.expected);
  return {};
}

/// Fails unless the calls of all ranks fit; returns what each rank sent this one.
inline std::vector<mpi_roll_entry> call_roll(mpi_lane& lane, std::uint64_t sequence,
                                             const mpi_rolled_call& call) {
  constexpr int tag = 2;  // mpi_notices has 1
  const mpi_place at{name_of(call.called), sequence};
  lane.require_usable(at);
  std::vector<mpi_roll_entry> own;
  for (std::size_t r = 0; r < lane.size(); ++r) own.push_back(call.entry_for(r));
  std::vector<mpi_roll_entry> others = own;
  lane.transfer(at, [&](mpi_requests& messages) {
    for (std::size_t r = 0; r < lane.size(); ++r)
      lane.exchange(messages, std::as_bytes(std::span(&own[r], 1)),
                    std::as_writable_bytes(std::span(&others[r], 1)), r, tag);
  });
  for (std::size_t r = 0; r < lane.size(); ++r)
    if (const std::string mismatch = find_mismatch(lane.rank(), own[r], r, others[r]);
        !mismatch.empty())
      lane.fail(at, mismatch);
  return others;
}

}  // namespace omnibal::inline v0::detail
