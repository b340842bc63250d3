// SPDX-License-Identifier: Apache-2.0
/// @file
/// Shapes of public vision-language models, from their public configuration files. Tests check
/// them against published parameter counts.
#pragma once

#include <array>

#include <omnibal/config.hpp>
#include <omnibal/cost/model.hpp>

namespace omnibal::inline v0 {

[[nodiscard]] std::array<model_shape, 9> model_presets();

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/presets.ipp>
#endif
