// SPDX-License-Identifier: Apache-2.0
/// @file
/// Run by several processes; exits with 1 when a check fails on any of them.
#include <array>
#include <chrono>
#include <climits>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/mpi.hpp>
#include <omnibal/core/error.hpp>

#include "comm/collective_checks.hpp"
#include "comm/fault_checks.hpp"
#include "comm/mpi_program.hpp"

namespace {

using collective_checks::expect;
using collective_checks::expect_throw;
using omnibal::communication_error;
using omnibal::mpi_communicator;

static_assert(omnibal::communicator<mpi_communicator>);

void check_all_ranks() {
  mpi_communicator ranks;
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  expect(ranks.size() == static_cast<std::size_t>(size), "number of ranks");
  collective_checks::check_communicator(ranks);
}

void check_messages_in_pieces() {
  mpi_communicator ranks(MPI_COMM_WORLD, {.largest_message = 7});
  collective_checks::check_communicator(ranks);
}

void check_limits_of_messages() {
  for (const std::size_t limit : {std::size_t{0}, std::size_t{INT_MAX} + 1})
    expect_throw<omnibal::invalid_input>(
        [&] { mpi_communicator(MPI_COMM_WORLD, {.largest_message = limit}); }, "largest_message");
  expect_throw<omnibal::invalid_input>(
      [] { mpi_communicator(MPI_COMM_WORLD, {.deadline = std::chrono::milliseconds(-1)}); },
      "deadline");
  mpi_communicator patient(MPI_COMM_WORLD, {.deadline = std::chrono::milliseconds::max()});
  omnibal::barrier(patient);
}

void check_part_of_the_ranks() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm halves = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &halves);
  mpi_communicator ranks(halves);
  MPI_Comm_free(&halves);
  mpi_communicator moved = std::move(ranks);
  collective_checks::check_communicator(moved);
}

using action = std::function<void(mpi_communicator&)>;

/// The error of each rank when all run `body` over a communicator of their own. A rank may get it
/// while it still opens its communicator: another one that has opened its own goes on.
std::string error_of(const action& body, std::chrono::milliseconds deadline) {
  MPI_Barrier(MPI_COMM_WORLD);
  try {
    mpi_communicator ranks(MPI_COMM_WORLD, {.deadline = deadline});
    body(ranks);
  } catch (const communication_error& error) {
    return error.what();
  }
  return {};
}

/// The same where the deadline is short. A machine with other work may be so slow that a rank
/// misses it while it opens its communicator, which is not what is tested: all try again then.
std::string error_once_open(const action& body, std::chrono::milliseconds deadline) {
  for (int tries = 1;; ++tries) {
    int is_open = 0;
    const std::string error = error_of(
        [&](mpi_communicator& ranks) {
          is_open = 1;
          body(ranks);
        },
        deadline);
    MPI_Allreduce(MPI_IN_PLACE, &is_open, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (is_open == 1 || tries == 20) return error;
  }
}

void expect_error(const std::string& error, const std::string& part) {
  expect(error.find(part) != std::string::npos, "\"" + error + "\" has no \"" + part + "\"");
}

constexpr auto long_wait = std::chrono::seconds(30);
constexpr auto short_wait = std::chrono::milliseconds(200);

/// Rank 0 sends rank 1 more or fewer bytes than that expects: all ranks get an error, and rank 1
/// has no byte that nobody sent.
void check_exchange_of_other_sizes() {
  for (const std::size_t sent : {2U, 8U, 0U}) {
    const std::string error = error_of(
        [&](mpi_communicator& ranks) {
          std::vector<std::size_t> sent_counts(ranks.size(), 0);
          std::vector<std::size_t> received_counts(ranks.size(), 0);
          if (ranks.rank() == 0) sent_counts[1] = sent;
          if (ranks.rank() == 1) received_counts[0] = 4;
          const std::vector<std::byte> source(ranks.rank() == 0 ? sent : 0);
          std::vector<std::byte> target(ranks.rank() == 1 ? 4 : 0);
          ranks.all_to_all_bytes(source, sent_counts, target, received_counts);
          omnibal::barrier(ranks);
        },
        long_wait);
    expect_error(error,
                 "rank 0 sends " + std::to_string(sent) + " bytes to rank 1, which expects 4");
  }
}

void check_messages_of_other_sizes() {
  for (const std::size_t sent : {2U, 8U, 0U}) {
    const std::string error = error_of(
        [&](mpi_communicator& ranks) {
          std::vector<std::byte> bytes(ranks.rank() == 0 ? sent : 4);
          if (ranks.rank() == 0) ranks.send_bytes(bytes, 1);
          if (ranks.rank() == 1) ranks.receive_bytes(bytes, 0);
          omnibal::barrier(ranks);
        },
        long_wait);
    expect_error(error,
                 "rank 0 sends " + std::to_string(sent) + " bytes to rank 1, which expects 4");
  }
}

void check_other_operations() {
  const std::string error = error_of(
      [](mpi_communicator& ranks) {
        omnibal::barrier(ranks);
        std::array<int, 2> values{};
        if (ranks.rank() == 1)
          omnibal::broadcast(ranks, values, 0);
        else
          omnibal::barrier(ranks);
      },
      long_wait);
  expect_error(error, "#1: ");
  expect_error(error, "rank 1 called broadcast");
}

/// Others that are late as well are named with it.
void check_missing_rank() {
  const std::string error = error_once_open(
      [](mpi_communicator& ranks) {
        if (ranks.rank() == 1) return std::this_thread::sleep_for(3 * short_wait);
        omnibal::barrier(ranks);
      },
      short_wait);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 1) return;
  expect_error(error, "all_gather #0: ");
  expect_error(error, " did not come within 200 ms");
  expect(fault_checks::names(error.substr(error.find(", all_gather")), 1),
         "\"" + error + "\" does not name rank 1");
}

