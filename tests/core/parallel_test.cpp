// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/core/parallel.hpp>

#include "catch.hpp"

using omnibal::parallel_for;
using omnibal::thread_count;

namespace {

/// The parts that parallel_for makes of `count` for `threads`, in order of their begin.
std::vector<std::pair<std::size_t, std::size_t>> parts_of(std::size_t count, unsigned threads) {
  std::mutex mutex;
  std::set<std::pair<std::size_t, std::size_t>> parts;
  parallel_for(count, threads, [&](std::size_t begin, std::size_t end) {
    const std::scoped_lock lock(mutex);
    parts.emplace(begin, end);
  });
  return {parts.begin(), parts.end()};
}

}  // namespace

TEST_CASE("every index is visited exactly once, whatever the number of threads") {
  for (const std::size_t count : {0U, 1U, 2U, 3U, 7U, 64U, 1000U, 1001U}) {
    for (const unsigned threads : {0U, 1U, 2U, 3U, 8U, 33U}) {
      std::vector<int> visits(count, 0);
      parallel_for(count, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) ++visits[i];
      });
      CAPTURE(count, threads);
      REQUIRE(visits == std::vector<int>(count, 1));
    }
  }
}

TEST_CASE("there are as many parts as threads, even in size, and none is empty") {
  CHECK(parts_of(0, 4).empty());
  CHECK(parts_of(10, 1) == std::vector<std::pair<std::size_t, std::size_t>>{{0, 10}});
  for (const unsigned threads : {2U, 8U, 1'000'000'000U, ~0U}) {
    CHECK(parts_of(3, threads).size() == std::min(thread_count(threads), 3U));
    const auto parts = parts_of(1003, threads);
    const std::size_t share = 1003 / parts.size();
    REQUIRE(parts.size() == std::min(thread_count(threads), 1003U));
    for (const auto& [begin, end] : parts)
      CHECK((end - begin == share || end - begin == share + 1));
  }
}

TEST_CASE("there are at most as many threads as the hardware has") {
  const unsigned all = thread_count(0);
  CHECK(all >= 1);
  CHECK(thread_count(1) == 1);
  for (const unsigned wanted : {all, all + 1, 1'000'000'000U, ~0U})
    CHECK(thread_count(wanted) == all);
}

TEST_CASE("parts run at the same time, the first on the calling thread") {
  std::atomic<std::size_t> running = 0;
  std::vector<std::thread::id> threads(3);
  omnibal::detail::run_parts(3, [&](std::size_t part) {
    threads[part] = std::this_thread::get_id();
    ++running;
    while (running < 3) std::this_thread::yield();
  });
  CHECK(threads[0] == std::this_thread::get_id());
  CHECK(std::set(threads.begin(), threads.end()).size() == 3);
}

TEST_CASE("the exception of the first part in order is rethrown after all have ended") {
  std::atomic<int> ended = 0;
  const auto fail = [&](std::size_t begin, std::size_t) {
    ++ended;
    if (begin != 0) throw std::runtime_error("part at " + std::to_string(begin));
  };
  CHECK_THROWS_WITH(
      omnibal::detail::run_parts(4, [&](std::size_t part) { fail(2 * part, 2 * part + 2); }),
      "part at 2");
  CHECK(ended == 4);
}

TEST_CASE("an exception on the calling thread passes through") {
  CHECK_THROWS_WITH(
      parallel_for(5, 1, [](std::size_t, std::size_t) { throw std::runtime_error("alone"); }),
      "alone");
  std::atomic<int> ended = 0;
  const auto fail = [&](std::size_t part) {
    ++ended;
    if (part == 0) throw std::logic_error("first");
    throw std::runtime_error("second");
  };
  CHECK_THROWS_AS(omnibal::detail::run_parts(2, fail), std::logic_error);
  CHECK(ended == 2);
}
