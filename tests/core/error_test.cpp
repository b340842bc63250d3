// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"

using omnibal::invalid_input;

TEST_CASE("invalid_input names field, index, value and advice in one line") {
  const invalid_input error("tokens", 17, -5, "must not be negative");
  CHECK(std::string(error.what()) == "tokens[17] = -5: must not be negative");
  CHECK(error.field() == "tokens");
  CHECK(error.index() == std::size_t{17});
  CHECK(error.value() == "-5");
}

TEST_CASE("invalid_input without an index names the field alone") {
  const invalid_input error("capacity", 0, "must be positive");
  CHECK(std::string(error.what()) == "capacity = 0: must be positive");
  CHECK_FALSE(error.index().has_value());
}

TEST_CASE("invalid_input puts indices where the field has places for them, and the rest behind") {
  const auto text = [](const char* field, const std::vector<std::size_t>& indices) {
    return std::string(invalid_input(field, indices, 7, "x").what());
  };
  CHECK(text("layers[].time", {3}) == "layers[3].time = 7: x");
  CHECK(text("layers[].modes[].bytes", {3, 0}) == "layers[3].modes[0].bytes = 7: x");
  CHECK(text("scenarios[].forward", {1, 2, 3}) == "scenarios[1].forward[2][3] = 7: x");
  CHECK(text("layers[].modes[].bytes", {3}) == "layers[3].modes[].bytes = 7: x");
  const invalid_input error("layers[].time", 3, 7, "x");
  CHECK(error.field() == "layers[].time");
  CHECK(error.index() == std::size_t{3});
  CHECK(error.indices() == std::vector<std::size_t>{3});
  CHECK(error.advice() == "x");
}

TEST_CASE("invalid_input takes words as values") {
  const invalid_input plain("model", "gpt-9", "is not known");
  CHECK(std::string(plain.what()) == "model = gpt-9: is not known");
  CHECK_FALSE(plain.index().has_value());
  const invalid_input indexed("stages", 2, "none", "must have a layer");
  CHECK(std::string(indexed.what()) == "stages[2] = none: must have a layer");
}

TEST_CASE("invalid_input takes strings, views and literals alike") {
  const std::string field = "lengths.csv";
  const std::string value = "x";
  CHECK(std::string(invalid_input(field, 3, value, field).what()) ==
        "lengths.csv[3] = x: lengths.csv");
  CHECK(std::string(invalid_input(field, 3U, 7, std::string_view("b")).what()) ==
        "lengths.csv[3] = 7: b");
  CHECK(std::string(invalid_input(field, value, value).what()) == "lengths.csv = x: x");
  CHECK(std::string(invalid_input(std::string_view(field), 7, value).what()) ==
        "lengths.csv = 7: x");
}

TEST_CASE("invalid_input prints integers of any type exactly") {
  CHECK(invalid_input("a", std::numeric_limits<std::uint64_t>::max(), "b").value() ==
        "18446744073709551615");
  CHECK(invalid_input("a", std::numeric_limits<std::int64_t>::min(), "b").value() ==
        "-9223372036854775808");
  CHECK(invalid_input("a", std::int8_t{-1}, "b").value() == "-1");
  CHECK(invalid_input("a", 0, std::uint16_t{65535}, "b").value() == "65535");
}

TEST_CASE("invalid_input is caught as std::invalid_argument") {
  CHECK_THROWS_AS(throw invalid_input("a", 1, "b"), std::invalid_argument);
}