/// The others come when rank 0 has given up: they wait for it until their deadline, in
/// the duplication or, where MPI completes that one, at the next step.
void check_ranks_that_come_late() {
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::byte token{};
  if (rank != 0) MPI_Recv(&token, 1, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  std::string error;
  try {
    mpi_communicator ranks(MPI_COMM_WORLD, {.deadline = short_wait});
  } catch (const communication_error& thrown) {
    error = thrown.what();
  }
  if (rank == 0)
    for (int r = 1; r < size; ++r) MPI_Send(&token, 1, MPI_BYTE, r, 0, MPI_COMM_WORLD);
  expect_error(error,
               rank == 0 ? "duplicate #0: not all ranks came within 200 ms" : "within 200 ms");
  MPI_Barrier(MPI_COMM_WORLD);
}

void check_sends_that_wait_for_each_other() {
  const std::string error = error_once_open(
      [](mpi_communicator& ranks) {
        std::array<std::byte, 4> bytes{};
        if (ranks.rank() < 2) ranks.send_bytes(bytes, 1 - ranks.rank());
        omnibal::barrier(ranks);
      },
      short_wait);
  expect_error(error, "did not come within 200 ms");
}

void check_abort_and_exception() {
  const auto others = [](const std::string& error, const std::string& part) {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank != 1) expect_error(error, part);
  };
  others(error_of(
             [](mpi_communicator& ranks) {
               if (ranks.rank() == 1) return ranks.abort("the loss is not a number");
               omnibal::barrier(ranks);
             },
             long_wait),
         "rank 1 aborted: the loss is not a number");
  std::string error;
  try {
    error = error_of(
        [](mpi_communicator& ranks) {
          if (ranks.rank() == 1) throw std::domain_error("the loss is not a number");
          omnibal::barrier(ranks);
        },
        long_wait);
  } catch (const std::domain_error&) {
  }
  others(error, "rank 1 aborted: an exception");
}

/// The program initialized MPI without threads.
void check_thread_level() {
  std::string advice;
  std::thread([&] {
    try {
      mpi_communicator ranks;
    } catch (const omnibal::invalid_input& error) {
      advice = error.what();
    }
  }).join();
  expect_error(advice, "MPI_THREAD_SERIALIZED");
}

void check_different_largest_messages() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  mpi_communicator ranks(MPI_COMM_WORLD, {.largest_message = static_cast<std::size_t>(50 - rank)});
  expect(ranks.options().largest_message == 51 - ranks.size(), "the least of all ranks");
  collective_checks::check_communicator(ranks);
}

void run_checks() {
  check_all_ranks();
  check_messages_in_pieces();
  check_limits_of_messages();
  check_part_of_the_ranks();
  check_different_largest_messages();
  check_exchange_of_other_sizes();
  check_messages_of_other_sizes();
  check_other_operations();
  check_missing_rank();
  check_sends_that_wait_for_each_other();
  check_abort_and_exception();
  check_thread_level();
  check_ranks_that_come_late();  // the last: MPI is left with a call that was begun
}

}  // namespace

int main(int argc, char** argv) { return mpi_program::run(argc, argv, run_checks); }
