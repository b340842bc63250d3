// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the ranks of a run are: threads of this process, or processes of which this is one.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "strategy_run.hpp"

namespace omnibal::trainer {

class training_ranks {
 public:
  training_ranks() = default;
  training_ranks(const training_ranks&) = delete;
  training_ranks& operator=(const training_ranks&) = delete;
  virtual ~training_ranks() = default;

  /// Whether this process reports and writes files.
  [[nodiscard]] virtual bool is_first() const = 0;
  /// Throws invalid_input unless there are, or can be, as many ranks as a plan has.
  virtual void require_size(std::size_t ranks) const = 0;
  /// What make() returns on the first process, on all of them. make() does not throw.
  [[nodiscard]] virtual std::string from_first(const std::function<std::string()>& make) = 0;
  /// Trains and measures; the report is whole on all processes. `deadline` is how long a rank waits
  /// for another. Throws what train_rank throws.
  [[nodiscard]] virtual strategy_report run(const training_run& run, strategy how,
                                            std::chrono::milliseconds deadline) = 0;
  /// After a failure. Where ranks are processes, ends this one once all have come to it, or in two
  /// seconds: the first that ends makes mpiexec end those that have not yet reported their error.
  virtual void leave(int) {}
};

class thread_ranks : public training_ranks {
 public:
  [[nodiscard]] bool is_first() const override { return true; }
  void require_size(std::size_t) const override {}
  [[nodiscard]] std::string from_first(const std::function<std::string()>& make) override {
    return make();
  }
  [[nodiscard]] strategy_report run(const training_run& run, strategy how,
                                    std::chrono::milliseconds deadline) override {
    return run_on_threads(run, how, deadline);
  }
};

/// Ranks are the processes that mpiexec has started. Null where the program was built without MPI.
[[nodiscard]] std::unique_ptr<training_ranks> start_mpi_ranks();

/// Ranks have a GPU each and exchange tensors by NCCL: threads of this process, or the processes of
/// a launcher (launched_process.hpp), which wait for each other so long. Throws program_error where
/// the program has no NCCL, invalid_input where the launcher's variables are wrong or GPUs are
/// missing, and communication_error where processes do not come.
[[nodiscard]] std::unique_ptr<training_ranks> start_nccl_ranks(std::chrono::milliseconds deadline);

/// How many processes mpiexec has started, of which this is one; 1 elsewhere.
[[nodiscard]] std::size_t processes_of_mpiexec();

/// Ranks are processes where mpiexec has started this process, whatever the options say; null
/// elsewhere.
[[nodiscard]] std::unique_ptr<training_ranks> ranks_of_mpiexec();

}  // namespace omnibal::trainer
