// SPDX-License-Identifier: Apache-2.0
// expect: load_array
#include <array>
#include <vector>

#include <omnibal/core/loads.hpp>

template <omnibal::sample_range Samples>
void take(const Samples&) {}

void right() { take(std::vector<omnibal::loads<2>>{}); }
#ifdef OMNIBAL_MISTAKE
void wrong() { take(std::vector<std::array<double, 2>>{}); }
#endif
