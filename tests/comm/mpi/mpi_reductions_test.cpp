// SPDX-License-Identifier: Apache-2.0
/// @file
/// Run by several processes; exits with 1 when a check fails on any of them.
#include <cstdio>
#include <exception>

#include <mpi.h>

#include <omnibal/comm/mpi_channel.hpp>

#include "comm/reduction_checks.hpp"

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  try {
    omnibal::mpi_communicator ranks;
    omnibal::mpi_channel channel;
    reduction_checks::check_reductions(ranks, channel, 4);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "failed: %s\n", error.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return 0;
}
