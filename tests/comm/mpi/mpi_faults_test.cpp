// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random programs of processes in which one rank does something wrong: every other rank must get
/// an error, and none may hang. A run has 60 faults, or as many as the environment variable
/// OMNIBAL_FAULTS says. Exits with 1 when a check fails on any process.
///
/// With the argument --kill RANK STEP one program runs in which this rank is killed; every survivor
/// prints what it knows and exits with 3. mpi_killed_test.py reads it.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/mpi_channel.hpp>

#include "comm/fault_checks.hpp"
#include "comm/mpi_program.hpp"

namespace {

using fault_checks::fault;
using fault_checks::outcome;
using fault_checks::scenario;
using omnibal::mpi_channel;

std::size_t world_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return static_cast<std::size_t>(rank);
}

std::size_t world_size() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return static_cast<std::size_t>(size);
}

/// Ends the process where a rank hangs.
class alarm_clock {
 public:
  alarm_clock() : thread_([this] { watch(); }) {}
  alarm_clock(alarm_clock&&) = delete;
  alarm_clock& operator=(alarm_clock&&) = delete;
  ~alarm_clock() {
    is_over_ = true;
    thread_.join();
  }
  void start(std::uint64_t seed) {
    seed_ = seed;
    begin_ = std::chrono::steady_clock::now();
  }

 private:
  void watch() {
    for (; !is_over_; std::this_thread::sleep_for(std::chrono::milliseconds(20)))
      if (std::chrono::steady_clock::now() - begin_.load() > fault_checks::watchdog) {
        std::fprintf(stderr, "fault %llu hangs\n", static_cast<unsigned long long>(seed_.load()));
        std::_Exit(1);
      }
  }

  std::atomic<bool> is_over_ = false;
  std::atomic<std::uint64_t> seed_ = 0;
  std::atomic<std::chrono::steady_clock::time_point> begin_ = std::chrono::steady_clock::now();
  std::thread thread_;
};

std::vector<mpi_channel> open_channels(MPI_Comm comm) {
  std::vector<mpi_channel> all;
  for (const char* name : fault_checks::channel_names)
    all.emplace_back(comm, omnibal::mpi_channel_options{.name = name});
  return all;
}

/// Not at the deadline alone.
bool is_seen_at_once(fault wrong) {
  return wrong != fault::leaves && wrong != fault::is_late && wrong != fault::other_plan;
}

/// How a rank that is late knows that all others have given up.
class last_to_come {
 public:
  last_to_come(const scenario& given, MPI_Comm comm) : given_(given), comm_(comm) {}

  /// On the rank that is late.
  void wait_for_others() {
    std::byte token{};
    for (; ended_ + 1 < given_.ranks; ++ended_)
      MPI_Recv(&token, 1, MPI_BYTE, MPI_ANY_SOURCE, tag, comm_, MPI_STATUS_IGNORE);
  }

  /// Called by all once they have ended.
  void end() {
    if (given_.wrong != fault::is_late) return;
    if (world_rank() == given_.rank) return wait_for_others();
    const std::byte token{};
    MPI_Send(&token, 1, MPI_BYTE, static_cast<int>(given_.rank), tag, comm_);
  }

 private:
  static constexpr int tag = 1;
  scenario given_;
  MPI_Comm comm_;
  std::size_t ended_ = 0;
};

outcome run(const scenario& given, MPI_Comm comm, last_to_come& others) {
  try {
    auto all = open_channels(comm);
    MPI_Barrier(comm);  // one that still opens them could end by an exception, and be named instead
    return fault_checks::faulty_program(given, all, is_seen_at_once(given.wrong),
                                        [&] { others.wait_for_others(); })
        .run();
  } catch (const std::domain_error&) {
    return {};
  }
}

/// What all ranks of the communicator say, on rank 0.
std::vector<std::string> gather(MPI_Comm comm, const std::string& own, std::size_t ranks) {
  constexpr std::size_t longest = 1024;
  std::array<char, longest> text{};
  own.copy(text.data(), longest - 1);
  std::vector<char> all(longest * ranks);
  MPI_Gather(text.data(), longest, MPI_CHAR, all.data(), longest, MPI_CHAR, 0, comm);
  std::vector<std::string> texts;
  for (std::size_t r = 0; r < ranks; ++r) texts.emplace_back(all.data() + r * longest);
  return texts;
}

void run_faults() {
  alarm_clock alarm;
  long long slowest = 0;
  for (std::uint64_t seed = 0; seed < fault_checks::number_of_faults(); ++seed) {
    alarm.start(seed);
    scenario given = fault_checks::random_scenario(seed, world_size());
    given.rendezvous = false;  // MPI sends small messages ahead
    MPI_Comm part = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, world_rank() < given.ranks ? 0 : MPI_UNDEFINED, 0, &part);
    if (part == MPI_COMM_NULL) continue;
    last_to_come others(given, part);
    const outcome own = run(given, part, others);
    others.end();
    if (world_rank() != given.rank) slowest = std::max<long long>(slowest, own.waited.count());
    const std::string wrong = fault_checks::complaint(given, gather(part, own.error, given.ranks),
                                                      is_seen_at_once(given.wrong));
    if (world_rank() == 0 && !wrong.empty())
      throw std::logic_error("fault " + std::to_string(seed) + " of rank " +
                             std::to_string(given.rank) + ": " + wrong);
    MPI_Comm_free(&part);
  }
  std::printf("rank %zu: slowest report %lld ms after the call, with deadlines of %lld ms\n",
              world_rank(), slowest, static_cast<long long>(fault_checks::deadline.count()));
}

/// Does not return: MPI_Finalize would wait for the killed rank.
[[noreturn]] void run_killed(std::size_t rank, std::size_t step) {
  const scenario given{
      .seed = step, .ranks = world_size(), .wrong = fault::is_killed, .rank = rank, .step = step};
  const alarm_clock alarm;
  auto all = open_channels(MPI_COMM_WORLD);
  MPI_Barrier(MPI_COMM_WORLD);  // a rank that still opens them would wait for the killed one there
  const outcome own = fault_checks::faulty_program(given, all, false, [] {}).run();
  std::printf("%s; %lld ms after the call\n", own.error.c_str(),
              static_cast<long long>(own.waited.count()));
  std::fflush(stdout);
  std::_Exit(3);
}

void run_checks(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--kill")
    run_killed(std::stoul(argv[2]), std::stoul(argv[3]));
  run_faults();
}

}  // namespace

int main(int argc, char** argv) {
  return mpi_program::run(argc, argv, [&] { run_checks(argc, argv); });
}
