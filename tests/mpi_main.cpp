// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs Catch2 cases on every process of an MPI program. A failure on any process fails the run.
#define CATCH_CONFIG_RUNNER
#include <algorithm>

#include <mpi.h>

#include "catch.hpp"

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int failures = std::min(Catch::Session().run(argc, argv), 255);
  MPI_Allreduce(MPI_IN_PLACE, &failures, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  return failures;
}
