// SPDX-License-Identifier: Apache-2.0
/// @file
/// A program of checks that several processes run together.
#pragma once

#include <cstdio>
#include <exception>

#include <mpi.h>

namespace mpi_program {

/// Calls `checks` between MPI_Init and MPI_Finalize. The exit status of the program: 1 when a check
/// throws on any process.
template <typename Checks>
int run(int argc, char** argv, const Checks& checks) {
  MPI_Init(&argc, &argv);
  int failures = 0;
  try {
    checks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "failed: %s\n", error.what());
    // The others may wait for this process: none can go on.
    MPI_Abort(MPI_COMM_WORLD, 1);
    failures = 1;
  }
  MPI_Finalize();
  return failures;
}

}  // namespace mpi_program
