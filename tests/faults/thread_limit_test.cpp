// SPDX-License-Identifier: Apache-2.0
// Parallel loops on a system that grants no threads.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

#include <omnibal/core/parallel.hpp>

#include "catch.hpp"

namespace {

std::atomic<int> refused = 0;

}  // namespace

/// In place of that of the system.
extern "C" int pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) {
  ++refused;
  return EAGAIN;
}

TEST_CASE("parts for which the system grants no thread run on the calling one") {
  std::vector<int> runs(64, 0);
  std::vector<std::thread::id> on(64);
  omnibal::detail::run_parts(64, [&](std::size_t part) {
    ++runs[part];
    on[part] = std::this_thread::get_id();
  });
  CHECK(runs == std::vector<int>(64, 1));
  CHECK(on == std::vector<std::thread::id>(64, std::this_thread::get_id()));
  CHECK(refused == 1);  // after which no more are asked for

  int ended = 0;
  const auto fail = [&](std::size_t part) {
    ++ended;
    if (part > 1) throw std::runtime_error(std::to_string(part));
  };
  CHECK_THROWS_WITH(omnibal::detail::run_parts(5, fail), "2");
  CHECK(ended == 5);
}
