// SPDX-License-Identifier: Apache-2.0
// Both readers of JSON tables are compared with a third, which reads the whole text into values
// first: the one for uniform tables may give up, but what it takes means the same to all, and the
// one for tables of any layout takes and refuses what the third does.
#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>

#include "catch.hpp"
#include "files/files.hpp"
#include "files/json.hpp"
#include "tables/json_lines.hpp"
#include "tables/table_formats.hpp"

using namespace omnibal;
using namespace omnibal::cli;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::vector<resource_column> columns = {{"images", "vit_num"}, {"tokens", "token_num"}};
const load_table<2> one_before = {{7, 7}};

/// A text with the padding that readers count on. The padding holds digits, which no reader may
/// take for its own.
class padded_text {
 public:
  explicit padded_text(std::string_view text)
      : size_(text.size()), bytes_(std::string(text) + std::string(file_bytes::padding, '5')) {}

  [[nodiscard]] table_text table() const {
    return {"t.json", std::string_view(bytes_).substr(0, size_), columns};
  }

 private:
  std::size_t size_;
  std::string bytes_;
};

using outcome = std::optional<load_table<2>>;

/// What the reader of uniform tables makes of a text; nothing where it gives up, which leaves no
/// trace.
outcome take_uniform(json_kind kind, std::string_view text) {
  const padded_text padded(text);
  load_table<2> samples = one_before;
  if (append_uniform_json<2>(kind, padded.table(), samples)) return samples;
  CHECK(samples == one_before);
  return std::nullopt;
}

/// The same of the reader for any layout; nothing where it refuses the text.
outcome take_any(json_kind kind, std::string_view text) {
  const padded_text padded(text);
  load_table<2> samples = one_before;
  try {
    append_any_json<2>(kind, padded.table(), samples);
  } catch (const invalid_input&) {
    return std::nullopt;
  }
  return samples;
}

/// Throws unless this is an object with both columns, integers that are not negative.
loads<2> loads_of(const json& record) {
  loads<2> sample = {};
  for (std::size_t r = 0; r < columns.size(); ++r) {
    const json& value = record.at(columns[r].column);
    const bool too_large =
        value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX};
    if (!value.is_number_integer() || value < 0 || too_large)
      throw std::invalid_argument("no load");
    sample[r] = value.get<std::int64_t>();
  }
  return sample;
}

/// A JSON value, where no column comes twice in an object at this depth.
json parse(std::string_view text, int depth) {
  std::vector<std::string> seen;
  const auto check = [&](int at, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start && at == depth) seen.clear();
    if (event != json::parse_event_t::key || at != depth + 1) return true;
    const auto name = parsed.get<std::string>();
    if (std::ranges::find(columns, name, &resource_column::column) == columns.end()) return true;
    if (std::ranges::find(seen, name) != seen.end()) throw std::invalid_argument("twice");
    seen.push_back(name);
    return true;
  };
  return json::parse(text, check);
}

outcome take_by_values(json_kind kind, std::string_view text) try {
  load_table<2> samples = one_before;
  if (kind == json_kind::lines) {
    for_each_line(text,
                  [&](std::string_view line) { samples.push_back(loads_of(parse(line, 0))); });
    return samples;
  }
  const json list = parse(text, 1);
  if (!list.is_array()) return std::nullopt;
  for (const json& record : list) samples.push_back(loads_of(record));
  return samples;
} catch (const std::exception&) {
  return std::nullopt;
}

void check_agreement(json_kind kind, const std::string& text) {
  INFO(text);
  const outcome expected = take_by_values(kind, text);
  CHECK(take_any(kind, text) == expected);
  if (const outcome uniform = take_uniform(kind, text)) CHECK(uniform == expected);
}

std::string why_refused(json_kind kind, std::string_view text) {
  const padded_text padded(text);
  load_table<2> samples;
  try {
    append_json(kind, padded.table(), samples);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "taken";
}

}  // namespace

TEST_CASE("tables that programs write are taken by the reader of uniform tables") {
  const load_table<2> expected = {{7, 7}, {1, 358}, {5, 1341}, {0, 0}};
  const auto list = [](const std::string& open, const std::string& space, const std::string& next,
                       const std::string& close) {
    const auto record = [&](const char* images, const char* tokens) {
      return open + "\"vit_num\":" + space + images + "," + next + "\"token_num\":" + space +
             tokens + "," + next + "\"image_flags\":" + space + "1" + close;
    };
    return std::array{record("1", "358"), record("5", "1341"), record("0", "0")};
  };
  const auto compact = list("{", "", "", "}");
  const auto pretty = list("{\n  ", " ", "\n  ", "\n}");
  CHECK(take_uniform(json_kind::list,
                     "[" + compact[0] + "," + compact[1] + "," + compact[2] + "]") == expected);
  CHECK(take_uniform(json_kind::list, "[\n " + pretty[0] + ",\n " + pretty[1] + ",\n " + pretty[2] +
                                          "\n]\n") == expected);
  CHECK(take_uniform(json_kind::lines, compact[0] + "\n" + compact[1] + "\n" + compact[2] + "\n") ==
        expected);
  CHECK(take_uniform(json_kind::lines, compact[0] + "\r\n" + compact[1] + "\r\n" + compact[2]) ==
        expected);
}

