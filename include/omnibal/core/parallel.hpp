// SPDX-License-Identifier: Apache-2.0
/// @file
/// A parallel loop on standard threads. Results do not depend on the number of threads as long as
/// each body writes only to its own part.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// The number of threads for an option `threads` = `wanted`: at most as many as the hardware has,
/// and exactly as many for 0. At least 1. The system is asked in the first call alone: it may read
/// a file for the answer, and planning asks for every step.
[[nodiscard]] inline unsigned thread_count(unsigned wanted) noexcept {
  static const unsigned hardware = std::max(1U, std::thread::hardware_concurrency());
  return wanted == 0 ? hardware : std::min(wanted, hardware);
}

namespace detail {

/// Starts up to `count` threads that call run(); fewer when the system grants no more.
[[nodiscard]] inline std::vector<std::jthread> start_threads(std::size_t count,
                                                             const std::function<void()>& run) {
  std::vector<std::jthread> threads;
  try {
    threads.reserve(count);
    while (threads.size() < count) threads.emplace_back(run);
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  }
  return threads;
}

/// Runs the parts 0 … parts − 1: part 0 on the calling thread, the others on threads of their own
/// where the system grants them, else one after the other on those that there are. When parts
/// throw, the exception of the first of them in order is rethrown after all have ended. Not a
/// template, so that a program contains the thread handling once and not once per loop.
inline void run_parts(std::size_t parts, const std::function<void(std::size_t)>& run) {
  std::vector<std::exception_ptr> failures(parts);
  const auto run_part = [&](std::size_t part) {
    try {
      run(part);
    } catch (...) {
      failures[part] = std::current_exception();
    }
  };
  std::atomic<std::size_t> next = 1;
  const std::function<void()> run_others = [&] {
    for (std::size_t part = next++; part < parts; part = next++) run_part(part);
  };
  {
    const std::vector<std::jthread> workers = start_threads(parts - 1, run_others);
    run_part(0);
    run_others();
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace detail

/// Calls body(begin, end) on consecutive parts that together cover 0 … count − 1: as many parts as
/// thread_count(threads) and at most `count`, the first on the calling thread. A thread that the
/// system does not grant takes nothing away: its part runs on another.
/// Blocks until all parts have ended; when bodies throw, the exception of the first part in order
/// is then rethrown.
template <std::invocable<std::size_t, std::size_t> Body>
void parallel_for(std::size_t count, unsigned threads, const Body& body) {
  const std::size_t parts = std::min<std::size_t>(thread_count(threads), count);
  if (parts > 1)
    detail::run_parts(
        parts, [&](std::size_t part) { body(count * part / parts, count * (part + 1) / parts); });
  else if (count > 0)
    body(std::size_t{0}, count);
}

}  // namespace omnibal::inline v0
