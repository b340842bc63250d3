// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes are, a reader either takes them or throws invalid_input.
#include "tables/table_formats.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>

#include "catch.hpp"
#include "tables/table_writer.hpp"

using namespace omnibal;
using namespace omnibal::cli;

namespace {

const std::vector<resource_column> by_name = {{"images", "vit_num"}, {"tokens", "token_num"}};
const std::vector<resource_column> by_number = {{"images", "1"}, {"tokens", "0"}};
const integer_table example = {{"vit_num", "token_num"}, {1, 358, 5, 1341, 0, 7}};

/// Reads a text in a buffer of exactly its size, so that a sanitizer sees every byte read beyond.
template <typename Reader>
load_table<2> read(const Reader& reader, std::string_view text,
                   const std::vector<resource_column>& resources = by_name) {
  const std::vector<char> exact(text.begin(), text.end());
  load_table<2> samples;
  reader(table_text{"t", {exact.data(), exact.size()}, resources}, samples);
  return samples;
}

template <typename Reader>
void check_survival(const Reader& reader, const std::string& text) {
  try {
    (void)read(reader, text);
    (void)read(reader, text, by_number);
  } catch (const invalid_input& error) {
    CHECK(std::string_view(error.what()).starts_with("t"));
  }
}

template <typename Reader>
void check_survival_of_damage(const Reader& reader, const std::string& whole) {
  for (std::size_t length = 0; length < whole.size(); ++length)
    check_survival(reader, whole.substr(0, length));
  random_stream random(2);
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = whole;
    const auto size = static_cast<std::uint32_t>(whole.size());
    for (std::uint32_t change = uniform_below(random, 3); change < 3; ++change)
      damaged[uniform_below(random, size)] = static_cast<char>(uniform_below(random, 256));
    check_survival(reader, damaged);
  }
}

}  // namespace

TEST_CASE("CSV and NumPy tables come back as they were written") {
  const load_table<2> expected = {{1, 358}, {5, 1341}, {0, 7}};
  CHECK(read(append_csv<2>, table_bytes(example, "t.csv")) == expected);
  CHECK(read(append_npy<2>, table_bytes(example, "t.npy")) == expected);
  CHECK(read(append_npy<2>, table_bytes(example, "t.npy"), by_number) ==
        load_table<2>{{358, 1}, {1341, 5}, {7, 0}});
}

TEST_CASE("damaged CSV tables do no damage") {
  check_survival_of_damage(append_csv<2>, table_bytes(example, "t.csv"));
  check_survival_of_damage(append_csv<2>, "\"vit_num\",id,token_num\r\n1,\"a,\"\"b\n\",2\r\n");
}

TEST_CASE("damaged NumPy tables do no damage") {
  check_survival_of_damage(append_npy<2>, table_bytes(example, "t.npy"));
}

TEST_CASE("an excerpt is short, printable and never empty") {
  CHECK(excerpt("") == "nothing");
  CHECK(excerpt("abc") == "abc");
  CHECK(excerpt(std::string(100, 'a')) == std::string(40, 'a') + "...");
  CHECK(excerpt(std::string_view("a\0b\n\xFF\xC3\xA9", 7)) == "a\\x00b\\x0a\\xff\xC3\xA9");
}
