// SPDX-License-Identifier: Apache-2.0
/// @file
/// Presets: shapes of public vision-language models, from their configuration files. Tests check
/// them against the parameter counts given by their authors.
#pragma once

#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/model.hpp>

namespace omnibal::inline v0 {

/// All presets; find one by its `id`, for example "internvl-chat-1.5". Their order stays: a new one
/// comes last.
[[nodiscard]] std::vector<model_shape> model_presets();

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/presets.ipp>
#endif
