// SPDX-License-Identifier: Apache-2.0
/// @file
/// The kernels as forms: arrays go to the emulator's device and come back.
#pragma once

#include <memory>

#include "forms.hpp"

namespace omnibal::examples {

/// Everything that has a kernel is answered by it.
[[nodiscard]] std::unique_ptr<forms> make_emulated_forms();

}  // namespace omnibal::examples
