// SPDX-License-Identifier: Apache-2.0
/// @file
/// Run by several processes; exits with 1 when a check fails on any of them.
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/mpi_channel.hpp>

#include "comm/channel_checks.hpp"
#include "comm/fault_checks.hpp"
#include "comm/mismatch_checks.hpp"
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
    MPI_Barrier(MPI_COMM_WORLD);  // what is tested does not begin while others open theirs
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
  mpi_channel channel;
  channel_checks::check_channel(channel, 3);
}

void check_aborted_group() {
  mpi_channel channel;
  channel_checks::check_aborted_group(channel);
  MPI_Barrier(MPI_COMM_WORLD);
}

void check_messages_in_pieces() {
  mpi_channel channel(MPI_COMM_WORLD, {.largest_message = 96});
  channel_checks::check_channel(channel, 1);
}

/// Also where messages are cut in pieces.
void check_mismatches(std::size_t largest_message) {
  const mpi_channel_options options{.largest_message = largest_message,
                                    .deadline = std::chrono::seconds(30)};
  for (const auto& differing : mismatch_checks::mismatches<mpi_channel>()) {
    const std::string error =
        error_of(options, [&](mpi_channel& channel) { mismatch_checks::run(differing, channel); });
    const std::string wrong = mismatch_checks::complaint(differing, world_rank(), error);
    expect(wrong.empty(), wrong);
  }
}

/// More than an int counts: 2³¹ + 64 bytes. Only where the environment variable OMNIBAL_LARGE is
/// set, since each of the first two processes needs as much memory.
void check_more_than_int_counts() {
  if (std::getenv("OMNIBAL_LARGE") == nullptr) return;
  mpi_channel channel;
  if (channel.rank() > 1) return;
  const std::size_t count = (std::size_t{1} << 28) + 8;
  std::vector<std::int64_t> values(count, static_cast<std::int64_t>(channel.rank()));
  if (channel.rank() == 0) {
    values.back() = 17;
    channel.send(view_of(values), 1).wait();
  } else {
    channel.receive(view_of(values), 0).wait();
    expect(values[count / 2] == 0 && values.back() == 17, "a message of more than 2^31 bytes");
  }
}

/// Others that are late as well are named with it.
void check_missing_rank() {
  const auto deadline = std::chrono::milliseconds(200);
  const std::string error = error_of({}, [&](mpi_channel& channel) {
    if (channel.rank() == 1) return std::this_thread::sleep_for(3 * deadline);
    std::vector<float> values(100);
    channel.all_reduce(view_of(values), reduction::sum).wait(deadline);
  });
  if (world_rank() == 1) return;
  expect_error(error, " did not come within 200 ms");
  expect(fault_checks::names(error, 1), "\"" + error + "\" does not name rank 1");
}

/// Rank 0 waits for rank 1, which waits for the last one, which comes only once both have failed.
void check_chain() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size < 3) return;
  std::byte token{};
  const std::string error = error_of({}, [&](mpi_channel& channel) {
    std::vector<float> values(4);
    if (channel.rank() == 1) {
      auto receive = channel.receive(view_of(values), 2);
      MPI_Send(&token, 1, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
      receive.wait();
    } else if (channel.rank() == 0) {
      MPI_Recv(&token, 1, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      channel.receive(view_of(values), 1).wait(std::chrono::milliseconds(200));
    } else {
      channel.receive(view_of(values), 0).wait();
    }
  });
  expect_error(error, "rank 1 did not come within 200 ms");
  if (world_rank() == 1) expect_error(error, "; rank 1 waits for rank 2");
}

void check_aborted_part() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const std::string error = error_of(
      {.name = "whole"}, [](mpi_channel& channel) { channel_checks::abort_part(channel); });
  const std::string wrong =
      channel_checks::complaint_of_aborted_part(error, static_cast<std::size_t>(size), "whole");
  expect(world_rank() == 0 || wrong.empty(), wrong);
}

void check_destroyed_group() {
  for (const bool by_exception : {false, true}) {
    MPI_Barrier(MPI_COMM_WORLD);
    const std::string error = channel_checks::error_of_destroyed_group(
        [] { return mpi_channel(MPI_COMM_WORLD, {.deadline = std::chrono::seconds(60)}); },
        by_exception);
    if (world_rank() != 0)
      expect_error(error, channel_checks::expected_of_destroyed_group(by_exception));
  }
}

void run_checks() {
  check_all();
  check_messages_in_pieces();
  check_aborted_group();
  check_mismatches(INT_MAX);
  check_mismatches(96);
  check_more_than_int_counts();
  check_missing_rank();
  check_chain();
  check_aborted_part();
  check_destroyed_group();
}

}  // namespace

int main(int argc, char** argv) { return mpi_program::run(argc, argv, run_checks); }
