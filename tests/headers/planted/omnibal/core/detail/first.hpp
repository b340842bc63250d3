// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omnibal/core/public.hpp>

namespace omnibal::detail {

#ifdef OMNIBAL_PLANTED_HIDDEN_NAME
struct sample {
  int images;
};
#endif

#ifdef OMNIBAL_PLANTED_MISSING_INLINE
int first() { return 1; }
#endif

}  // namespace omnibal::detail
