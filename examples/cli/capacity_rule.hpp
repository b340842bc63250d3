// SPDX-License-Identifier: Apache-2.0
/// @file
/// `--capacity auto` where no model is given: a rule of thumb from the table alone. (With a model,
/// the planner searches: planner/capacity.hpp.)
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <optional>
#include <span>

namespace omnibal::cli {

template <std::size_t Resources>
struct capacity_rule {
  double samples_per_pack = 4;  ///< What a full pack should hold.
  std::array<std::optional<std::int64_t>, Resources> most = {};
};

/// For each resource what `samples_per_pack` mean samples need, at least what the largest sample
/// needs and 1, at most the given limit.
template <std::size_t Resources>
[[nodiscard]] loads<Resources> automatic_capacity(std::span<const loads<Resources>> samples,
                                                  const capacity_rule<Resources>& rule) {
  loads<Resources> capacity;
  for (std::size_t r = 0; r < Resources; ++r) {
    double sum = 0;
    std::int64_t largest = 1;
    for (const loads<Resources>& sample : samples) {
      sum += static_cast<double>(sample[r]);
      largest = std::max(largest, sample[r]);
    }
    const double wanted =
        std::ceil(rule.samples_per_pack * sum / static_cast<double>(samples.size()));
    if (wanted >= static_cast<double>(std::numeric_limits<std::int64_t>::max()))
      throw invalid_input("--target-samples-per-pack", std::to_string(rule.samples_per_pack),
                          "asks for more than a capacity can hold");
    capacity[r] = std::max(largest, static_cast<std::int64_t>(wanted));
    if (rule.most[r]) capacity[r] = std::min(capacity[r], *rule.most[r]);
  }
  return capacity;
}

}  // namespace omnibal::cli
