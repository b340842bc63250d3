// SPDX-License-Identifier: Apache-2.0
/// @file
/// Progress reports from long computations, and early stops.
///
///     std::stop_source source;
///     options.control = {.report = [](const progress& p) { show(p.phase, p.done, p.total); },
///                        .stop = source.get_token()};
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/search_status.hpp>

namespace omnibal::inline v0 {

/// The progress of a computation: `done` of `total` units of `phase`.
struct progress {
  std::string_view phase;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

/// The member `control` of options: a callback that is called from time to time on the calling
/// thread, and a token by which the caller requests a stop. Both may be left empty. A stopped
/// computation returns what it has found so far.
struct search_control {
  std::function<void(const progress&)> report = {};
  std::stop_token stop = {};

  void report_progress(std::string_view phase, std::uint64_t done, std::uint64_t total) const {
    if (report) report({.phase = phase, .done = done, .total = total});
  }
  [[nodiscard]] bool stop_requested() const noexcept { return stop.stop_requested(); }
};

/// The limit of a search that ended with this status just now.
[[nodiscard]] inline search_limit limit_of(search_status status,
                                           const search_control& control) noexcept {
  if (status != search_status::stopped) return search_limit::none;
  return control.stop_requested() ? search_limit::stop : search_limit::operations;
}

}  // namespace omnibal::inline v0
