// SPDX-License-Identifier: Apache-2.0
// expect: integral
#include <omnibal/core/arithmetic.hpp>

const auto right = omnibal::checked_add(1, 2, "sum");
#ifdef OMNIBAL_MISTAKE
const auto wrong = omnibal::checked_add(1.0, 2.0, "sum");
#endif
