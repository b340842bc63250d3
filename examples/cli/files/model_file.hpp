// SPDX-License-Identifier: Apache-2.0
/// @file
/// Models and devices as the command names them: a preset's id, or a JSON file.
#pragma once

#include <string>

#include <omnibal/cost/device.hpp>
#include <omnibal/cost/model.hpp>

namespace omnibal::cli {

/// `name` is a preset's id; or FILE, holding one model or a list `models` with one; or FILE#ID.
/// Throws invalid_input suggesting the nearest id.
[[nodiscard]] model_shape find_model(const std::string& name);

/// `name` is a preset's id or a JSON file with the fields of device_shape.
[[nodiscard]] device_shape find_device(const std::string& name);

}  // namespace omnibal::cli
