// SPDX-License-Identifier: Apache-2.0
/// @file
/// A parallel loop on standard threads. Results do not depend on the number of threads as long as
/// each body writes only to its own part.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// The number of threads for an option `threads` = `wanted`: `wanted` itself, or for 0 as many as
/// the hardware has. At least 1.
[[nodiscard]] inline unsigned thread_count(unsigned wanted) noexcept {
  return wanted != 0 ? wanted : std::max(1U, std::thread::hardware_concurrency());
}

namespace detail {

/// Runs the parts 0 … parts − 1, each on a thread of its own, the first on the calling one. When
/// parts throw, the exception of the first of them in order is rethrown after all have ended. Not a
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
  {
    std::vector<std::jthread> workers;
    workers.reserve(parts - 1);
    for (std::size_t part = 1; part < parts; ++part) workers.emplace_back(run_part, part);
    run_part(0);
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace detail

/// Calls body(begin, end) on consecutive parts that together cover 0 … count − 1, one part per
/// thread, the first on the calling thread. `threads` = 0 means as many as the hardware has.
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
