// SPDX-License-Identifier: Apache-2.0
#include "answers.hpp"

#if defined(OMNIBAL_SEPARATE_COMPILATION)
#error "this unit is for the headers alone"
#endif

answers header_only_answers() { return answers_of_this_unit(); }
