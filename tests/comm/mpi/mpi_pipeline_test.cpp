// SPDX-License-Identifier: Apache-2.0
/// @file
/// Pipelines over MPI: every schedule in the order of messages ends, the natural order reaches its
/// deadline. Exits with 1 when a check fails on any process.
#include <chrono>
#include <cstddef>
#include <string>

#include <mpi.h>

#include <omnibal/comm/mpi_channel.hpp>

#include "comm/mpi_program.hpp"
#include "comm/pipeline_checks.hpp"

namespace {

using namespace pipeline_checks;
using omnibal::mpi_channel;

/// More bytes than any library of MPI sends ahead of the receive.
constexpr std::size_t large = 1U << 16U;

/// One of the pipelines of `devices` ranks that the world is divided into.
mpi_channel channel_of(std::size_t devices, std::chrono::milliseconds deadline) {
  MPI_Barrier(MPI_COMM_WORLD);
  mpi_channel world(MPI_COMM_WORLD, {.deadline = deadline});
  return *world.split(static_cast<int>(world.rank() / devices), 0);
}

void check_message_order(std::size_t devices, std::size_t most) {
  mpi_channel channel = channel_of(devices, std::chrono::seconds(60));
  for (const schedule_shape& shape : shapes_of(devices, {devices + 1}))
    run_pipeline(channel, shape, message_order_of(shape), {.seed = devices, .most = most});
}

/// A machine with other work may be so slow that a rank misses the deadline while it opens its
/// channel, which is not what is tested: all try again then.
void check_natural_order(const schedule_shape& shape) {
  const programs natural = omnibal::test::as_operations_come(shape, message_order_of(shape));
  expect(is_stuck(natural), "the model gets stuck");
  std::string error;
  int is_open = 0;
  for (int tries = 0; is_open == 0 && tries < 20; ++tries) {
    try {
      mpi_channel channel = channel_of(shape.stages, std::chrono::milliseconds(1000));
      is_open = 1;
      run_pipeline(channel, shape, natural,
                   {.seed = 1, .most = 8 * large, .some_are_empty = false});
    } catch (const omnibal::communication_error& thrown) {
      error = thrown.what();
    }
    MPI_Allreduce(MPI_IN_PLACE, &is_open, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  }
  expect(error.find("did not come within 1000 ms") != std::string::npos,
         "the deadline, not: " + error);
}

void run_checks() {
  int ranks = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const auto all = static_cast<std::size_t>(ranks);
  check_message_order(1, 100);
  check_message_order(all, 100);
  check_message_order(all, large);
  check_natural_order(
      {.kind = omnibal::schedules::one_forward_one_backward{}, .stages = 2, .microbatches = 4});
  check_natural_order({.kind = omnibal::schedules::interleaved{},
                       .stages = all,
                       .virtual_stages = 2,
                       .microbatches = 2 * all});
}

}  // namespace

int main(int argc, char** argv) { return mpi_program::run(argc, argv, run_checks); }
