// SPDX-License-Identifier: Apache-2.0
#include "reports/text.hpp"

#include <cstdint>
#include <limits>
#include <string>

#include "catch.hpp"

using namespace omnibal::cli;

TEST_CASE("numbers are written for people") {
  CHECK(value_text(0) == "0");
  CHECK(value_text(-1234567) == "-1,234,567");
  CHECK(value_text(123) == "123");
  CHECK(value_text(std::numeric_limits<std::uint64_t>::max()) == "18,446,744,073,709,551,615");
  CHECK(value_text(0.0) == "0.000");
  CHECK(value_text(0.29412) == "0.2941");
  CHECK(value_text(1.609) == "1.609");
  CHECK(value_text(-1234.5678) == "-1,235");
  CHECK(value_text(0.00001234) == "1.234e-05");
  CHECK(value_text(std::numeric_limits<double>::quiet_NaN()) == "-");
}

TEST_CASE("other values are written for people") {
  CHECK(value_text(nullptr) == "-");
  CHECK(value_text(true) == "yes");
  CHECK(value_text("as it is") == "as it is");
  CHECK(value_text(json::array()) == "none");
  CHECK(value_text({1, 2, 3}) == "1, 2, 3");
  CHECK(value_text({{"images", 9}, {"tokens", 4096}}) == "images 9, tokens 4,096");
}

TEST_CASE("a report is described line by line") {
  const json report = {{"packs", 12},
                       {"samples_per_pack", 1.5},
                       {"columns", {{"a", {{"least", 1}}}, {"bc", {{"least", 2}}}}}};
  CHECK(describe(report) ==
        "packs             12\n"
        "samples per pack  1.500\n"
        "columns a         least 1\n"
        "columns bc        least 2\n");
}

TEST_CASE("a table lines up, also where letters take several bytes") {
  const text_table table{{"", "before", "after"},
                         {{"step", "1 s", "½ s"}, {"epoch", "10 h", "5 h"}}};
  CHECK(table.to_string() ==
        "       before  after\n"
        "step      1 s    ½ s\n"
        "epoch    10 h    5 h\n");
}

TEST_CASE("text that is no UTF-8 does not stop a report") {
  CHECK(json_text({{"name", "a\xFFz"}}) == "{\"name\":\"a\xEF\xBF\xBDz\"}");
}
