// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every model of communicator must do, checked on one rank of it by throwing: Catch2 may not
/// be used from several threads, and MPI and NCCL tests are processes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>

namespace collective_checks {

inline void expect(bool right, const std::string& what) {
  if (!right) throw std::logic_error(what);
}

template <typename Error, typename Action>
void expect_throw(const Action& action, const std::string& what) {
  try {
    action();
  } catch (const Error&) {
    return;
  }
  throw std::logic_error(what + ": nothing was thrown");
}

/// A check of a program that is no Catch2 test.
struct named_check {
  std::string name;
  std::function<void()> run;
};

/// The status of a program of checks, of which its arguments name one or more; all run where there
/// are none.
inline int status_of(int count, char** arguments, const std::vector<named_check>& checks) {
  const std::vector<std::string> wanted(arguments + 1, arguments + count);
  for (const std::string& name : wanted)
    if (std::ranges::find(checks, name, &named_check::name) == checks.end()) {
      std::fprintf(stderr, "No test cases matched '%s'\n", name.c_str());
      return 2;
    }
  for (const named_check& check : checks) {
    if (!wanted.empty() && std::ranges::find(wanted, check.name) == wanted.end()) continue;
    try {
      check.run();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "failed: %s: %s\n", check.name.c_str(), error.what());
      return 1;
    }
  }
  return 0;
}

/// `count` values that tell where they come from and whom they are for.
inline std::vector<std::int64_t> values_of(std::size_t from, std::size_t to, std::size_t count) {
  std::vector<std::int64_t> values(count);
  std::iota(values.begin(), values.end(), static_cast<std::int64_t>(1'000'000 * from + 1000 * to));
  return values;
}

template <omnibal::communicator Communicator>
void check_broadcast(Communicator& ranks) {
  for (std::size_t root = 0; root < ranks.size(); ++root)
    for (const std::size_t count : {0U, 1U, 700U}) {
      std::vector<std::int64_t> values(count, -1);
      if (ranks.rank() == root) values = values_of(root, 0, count);
      omnibal::broadcast(ranks, values, root);
      expect(values == values_of(root, 0, count), "broadcast of " + std::to_string(count));
    }
}

template <omnibal::communicator Communicator>
void check_all_gather(Communicator& ranks) {
  for (const std::size_t count : {0U, 1U, 300U}) {
    const auto gathered = omnibal::all_gather(ranks, values_of(ranks.rank(), 0, count));
    std::vector<std::int64_t> expected;
    for (std::size_t r = 0; r < ranks.size(); ++r)
      for (const std::int64_t value : values_of(r, 0, count)) expected.push_back(value);
    expect(gathered == expected, "all_gather of " + std::to_string(count));
  }
}

/// Rank 0 has nothing, so zero sizes are among them.
template <omnibal::communicator Communicator>
void check_all_gather_variable(Communicator& ranks) {
  const auto gathered =
      omnibal::all_gather_variable(ranks, values_of(ranks.rank(), 0, 5 * ranks.rank()));
  expect(gathered.size() == ranks.size(), "all_gather_variable: number of ranks");
  for (std::size_t r = 0; r < ranks.size(); ++r)
    expect(std::ranges::equal(gathered[r], values_of(r, 0, 5 * r)),
           "all_gather_variable: values of rank " + std::to_string(r));
}

/// Rank i sends j · (i + 1) values to rank j: nobody sends to rank 0.
template <omnibal::communicator Communicator>
void check_all_to_all_variable(Communicator& ranks) {
  std::vector<std::int64_t> sent;
  std::vector<std::size_t> counts;
  for (std::size_t to = 0; to < ranks.size(); ++to) {
    counts.push_back(to * (ranks.rank() + 1));
    for (const std::int64_t value : values_of(ranks.rank(), to, counts.back()))
      sent.push_back(value);
  }
  const auto received = omnibal::all_to_all_variable(ranks, sent, counts);
  expect(received.size() == ranks.size(), "all_to_all_variable: number of ranks");
  for (std::size_t from = 0; from < ranks.size(); ++from)
    expect(std::ranges::equal(received[from],
                              values_of(from, ranks.rank(), ranks.rank() * (from + 1))),
           "all_to_all_variable: values from rank " + std::to_string(from));
}

template <omnibal::communicator Communicator>
void check_all_reduce(Communicator& ranks) {
  const auto size = static_cast<std::int64_t>(ranks.size());
  const auto rank = static_cast<std::int64_t>(ranks.rank());
  expect(omnibal::all_reduce_sum(ranks, rank + 1) == size * (size + 1) / 2, "sum of integers");
  expect(omnibal::all_reduce_sum(ranks, 0.5) == 0.5 * static_cast<double>(size), "sum of doubles");
  const auto later = [](std::int64_t, std::int64_t right) { return right; };
  expect(omnibal::all_reduce(ranks, rank, later) == size - 1, "reduction in rank order");
  if (ranks.size() > 1)
    expect_throw<omnibal::invalid_input>(
        [&] { (void)omnibal::all_reduce_sum(ranks, std::int64_t{1} << 62); }, "overflow of a sum");
}

