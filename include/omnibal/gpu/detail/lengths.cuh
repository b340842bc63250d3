// SPDX-License-Identifier: Apache-2.0
/// @file
/// Lengths of documents that the host knows: they go to the device with the parameters of a kernel,
/// without a copy, an allocation or a wait.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::gpu {

/// As many lengths as fit in the parameters of a kernel beside what else it takes: 4 KiB of
/// parameters, which every architecture and every toolkit takes.
inline constexpr std::size_t most_host_lengths = 1000;

/// Lengths in host memory, which may be freed when the call returns. A captured graph keeps those
/// of its capture: a graph that is to take other lengths reads them in device memory.
struct host_lengths {
  std::span<const std::int32_t> lengths = {};
};

namespace detail {

/// Lengths as a part of a kernel's parameters.
struct lengths_in_parameters {
  std::int32_t lengths[most_host_lengths];

  [[nodiscard]] OMNIBAL_HD constexpr std::int32_t operator[](std::int64_t document) const noexcept {
    return lengths[document];
  }
};

[[nodiscard]] inline lengths_in_parameters in_parameters(const host_lengths& given) noexcept {
  lengths_in_parameters parameters{};
  std::copy(given.lengths.begin(), given.lengths.end(), parameters.lengths);
  return parameters;
}

inline void check_host_lengths(const host_lengths& given) {
  if (given.lengths.size() > most_host_lengths)
    throw invalid_input("number of lengths in host memory", given.lengths.size(),
                        "must be at most " + std::to_string(most_host_lengths) +
                            ", which kernel parameters hold; more are given in device memory");
  for (std::size_t d = 0; d < given.lengths.size(); ++d)
    if (given.lengths[d] < 0)
      throw invalid_input("lengths", d, given.lengths[d], "must not be negative");
}

}  // namespace detail

}  // namespace omnibal::inline v0::gpu
