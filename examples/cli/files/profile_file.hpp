// SPDX-License-Identifier: Apache-2.0
/// @file
/// Files of measured layers: profiles, which are measurements, and calibrations, cost models fitted
/// to them.
/// docs/calibration.md describes both files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/cost/calibration.hpp>

#include "files/json.hpp"

namespace omnibal::cli {

/// Fits, and the file that they were fitted to.
struct profile_fits {
  std::string name;  ///< Of the file, as it was given.
  std::string sha256;
  std::size_t measurements = 0;
  std::optional<std::int64_t> tensor_parallel = {};  ///< Where the file gives it.
  workload largest = {};  ///< The most tiles and the most tokens of any measurement.
  std::vector<layer_fit> layers = {};
};

/// Fits a profile, or reads the fits of a calibration. Throws invalid_input naming file, field and
/// value.
[[nodiscard]] profile_fits read_profile(const std::string& path);

/// A calibration as JSON: what read_profile() reads back to the bit.
[[nodiscard]] json to_json(const profile_fits& fits);

}  // namespace omnibal::cli
