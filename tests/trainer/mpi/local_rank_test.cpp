// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <vector>

#include <mpi.h>

#include "catch.hpp"
#include "mpi_local_rank.hpp"

using namespace omnibal::trainer;

namespace {

/// The local ranks of a communicator's processes, by their ranks in it.
std::vector<int> all_local_ranks(MPI_Comm all) {
  int size = 0;
  MPI_Comm_size(all, &size);
  const int own = static_cast<int>(local_rank(all));
  std::vector<int> found(static_cast<std::size_t>(size));
  MPI_Allgather(&own, 1, MPI_INT, found.data(), 1, MPI_INT, all);
  return found;
}

std::vector<int> numbered(int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace

// All processes of the tests are on one machine; a group of them has numbers of its own.
TEST_CASE("processes of a machine are numbered from 0, in the order of their ranks") {
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  CHECK(all_local_ranks(MPI_COMM_WORLD) == numbered(size));
  MPI_Comm half = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &half);
  int in_half = 0;
  MPI_Comm_size(half, &in_half);
  CHECK(all_local_ranks(half) == numbered(in_half));
  MPI_Comm_free(&half);
}
