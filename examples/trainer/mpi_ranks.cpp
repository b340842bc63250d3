// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "ranks.hpp"

namespace omnibal::trainer {

std::size_t processes_of_mpiexec() {
  // Of Open MPI; of MPICH and those that come of it.
  for (const char* const variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const char* const text = std::getenv(variable)) {
      std::size_t processes = 1;
      std::from_chars(text, text + std::strlen(text), processes);
      return processes;
    }
  return 1;
}

}  // namespace omnibal::trainer

#if defined(OMNIBAL_TRAINER_MPI)

#include <chrono>
#include <cstdio>
#include <thread>

#include <mpi.h>

#include <omnibal/comm/mpi.hpp>
#include <omnibal/comm/mpi_channel.hpp>

#include "machine.hpp"
#include "mpi_local_rank.hpp"
#include "process_ranks.hpp"

namespace omnibal::trainer {
namespace {

/// MPI runs while the object lives.
struct mpi_session {
  mpi_session() {
    int level = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
  }
  mpi_session(const mpi_session&) = delete;
  mpi_session& operator=(const mpi_session&) = delete;
  ~mpi_session() { MPI_Finalize(); }
};

class mpi_ranks : private mpi_session, public process_ranks<mpi_communicator> {
 public:
  mpi_ranks() : process_ranks(mpi_communicator(), "processes of mpiexec") {}

  /// MPI_Finalize would wait for ranks that never come.
  void leave(int status) override {
    MPI_Request meeting = MPI_REQUEST_NULL;
    MPI_Ibarrier(MPI_COMM_WORLD, &meeting);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (int met = 0; met == 0 && std::chrono::steady_clock::now() < end;
         std::this_thread::sleep_for(std::chrono::milliseconds(1)))
      MPI_Test(&meeting, &met, MPI_STATUS_IGNORE);
    std::fflush(nullptr);
    std::_Exit(status);
  }

 private:
  [[nodiscard]] rank_report train(const training_run& run,
                                  std::chrono::milliseconds deadline) override {
    mpi_channel world(MPI_COMM_WORLD, {.deadline = deadline, .name = "world"});
    use_device(local_rank_);
    return train_rank(world, run);
  }

  std::size_t local_rank_ = local_rank(MPI_COMM_WORLD);
};

}  // namespace

std::unique_ptr<training_ranks> start_mpi_ranks() { return std::make_unique<mpi_ranks>(); }

std::unique_ptr<training_ranks> ranks_of_mpiexec() {
  // Of Open MPI; of MPICH and those that come of it.
  for (const char* const variable : {"OMPI_COMM_WORLD_RANK", "PMI_RANK"})
    if (std::getenv(variable) != nullptr) return start_mpi_ranks();
  return nullptr;
}

}  // namespace omnibal::trainer

#else

namespace omnibal::trainer {

std::unique_ptr<training_ranks> start_mpi_ranks() { return nullptr; }
std::unique_ptr<training_ranks> ranks_of_mpiexec() { return nullptr; }

}  // namespace omnibal::trainer

#endif