template <omnibal::communicator Communicator>
void check_agreement(Communicator& ranks) {
  const omnibal::grouping<> plan({0, 2, 3}, {7, 8, 9});
  omnibal::require_agreement(ranks, "plan", plan, 17);
  expect(omnibal::disagreeing_ranks(ranks, 5).empty(), "agreement");
  if (ranks.size() < 3) return;
  const std::vector<std::size_t> last = {ranks.size() - 1};
  const bool differs = ranks.rank() == last[0];
  expect(omnibal::disagreeing_ranks(ranks, differs ? 6 : 5) == last, "disagreement of the last");
  expect_throw<omnibal::plan_divergence>(
      [&] { omnibal::require_agreement(ranks, "plan", plan, differs ? 18 : 17); }, "divergence");
}

template <omnibal::communicator Communicator>
void check_broadcast_grouping(Communicator& ranks) {
  const omnibal::grouping<> plan({0, 2, 2, 5}, {4, 1, 0, 3, 2});
  const std::size_t root = ranks.size() - 1;
  const auto mine = ranks.rank() == root ? plan : omnibal::grouping<>({0, 1}, {9});
  expect(omnibal::broadcast_grouping(ranks, mine, root) == plan, "broadcast_grouping");
  const omnibal::grouping<> nothing;
  expect(omnibal::broadcast_grouping(ranks, nothing, 0) == nothing, "broadcast of no groups");
}

/// Every pair of ranks exchanges messages of several sizes, the lower rank sending first.
template <omnibal::communicator Communicator>
void check_messages(Communicator& ranks) {
  for (std::size_t low = 0; low < ranks.size(); ++low)
    for (std::size_t high = low + 1; high < ranks.size(); ++high)
      for (const std::size_t count : {0U, 1U, 500U}) {
        if (ranks.rank() != low && ranks.rank() != high) continue;
        const auto sent = values_of(ranks.rank(), count, count);
        std::vector<std::int64_t> received(count, -1);
        const auto writable = std::as_writable_bytes(std::span(received));
        const std::size_t peer = ranks.rank() == low ? high : low;
        if (ranks.rank() == low) ranks.send_bytes(std::as_bytes(std::span(sent)), peer);
        ranks.receive_bytes(writable, peer);
        if (ranks.rank() == high) ranks.send_bytes(std::as_bytes(std::span(sent)), peer);
        expect(received == values_of(peer, count, count), "message of " + std::to_string(count));
      }
  std::byte token{};
  expect_throw<omnibal::invalid_input>(
      [&] { ranks.send_bytes(std::span(&token, 1), ranks.rank()); }, "a message to oneself");
  expect_throw<omnibal::invalid_input>(
      [&] { ranks.receive_bytes(std::span(&token, 1), ranks.size()); }, "a message from nobody");
}

/// Odd and even ranks, in reverse order; rank 0 is left out. Parts and whole work side by side.
template <omnibal::communicator Communicator>
void check_split(Communicator& ranks) {
  expect_throw<omnibal::invalid_input>([&] { (void)ranks.split(-1, 0); }, "a negative color");
  const std::size_t rank = ranks.rank();
  const int key = -static_cast<int>(rank);
  auto part =
      rank == 0 ? ranks.split(std::nullopt, key) : ranks.split(static_cast<int>(rank % 2), key);
  expect(part.has_value() == (rank != 0), "only ranks with a color are in a part");
  omnibal::barrier(ranks);
  if (!part) return;
  std::vector<std::size_t> members;
  for (std::size_t r = ranks.size(); r-- > 1;)
    if (r % 2 == rank % 2) members.push_back(r);
  expect(omnibal::all_gather_value(*part, rank) == members, "order of the part");
  check_messages(*part);
}

/// Arguments that are wrong by themselves throw before anything is sent, so the ranks can go on.
template <omnibal::communicator Communicator>
void check_preconditions(Communicator& ranks) {
  using omnibal::invalid_input;
  std::vector<std::byte> buffer(8);
  const std::vector<std::size_t> too_few(ranks.size(), 0);
  const std::vector<std::size_t> too_many_ranks(ranks.size() + 1, 0);
  expect_throw<invalid_input>([&] { ranks.broadcast_bytes(buffer, ranks.size()); }, "root");
  expect_throw<invalid_input>([&] { ranks.all_gather_bytes({}, buffer, too_few); }, "sum");
  expect_throw<invalid_input>([&] { ranks.all_gather_bytes({}, {}, too_many_ranks); }, "counts");
  expect_throw<invalid_input>([&] { ranks.all_gather_bytes(buffer, {}, too_few); }, "own count");
  expect_throw<invalid_input>([&] { ranks.all_to_all_bytes(buffer, too_few, {}, too_few); },
                              "sent_counts");
  expect_throw<invalid_input>([&] { ranks.all_to_all_bytes({}, too_few, buffer, too_few); },
                              "received_counts");
  omnibal::barrier(ranks);
}

/// What needs collective operations alone.
template <omnibal::communicator Communicator>
void check_collectives(Communicator& ranks) {
  check_preconditions(ranks);
  omnibal::barrier(ranks);
  check_broadcast(ranks);
  check_all_gather(ranks);
  check_all_gather_variable(ranks);
  check_all_to_all_variable(ranks);
  check_all_reduce(ranks);
  check_agreement(ranks);
  check_broadcast_grouping(ranks);
}

/// Everything above. Called by all ranks.
template <omnibal::communicator Communicator>
void check_communicator(Communicator& ranks) {
  check_collectives(ranks);
  check_messages(ranks);
  check_split(ranks);
}

}  // namespace collective_checks
