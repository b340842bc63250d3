// SPDX-License-Identifier: Apache-2.0
/// @file
/// The presets of models by their id.
#pragma once

#include <string>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/presets.hpp>

namespace omnibal::test {

inline model_shape preset(const std::string& id) {
  for (const model_shape& model : model_presets())
    if (model.id == id) return model;
  throw invalid_input("id", id, "is no preset");
}

}  // namespace omnibal::test
