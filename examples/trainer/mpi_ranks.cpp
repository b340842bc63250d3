// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "ranks.hpp"

#if defined(OMNIBAL_TRAINER_MPI)

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/mpi.hpp>
#include <omnibal/comm/mpi_channel.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "report.hpp"

namespace omnibal::trainer {
namespace {

constexpr std::int64_t rank_report::*integers_of_report[] = {
    &rank_report::peak_saved_bytes,
    &rank_report::predicted_peak_saved_bytes,
    &rank_report::peak_activation_bytes,
    &rank_report::peak_message_bytes,
    &rank_report::parameter_bytes,
    &rank_report::busy,
    &rank_report::time};

/// The reports of all processes: losses and answers are the same on all.
[[nodiscard]] std::vector<rank_report> reports_of_all(mpi_communicator& control,
                                                      const rank_report& own) {
  constexpr std::size_t members = std::size(integers_of_report);
  std::vector<std::int64_t> numbers;
  for (const auto member : integers_of_report) numbers.push_back(own.*member);
  const std::vector<std::int64_t> all = all_gather(control, numbers);
  std::vector<rank_report> reports(control.size(), own);
  for (std::size_t i = 0; i < all.size(); ++i)
    reports[i / members].*integers_of_report[i % members] = all[i];
  return reports;
}

class mpi_ranks : public training_ranks {
 public:
  [[nodiscard]] bool is_first() const override { return control_.rank() == 0; }

  void require_size(std::size_t ranks) const override {
    if (control_.size() != ranks)
      throw invalid_input("processes of mpiexec", control_.size(),
                          "must be --pp times --dp, " + std::to_string(ranks));
  }

  [[nodiscard]] std::string from_first(const std::function<std::string()>& make) override {
    std::string text = is_first() ? make() : std::string();
    std::vector<std::uint64_t> size = {text.size()};
    broadcast(control_, size, 0);
    text.resize(size[0]);
    broadcast(control_, text, 0);
    return text;
  }

  [[nodiscard]] strategy_report run(const training_run& run, strategy how,
                                    std::chrono::milliseconds deadline) override {
    require_agreement(control_, "the execution plan", fingerprint(run.planned.plan));
    run_record record(run);
    training_run recorded = run;
    recorded.after_step = [&](std::size_t rank, const step_report& step) {
      record.add(step);
      if (run.after_step) run.after_step(rank, step);
    };
    rank_report mine;
    {
      mpi_channel world(MPI_COMM_WORLD, {.deadline = deadline, .name = "world"});
      mine = train_rank(world, recorded);
    }
    strategy_report report = std::move(record).report();
    report.how = how;
    report.ranks = reports_of_all(control_, mine);
    return report;
  }

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
  /// MPI runs while the object lives.
  struct session {
    session() {
      int level = 0;
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
    }
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    ~session() { MPI_Finalize(); }
  };

  session session_;
  mpi_communicator control_;
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