TEST_CASE("a table of one record is taken by the reader of uniform tables") {
  const load_table<2> expected = {{7, 7}, {1, 2}};
  CHECK(take_uniform(json_kind::list, R"([{"token_num":2,"vit_num":1}])") == expected);
  CHECK(take_uniform(json_kind::lines, R"({"token_num":2,"vit_num":1})") == expected);
}

TEST_CASE("the reader of uniform tables gives up on whatever could mean something else") {
  for (const char* text : {"",
                           "[",
                           "[]",
                           "{}",
                           R"([{"vit_num":1}])",
                           R"([{"vit_num":1,"token_num":2},])",
                           R"([{"vit_num":1,"token_num":2}] x)",
                           R"([{"vit_num":1,"token_num":2}][])",
                           R"([{"vit_num":1,"token_num":2},{"vit_num":1,"token_num":2})",
                           R"([{"vit_num":1,"token_num":2.5}])",
                           R"([{"vit_num":1,"token_num":-2}])",
                           R"([{"vit_num":1,"token_num":02}])",
                           R"([{"vit_num":1,"token_num":2e3}])",
                           R"([{"vit_num":1,"token_num":1234567890123456789}])",
                           R"([{"vit_num":1,"token_num":2},{"vit_num":1,"token_num":2.5}])",
                           R"([{"vit_num":1,"token_num":2},{"vit_num":1,"token_num":02}])",
                           R"([{"vit_num":1,"token_num":2},{"vit_num":1,"token_num":}])",
                           R"([{"vit_num":1,"vit_num":1,"token_num":2}])",
                           R"([{"vit_num":1,"token_num":2},{"token_num":1,"vit_num":2}])",
                           R"([{"vit_num":1,"token_num":2} {"vit_num":1,"token_num":2}])",
                           R"([{"vit_num":1,"token_num":2,"note":"x"}])"}) {
    INFO(text);
    CHECK_FALSE(take_uniform(json_kind::list, text));
  }
  CHECK_FALSE(
      take_uniform(json_kind::lines, R"({"vit_num":1,"token_num":2}{"vit_num":1,"token_num":2})"));
  CHECK_FALSE(take_uniform(json_kind::lines,
                           "{\"vit_num\":1,\"token_num\":2},\n{\"vit_num\":1,\"token_num\":2}"));
}

TEST_CASE("all readers agree on tables of any layout") {
  for (const char* text :
       {R"([{"vit_num":1,"token_num":2},{"token_num":3,"vit_num":4}])",
        R"([{"id":"a","vit_num":1,"token_num":2,"more":{"deep":[1,[2,{}],null,true,1e5]}}])",
        R"([{"vit_\u006eum":1,"token_num":2}])",
        R"([{"vit_num":1,"token_num":9223372036854775807}])",
        R"([{"id":123456789012345678901234567890,"vit_num":1,"token_num":2}])",
        R"([{"note":"}],[{\"","vit_num":1,"token_num":2}])", "[]", " [ ] "}) {
    INFO(text);
    CHECK(take_any(json_kind::list, text).has_value());
    check_agreement(json_kind::list, text);
  }
}

