// SPDX-License-Identifier: Apache-2.0
/// @file
/// Headers as the library has them, and with a macro OMNIBAL_PLANTED_… one with a fault that
/// the checks of this folder must find.
#pragma once

namespace omnibal {

struct sample {
  int tokens;
};

#ifdef OMNIBAL_PLANTED_MACRO_NAME
using small = int;
#endif

}  // namespace omnibal
