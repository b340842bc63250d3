// SPDX-License-Identifier: Apache-2.0
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
  CHECK(parts_of(3, 8).size() == 3);
  CHECK(parts_of(10, 1) == std::vector<std::pair<std::size_t, std::size_t>>{{0, 10}});
  const auto parts = parts_of(1003, 8);
  REQUIRE(parts.size() == 8);
  for (const auto& [begin, end] : parts) CHECK((end - begin == 125 || end - begin == 126));
}

TEST_CASE("parts run at the same time, the first on the calling thread") {
  std::atomic<int> running = 0;
  std::vector<std::thread::id> threads(3);
  parallel_for(3, 3, [&](std::size_t begin, std::size_t) {
    threads[begin] = std::this_thread::get_id();
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
  CHECK_THROWS_WITH(parallel_for(8, 4, fail), "part at 2");
  CHECK(ended == 4);
}

TEST_CASE("an exception on the calling thread passes through") {
  CHECK_THROWS_WITH(
      parallel_for(5, 1, [](std::size_t, std::size_t) { throw std::runtime_error("alone"); }),
      "alone");
  std::atomic<int> ended = 0;
  CHECK_THROWS_AS(parallel_for(5, 2,
                               [&](std::size_t begin, std::size_t) {
                                 ++ended;
                                 if (begin == 0) throw std::logic_error("first");
                                 throw std::runtime_error("second");
                               }),
                  std::logic_error);
  CHECK(ended == 2);
}
