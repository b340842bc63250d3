// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <limits>

#include <omnibal/core/deadline.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace std::chrono_literals;
using time_point = std::chrono::steady_clock::time_point;

TEST_CASE("a deadline is never earlier than now, however long the wait") {
  const time_point now{1234567890123456789ns};
  CHECK(deadline_after(0ms, now) == now);
  CHECK(deadline_after(17ms, now) == now + 17ms);
  CHECK(deadline_after(std::chrono::hours(24 * 365), now) == now + std::chrono::hours(24 * 365));
  CHECK(deadline_after(std::chrono::milliseconds::max(), now) == time_point::max());
  const auto left = std::chrono::floor<std::chrono::milliseconds>(time_point::max() - now);
  CHECK(deadline_after(left - 1ms, now) == now + (left - 1ms));
  CHECK(deadline_after(left, now) == time_point::max());
  CHECK(deadline_after(left + 1ms, now) == time_point::max());
  CHECK(deadline_after(1ms, time_point::max()) == time_point::max());
  CHECK(deadline_after(5min) > std::chrono::steady_clock::now());
}

TEST_CASE("negative waiting times are refused") {
  CHECK_THROWS_WITH(require_waiting_time("deadline", -1ms),
                    "deadline = -1: milliseconds must not be negative");
  CHECK_THROWS_AS(require_waiting_time("deadline", std::chrono::milliseconds::min()),
                  invalid_input);
  CHECK_NOTHROW(require_waiting_time("deadline", 0ms));
  CHECK_NOTHROW(require_waiting_time("deadline", std::chrono::milliseconds::max()));
}
