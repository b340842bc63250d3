// SPDX-License-Identifier: Apache-2.0
/// @file
/// Run by several processes; exits with 1 when a check fails on any of them.
#include <climits>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/mpi.hpp>
#include <omnibal/core/error.hpp>

#include "comm/collective_checks.hpp"

namespace {

using collective_checks::expect;
using collective_checks::expect_throw;
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

/// MPI reports a message that is longer than its receiver expects.
void check_error() {
  mpi_communicator ranks;
  if (ranks.size() < 2 || ranks.rank() > 1) return;
  const std::size_t expected = ranks.rank() == 0 ? 0 : 4;
  const std::size_t sent = ranks.rank() == 0 ? 8 : 0;
  std::vector<std::size_t> sent_counts(ranks.size(), 0);
  std::vector<std::size_t> received_counts(ranks.size(), 0);
  sent_counts[1] = sent;
  received_counts[0] = expected;
  const std::vector<std::byte> source(sent);
  std::vector<std::byte> target(expected);
  const auto exchange = [&] {
    ranks.all_to_all_bytes(source, sent_counts, target, received_counts);
  };
  if (ranks.rank() == 0)
    exchange();
  else
    expect_throw<omnibal::communication_error>(exchange, "a message that is too long");
}

int run_checks() {
  try {
    check_all_ranks();
    check_messages_in_pieces();
    check_limits_of_messages();
    check_part_of_the_ranks();
    check_error();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "failed: %s\n", error.what());
    // The others may wait for this process: none can go on.
    MPI_Abort(MPI_COMM_WORLD, 1);
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const int failures = run_checks();
  MPI_Finalize();
  return failures;
}
