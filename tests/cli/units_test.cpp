// SPDX-License-Identifier: Apache-2.0
#include "options/units.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::cli;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
const std::vector<std::string> resources = {"images", "tokens"};

}  // namespace

TEST_CASE("integers are taken whole and within their range") {
  CHECK(parse_integer("--n", "0", {}) == 0);
  CHECK(parse_integer("--n", "9223372036854775807", {}) == largest);
  CHECK(parse_integer("--n", "-3", {.least = -5, .most = 5}) == -3);
  for (const char* wrong : {"", " 1", "1 ", "+1", "1.0", "1e3", "0x10", "-1", "9223372036854775808",
                            "99999999999999999999", "a", "1,000"})
    CHECK_THROWS_WITH(parse_integer("--n", wrong, {}), ContainsSubstring("--n = "));
  CHECK_THROWS_WITH(parse_integer("--n", "6", {.least = 1, .most = 5}),
                    "--n = 6: must be an integer from 1 to 5");
}

TEST_CASE("bytes have decimal and binary units and are exact") {
  CHECK(parse_bytes("--memory", "0") == 0);
  CHECK(parse_bytes("--memory", "1024") == 1024);
  CHECK(parse_bytes("--memory", "1024B") == 1024);
  CHECK(parse_bytes("--memory", "80GiB") == std::int64_t{80} << 30);
  CHECK(parse_bytes("--memory", "6GB") == 6'000'000'000);
  CHECK(parse_bytes("--memory", "1.5GiB") == std::int64_t{3} << 29);
  CHECK(parse_bytes("--memory", "0.001kB") == 1);
  CHECK(parse_bytes("--memory", "9223372036854775807") == largest);
  CHECK(parse_bytes("--memory", "7.999999999999TB") == 7'999'999'999'999);
}

TEST_CASE("bytes that cannot be taken exactly are refused") {
  for (const char* wrong : {"", "GiB", "80Gib", "80 GiB", "80gb", "-1GiB", "1e3", ".", "1.2.3",
                            "0x10", "1PB", "+1", "0.5", "0.0001kB", "1.00000000001GiB",
                            "9223372036854775808", "8388608TiB", "99999999999999999999GiB"})
    CHECK_THROWS_WITH(parse_bytes("--memory", wrong), ContainsSubstring("--memory = "));
  CHECK(parse_bytes("--memory", "8388607TiB") == std::int64_t{8388607} << 40);
}

TEST_CASE("fractions keep every digit") {
  const auto check = [](const char* text, std::uint32_t numerator, std::uint32_t denominator) {
    const fraction parsed = parse_fraction("--f", text);
    CHECK(parsed.numerator == numerator);
    CHECK(parsed.denominator == denominator);
  };
  check("0", 0, 1);
  check("1", 1, 1);
  check("0.25", 25, 100);
  check(".5", 5, 10);
  check("0.123456789", 123'456'789, 1'000'000'000);
  for (const char* wrong : {"", "1.1", "2", "-0.5", "0.1234567891", "1e-3", "50%"})
    CHECK_THROWS_WITH(parse_fraction("--f", wrong), ContainsSubstring("--f = "));
}

TEST_CASE("numbers are finite and not negative") {
  CHECK(parse_number("--x", "2.5") == 2.5);
  CHECK(parse_number("--x", "1e3") == 1000);
  for (const char* wrong : {"", "-1", "nan", "inf", "1e999", "1x"})
    CHECK_THROWS_WITH(parse_number("--x", wrong), ContainsSubstring("--x = "));
}

TEST_CASE("amounts come in the order of the resources") {
  CHECK(parse_amounts("--capacity", "tokens=4096,images=9", resources, {.least = 1}) ==
        std::vector<std::int64_t>{9, 4096});
  CHECK(parse_some_amounts("--max", "tokens=7", resources, {}) ==
        std::vector<std::optional<std::int64_t>>{std::nullopt, 7});
}

TEST_CASE("amounts that say too little, too much or nonsense are refused") {
  const auto why = [](const char* text) {
    try {
      (void)parse_amounts("--capacity", text, resources, {.least = 1});
    } catch (const invalid_input& error) {
      return std::string(error.what());
    }
    return std::string("taken");
  };
  CHECK_THAT(why("images=9"), ContainsSubstring("must also name tokens"));
  CHECK_THAT(why("images=9,images=9,tokens=1"), ContainsSubstring("names images twice"));
  CHECK_THAT(why("images=9,tokens=4096,"), ContainsSubstring("must be amounts like"));
  CHECK_THAT(why(""), ContainsSubstring("must be amounts like"));
  CHECK_THAT(why("images=0,tokens=4096"), ContainsSubstring("--capacity images = 0"));
  CHECK_THAT(why("images=-1,tokens=4096"), ContainsSubstring("--capacity images = -1"));
  CHECK_THAT(why("images=9,tokens=9223372036854775808"), ContainsSubstring("--capacity tokens = "));
  CHECK_THAT(why("images=9,token=4096"), ContainsSubstring("did you mean tokens?"));
  CHECK_THAT(why("images=,tokens=4096"), ContainsSubstring("--capacity images = "));
}

TEST_CASE("Shares are decimal numbers or percentages") {
  CHECK(parse_share("--batch-tolerance", "0.1") == 0.1);
  CHECK(parse_share("--batch-tolerance", "10%") == 0.1);
  CHECK(parse_share("--batch-tolerance", "12.5%") == 0.125);
  CHECK(parse_share("--batch-tolerance", "0") == 0);
  CHECK(parse_share("--batch-tolerance", "100%") == 1);
  for (const char* wrong : {"", "%", "1.01", "100.1%", "-1", "1e-3", " 1", "ten"})
    CHECK_THROWS_AS(parse_share("--batch-tolerance", wrong), invalid_input);
}

TEST_CASE("Parts of other amounts may be more than these, and percentages") {
  CHECK(parse_ratio("--margin", "0.05") == 0.05);
  CHECK(parse_ratio("--margin", "5%") == 0.05);
  CHECK(parse_ratio("--margin", "1.5") == 1.5);
  CHECK(parse_ratio("--margin", "150%") == 1.5);
  CHECK(parse_ratio("--margin", "0") == 0);
  for (const char* wrong : {"", "%", "-1", "-5%", "5%%", " 5%", "5 %", "nan", "inf", "five"})
    CHECK_THROWS_AS(parse_ratio("--margin", wrong), invalid_input);
}
