// SPDX-License-Identifier: Apache-2.0
/// @file
/// How long work tells its caller where it is, and how the caller ends it early.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Where a piece of work is: `done` of `total` units of `phase`.
struct progress {
  std::string_view phase;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

/// Given to long work: a callback called now and then from the calling thread, and a token that
/// asks the work to stop. Both may be left empty. Stopped work returns what it has.
struct search_control {
  std::function<void(const progress&)> report = {};
  std::stop_token stop = {};

  void report_progress(std::string_view phase, std::uint64_t done, std::uint64_t total) const {
    if (report) report({.phase = phase, .done = done, .total = total});
  }
  [[nodiscard]] bool stop_requested() const noexcept { return stop.stop_requested(); }
};

}  // namespace omnibal::inline v0
