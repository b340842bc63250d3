// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifndef OMNIBAL_PLANTED_MISSING_INCLUDE
#include <omnibal/core/public.hpp>
#endif

namespace omnibal::detail {

inline int tokens_of(const sample& one) { return one.tokens; }

}  // namespace omnibal::detail
