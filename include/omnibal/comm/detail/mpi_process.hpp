// SPDX-License-Identifier: Apache-2.0
/// @file
/// MPI in this process: whether it runs and may be called, what its errors say, and how long to
/// wait between two looks.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>

#include <mpi.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

[[nodiscard]] inline bool mpi_is_running() noexcept {
  int initialized = 0;
  int finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized != 0 && finalized == 0;
}

[[nodiscard]] inline std::string mpi_error_text(int code) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  return {text.data(), static_cast<std::size_t>(length)};
}

/// Throws invalid_input unless MPI runs and this thread may call it: below MPI_THREAD_SERIALIZED
/// only the thread that initialized MPI.
inline void require_mpi_on_this_thread() {
  if (!mpi_is_running())
    throw invalid_input("MPI", "not running", "must be initialized and not yet finalized");
  int level = MPI_THREAD_SINGLE;
  int is_main = 0;
  MPI_Query_thread(&level);
  MPI_Is_thread_main(&is_main);
  if (level < MPI_THREAD_SERIALIZED && is_main == 0)
    throw invalid_input("thread level of MPI", "below MPI_THREAD_SERIALIZED",
                        "allows calls from the thread that initialized MPI only; initialize MPI "
                        "with MPI_Init_thread and MPI_THREAD_SERIALIZED, or MPI_THREAD_MULTIPLE "
                        "where several threads communicate at once");
}

/// Waits between two looks at something: not at all at first, then for longer and longer.
class patience {
 public:
  void pause() {
    if (++looks_ < 200) return std::this_thread::yield();
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(2 * pause_, std::chrono::microseconds(1000));
  }

 private:
  int looks_ = 0;
  std::chrono::microseconds pause_{20};
};

}  // namespace omnibal::inline v0::detail
