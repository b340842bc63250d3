// SPDX-License-Identifier: Apache-2.0
#include "options/nearest.hpp"

#include <string>
#include <vector>

#include "catch.hpp"

using omnibal::cli::nearest;

TEST_CASE("the nearest word is found across one slip of each kind") {
  const std::vector<std::string> words = {"--seed", "--shape", "--samples", "--out"};
  CHECK(nearest("--sede", words) == "--seed");
  CHECK(nearest("--sed", words) == "--seed");
  CHECK(nearest("--seeds", words) == "--seed");
  CHECK(nearest("--sied", words) == "--seed");
  CHECK(nearest("--smaples", words) == "--samples");
}

TEST_CASE("words that are nothing like any other have no nearest") {
  CHECK_FALSE(nearest("--frobnicate", std::vector<std::string>{"--seed", "--out"}));
  CHECK_FALSE(nearest("xyz", std::vector<std::string>{}));
  CHECK_FALSE(nearest("", std::vector<std::string>{"pack"}));
}

TEST_CASE("of equals the first is taken") {
  CHECK(nearest("cat", std::vector<std::string>{"cut", "car"}) == "cut");
}
