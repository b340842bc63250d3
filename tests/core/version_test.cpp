// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <omnibal/version.hpp>

#include "catch.hpp"

TEST_CASE("the version as a string is the version as macros") {
  CHECK(omnibal::version == std::to_string(OMNIBAL_VERSION_MAJOR) + "." +
                                std::to_string(OMNIBAL_VERSION_MINOR) + "." +
                                std::to_string(OMNIBAL_VERSION_PATCH));
}
