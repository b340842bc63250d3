// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal replay`: measured steps beside predicted ones. Times in nanoseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/run/replay.hpp>

#include "files/json.hpp"

namespace omnibal::cli {

struct replay_report {
  struct replayed {
    std::size_t step = 0;
    replayed_step replay = {};
  };
  std::vector<replayed> steps = {};
};

[[nodiscard]] json to_json(const replay_report& report);

/// With the ten longest waits and the ten largest differences of each step.
[[nodiscard]] std::string to_text(const replay_report& report);

}  // namespace omnibal::cli
