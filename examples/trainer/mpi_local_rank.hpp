// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which of its machine's processes this one is: GPUs are numbered on each machine, ranks over all.
#pragma once

#include <cstddef>

#include <mpi.h>

namespace omnibal::trainer {

/// The number of this process among those of the communicator that share memory with it, in the
/// order of their ranks. Called by all of them; blocks.
[[nodiscard]] inline std::size_t local_rank(MPI_Comm all) {
  int rank = 0;
  MPI_Comm machine = MPI_COMM_NULL;
  MPI_Comm_rank(all, &rank);
  MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine);
  MPI_Comm_rank(machine, &rank);
  MPI_Comm_free(&machine);
  return static_cast<std::size_t>(rank);
}

}  // namespace omnibal::trainer
