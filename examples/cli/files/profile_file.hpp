// SPDX-License-Identifier: Apache-2.0
/// @file
/// Files of measured layers: profiles, which are measurements, and calibrations, cost models fitted
/// to them.
/// docs/calibration.md describes both files.
#pragma once

#include <string>

#include <omnibal/cost/calibration.hpp>

#include "files/json.hpp"

namespace omnibal::cli {

/// A profile, and the file that it was read from.
struct profile_file {
  std::string name;  ///< Of the file, as it was given.
  std::string sha256;
  layer_profile profile = {};
};

/// Fits a profile, or reads the fits of a calibration. Throws invalid_input naming file, field and
/// value.
[[nodiscard]] profile_file read_profile(const std::string& path);

/// A calibration as JSON: what read_profile() reads back to the bit.
[[nodiscard]] json to_json(const profile_file& file);

}  // namespace omnibal::cli
