// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every model of communicator must do, checked on one rank of it by throwing: Catch2 may not
/// be used from several threads, and MPI and NCCL tests are processes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
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

/// Everything above. Called by all ranks.
template <omnibal::communicator Communicator>
void check_communicator(Communicator& ranks) {
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

}  // namespace collective_checks