namespace {

/// The text with up to three bytes changed, put in or taken out.
std::string damaged(std::string text, random_stream& random) {
  constexpr std::string_view bytes = "[]{}:,\"\\ \n0159-.eEtfnull\x01\xFF\xC3\xA9";
  const auto below = [&](std::size_t count) {
    return uniform_below(random, static_cast<std::uint32_t>(count));
  };
  for (std::uint32_t change = below(3); change < 3; ++change) {
    const std::size_t place = below(text.size());
    const char byte = bytes[below(bytes.size())];
    switch (below(3)) {
      case 0: text[place] = byte; break;
      case 1: text.insert(place, 1, byte); break;
      default: text.erase(place, 1);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("all readers agree on damaged tables") {
  struct table {
    json_kind kind;
    std::string text;
  };
  const auto whole = GENERATE(values<table>(
      {{json_kind::list,
        "[{\"vit_num\": 1, \"token_num\": 358}, {\"vit_num\": 5, \"token_num\": 1341},\n"
        " {\"vit_num\": 3, \"token_num\": 70, \"more\": [null, {\"a\": \"b\\n\"}]}]\n"},
       {json_kind::list,
        "[\n{\"vit_num\":1,\"token_num\":358},\n{\"vit_num\":5,\"token_num\":1341},\n"
        "{\"vit_num\":3,\"token_num\":70}\n]\n"},
       {json_kind::lines,
        "{\"vit_num\":1,\"token_num\":358}\n{\"vit_num\":5,\"token_num\":1341}\n"
        "{\"vit_num\":3,\"token_num\":70}\n"}}));
  for (std::size_t length = 0; length < whole.text.size(); ++length)
    check_agreement(whole.kind, whole.text.substr(0, length));
  random_stream random(1);
  for (int round = 0; round < 3000; ++round)
    check_agreement(whole.kind, damaged(whole.text, random));
}

TEST_CASE("values nested deeper than any stack are passed over, or refused, like others") {
  for (const std::size_t depth : {99U, 100U, 101U, 5000U}) {
    for (const auto& [open, close] : {std::pair{"[", "]"}, std::pair{"{\"a\":", "}"}}) {
      std::string nested = "1";
      for (std::size_t k = 0; k < depth; ++k) nested = open + nested + close;
      const std::string before = R"([{"vit_num":1,"more":)" + nested;
      check_agreement(json_kind::list, before + R"(,"token_num":2}])");
      CHECK(take_any(json_kind::list, before + R"(,"token_num":2}])").has_value());
      CHECK_FALSE(take_any(json_kind::list, before + R"(],"token_num":2}])"));
    }
    const std::string lists(depth, '[');
    CHECK_FALSE(take_any(json_kind::list, R"([{"vit_num":1,"token_num":2,"more":)" + lists + "tru" +
                                              std::string(depth, ']') + "}]"));
  }
}

TEST_CASE("of two faults the first is reported") {
  const auto lines = [](const char* text) { return why_refused(json_kind::lines, text); };
  CHECK_THAT(lines("{\"vit_num\":1,\"token_num\":-2}\n{\"vit_num\":1,\n"),
             ContainsSubstring("t.json:1: token_num[0] = -2: must not be negative"));
  CHECK_THAT(lines("{\"vit_num\":1,\n{\"vit_num\":1,\"token_num\":-2}\n"),
             ContainsSubstring("t.json:1: record[0] = {\"vit_num\":1,: is not JSON"));
}

TEST_CASE("what is wrong with a JSON table is reported with line, record, field and value") {
  const auto list = [](const char* text) { return why_refused(json_kind::list, text); };
  CHECK(list("[{\"vit_num\":1,\"token_num\":2},\n {\"vit_num\":1,\n  \"token_num\":-5}]") ==
        "t.json:3: token_num[1] = -5: must not be negative");
  CHECK(list("[{\"vit_num\":1,\"token_num\":2.5}]") ==
        "t.json:1: token_num[0] = 2.5: must be an integer from 0 to 9223372036854775807");
  CHECK_THAT(list("[{\"vit_num\":1,\"token_num\":9223372036854775808}]"),
             ContainsSubstring("token_num[0] = 9223372036854775808: must be an integer"));
  CHECK_THAT(list("[{\"vit_num\":1,\"token_num\":1e3}]"), ContainsSubstring("token_num[0] = 1e3"));
  CHECK(list("[{\"vit_num\":1,\"token_num\":2},\n{\"vit_num\":1}]") ==
        "t.json:2: record[1] = {\"vit_num\":1}]: lacks token_num");
  CHECK_THAT(
      list("[{\"vit_num\":1,\"token_num\":\"2\"}]"),
      ContainsSubstring("record[0] = {\"vit_num\":1,\"token_num\":\"2\"}]: must hold an integer "
                        "as token_num"));
  CHECK_THAT(list("[{\"vit_num\":1,\"token_num\":[2]}]"),
             ContainsSubstring("must hold an integer"));
  CHECK_THAT(list("[{\"vit_num\":1,\"vit_num\":2,\"token_num\":2}]"),
             ContainsSubstring("gives vit_num twice"));
  CHECK_THAT(list("[{\"vit_num\":1,\"token_num\":2},[1,2]]"),
             ContainsSubstring("record[1] = [1,2]]: must be an object"));
  CHECK_THAT(list("[1]"), ContainsSubstring("record[0]"));
  CHECK_THAT(list("{\"vit_num\":1,\"token_num\":2}"),
             ContainsSubstring("must be a list of objects"));
  CHECK_THAT(list("7"), ContainsSubstring("must be a list of objects"));
  CHECK_THAT(list("[{\"vit_num\":1,\"token_"),
             ContainsSubstring("t.json:1: record[0] = {\"vit_num\":1,\"token_: is not JSON"));
  CHECK_THAT(list("[{\"vit_num\":1,\"token_num\":2}]\n]"),
             ContainsSubstring("t.json:2: record[1]"));
  CHECK_THAT(why_refused(json_kind::lines, "{\"vit_num\":1,\"token_num\":2}\n\n{\"vit_num\":1,"),
             ContainsSubstring("t.json:3: record[1] = {\"vit_num\":1,: is not JSON"));
  CHECK_THAT(why_refused(json_kind::lines, "[1]\n"), ContainsSubstring("must be an object"));
  CHECK_THAT(
      why_refused(json_kind::lines, "{\"vit_num\":1,\"token_num\":2},\n"),
      ContainsSubstring("t.json:1: record[1] = {\"vit_num\":1,\"token_num\":2},: is not JSON"));
}
