// SPDX-License-Identifier: Apache-2.0
// mistake: -std=c++17
#include <omnibal/config.hpp>  // error: Omnibal needs C\+\+20: compile with -std=c\+\+20

int right() { return 0; }
