// SPDX-License-Identifier: Apache-2.0
/// @file
/// Run by several processes; exits with 1 when a check fails on any of them.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/mpi_channel.hpp>

#include "comm/channel_checks.hpp"
#include "comm/mpi_program.hpp"

namespace {

using channel_checks::expect;
using omnibal::mpi_channel;
using omnibal::mpi_channel_options;
using omnibal::reduction;
using omnibal::view_of;

static_assert(omnibal::tensor_channel<mpi_channel>);

using body = std::function<void(mpi_channel&)>;

std::size_t world_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return static_cast<std::size_t>(rank);
}

std::string error_of(const mpi_channel_options& options, const body& run) {
  MPI_Barrier(MPI_COMM_WORLD);
  try {
    mpi_channel channel(MPI_COMM_WORLD, options);
    run(channel);
  } catch (const omnibal::communication_error& error) {
    return error.what();
  }
  return {};
}

void expect_error(const std::string& error, const std::string& part) {
  expect(error.find(part) != std::string::npos, "\"" + error + "\" has no \"" + part + "\"");
}

void check_all() {
  for (const bool checked : {false, true}) {
    mpi_channel channel(MPI_COMM_WORLD, {.checked = checked});
    channel_checks::check_channel(channel, 3);
  }
}

void check_messages_in_pieces() {
  mpi_channel channel(MPI_COMM_WORLD, {.largest_message = 96});
  channel_checks::check_channel(channel, 1);
}

/// Fewer or more bytes than expected, and none.
void check_other_sizes() {
  for (const bool checked : {false, true})
    for (const std::size_t sent : {0U, 2U, 8U}) {
      const std::string error = error_of({.checked = checked}, [&](mpi_channel& channel) {
        std::vector<float> values(channel.rank() == 0 ? sent : 4);
        if (channel.rank() == 0) channel.send(view_of(values), 1);
        if (channel.rank() == 1) channel.receive(view_of(values), 0);
        std::vector<float> sum(1);
        channel.all_reduce(view_of(sum), reduction::sum).wait();
      });
      expect_error(error, "rank 1");
      if (checked || sent < 4) expect_error(error, std::to_string(4 * sent) + " bytes");
    }
}

/// As many bytes of another type: only checked mode can see that.
void check_other_types() {
  const std::string error = error_of({.checked = true}, [](mpi_channel& channel) {
    std::vector<float> singles(4);
    std::vector<double> doubles(2);
    if (channel.rank() == 0) channel.send(view_of(singles), 1);
    if (channel.rank() == 1) channel.receive(view_of(doubles), 0);
    channel.all_reduce(view_of(doubles), reduction::sum).wait();
  });
  expect_error(error,
               "rank 0 sends 16 bytes of f32 in send to rank 1, which expects 16 bytes of "
               "f64 in send");
}

void check_missing_rank() {
  const auto deadline = std::chrono::milliseconds(200);
  const std::string error = error_of({.deadline = deadline}, [&](mpi_channel& channel) {
    if (channel.rank() == 1) return std::this_thread::sleep_for(3 * deadline);
    std::vector<float> values(100);
    channel.all_reduce(view_of(values), reduction::sum).wait();
  });
  if (world_rank() != 1) expect_error(error, "rank 1 did not come within 200 ms");
}

void check_destroyed_group() {
  for (const bool by_exception : {false, true}) {
    MPI_Barrier(MPI_COMM_WORLD);
    const std::string error = channel_checks::error_of_destroyed_group(
        [] { return mpi_channel(MPI_COMM_WORLD, {.deadline = std::chrono::seconds(20)}); },
        by_exception);
    if (world_rank() != 0)
      expect_error(error, channel_checks::expected_of_destroyed_group(by_exception));
  }
}

void run_checks() {
  check_all();
  check_messages_in_pieces();
  check_other_sizes();
  check_other_types();
  check_missing_rank();
  check_destroyed_group();
}

}  // namespace

int main(int argc, char** argv) { return mpi_program::run(argc, argv, run_checks); }
