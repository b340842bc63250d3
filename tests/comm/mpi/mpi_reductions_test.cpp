// SPDX-License-Identifier: Apache-2.0
/// @file
/// Run by several processes; exits with 1 when a check fails on any of them.
#include <omnibal/comm/mpi_channel.hpp>

#include "comm/mpi_program.hpp"
#include "comm/reduction_checks.hpp"

int main(int argc, char** argv) {
  return mpi_program::run(argc, argv, [] {
    omnibal::mpi_communicator ranks;
    omnibal::mpi_channel channel;
    reduction_checks::check_reductions(ranks, channel, 4);
    for (const std::size_t ready : {1U, 2U, 3U, 4U}) {
      omnibal::mpi_channel failing;
      MPI_Barrier(MPI_COMM_WORLD);  // a rank that still opens it would fail there
      reduction_checks::check_destroyed_buckets(failing, channel, ready);
    }
  });
}
