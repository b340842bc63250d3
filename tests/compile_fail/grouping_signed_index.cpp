// SPDX-License-Identifier: Apache-2.0
// expect: unsigned_integral
#include <cstdint>

#include <omnibal/core/grouping.hpp>

omnibal::grouping<std::uint64_t> right;
#ifdef OMNIBAL_MISTAKE
omnibal::grouping<int> wrong;
#endif
