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
#include <span>
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

/// The report of a rank and its logs as integers: items are known from the plan.
class report_numbers {
 public:
  [[nodiscard]] static std::vector<std::int64_t> write(const rank_report& rank,
                                                       const std::vector<step_log>& logs) {
    std::vector<std::int64_t> numbers;
    for (const auto member : report_members) numbers.push_back(rank.*member);
    for (const step_log& log : logs) {
      for (const auto member : log_members) numbers.push_back(log.*member);
      add(numbers, log.step);
      for (const item_times& times : log.times) add(numbers, times);
    }
    return numbers;
  }

  report_numbers(std::span<const std::int64_t> numbers, const execution_plan& plan)
      : numbers_(numbers), plan_(&plan) {}

  void read(std::size_t rank, std::uint64_t first_step, std::size_t steps, rank_report& report,
            std::vector<step_log>& logs) {
    for (const auto member : report_members) report.*member = next();
    for (std::size_t index = 0; index < steps; ++index) {
      step_log log{.items = step_of(*plan_, first_step + index, rank).items};
      for (const auto member : log_members) log.*member = next();
      log.step = next_times();
      for (std::size_t i = 0; i < log.items.size(); ++i) log.times.push_back(next_times());
      logs.push_back(std::move(log));
    }
  }

 private:
  static constexpr std::int64_t rank_report::*report_members[] = {
      &rank_report::peak_saved_bytes,
      &rank_report::predicted_peak_saved_bytes,
      &rank_report::peak_activation_bytes,
      &rank_report::peak_message_bytes,
      &rank_report::parameter_bytes,
      &rank_report::busy,
      &rank_report::time};
  static constexpr std::int64_t step_log::*log_members[] = {
      &step_log::peak_saved_bytes, &step_log::peak_bytes, &step_log::peak_message_bytes};

  static void add(std::vector<std::int64_t>& numbers, const item_times& times) {
    numbers.insert(numbers.end(), {times.begin, times.end, times.computed});
  }
  [[nodiscard]] std::int64_t next() { return numbers_[position_++]; }
  [[nodiscard]] item_times next_times() {
    const std::int64_t begin = next();
    const std::int64_t end = next();
    return {begin, end, next()};
  }

  std::span<const std::int64_t> numbers_;
  const execution_plan* plan_;
  std::size_t position_ = 0;
};

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
    const execution_plan& plan = run.planned.plan;
    require_agreement(control_, "the execution plan", fingerprint(plan));
    strategy_report report{.how = how};
    std::vector<step_log> own;
    training_run logged = run;
    logged.after_step = [&](std::size_t rank, const step_report& step) {
      if (own.empty()) report.first_step = step.step;
      own.push_back(step.log);
      if (run.after_step) run.after_step(rank, step);
    };
    rank_report mine;
    {
      mpi_channel world(MPI_COMM_WORLD, {.deadline = deadline, .name = "world"});
      mine = train_rank(world, logged);
    }
    const auto all = all_gather_variable(control_, report_numbers::write(mine, own));
    report.ranks.assign(plan.ranks(), mine);
    report.logs.resize(plan.ranks());
    for (std::size_t r = 0; r < plan.ranks(); ++r)
      report_numbers(all[r], plan)
          .read(r, report.first_step, own.size(), report.ranks[r], report.logs[r]);
    complete(report, run);
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
