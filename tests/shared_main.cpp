// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs Catch2 cases, any of which may end the program with 77 where its material is not there.
#define CATCH_CONFIG_RUNNER
#include "catch.hpp"

// Catch2 gives the number of failures, which may be 77 too.
int main(int argc, char** argv) { return Catch::Session().run(argc, argv) == 0 ? 0 : 1; }
