// SPDX-License-Identifier: Apache-2.0
#include "files/packs_file.hpp"

#include <cstdio>
#include <filesystem>
#include <string>

#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "files/files.hpp"

using namespace omnibal;
using namespace omnibal::cli;
using Catch::Matchers::ContainsSubstring;

namespace {

length_tables some_tables() {
  return {.resources = {"images", "tokens"},
          .samples = std::vector<loads<2>>{{1, 10}, {2, 20}, {3, 30}, {4, 40}, {5, 50}},
          .inputs = {{"a.json", 3, "aa"}, {"b.json", 2, "bb"}}};
}

packs_file some_packs() {
  const length_tables tables = some_tables();
  return {.inputs = tables.inputs,
          .resources = tables.resources,
          .capacity = {9, 90},
          .packs = {{0, 2, 3, 5}, {4, 0, 2, 1, 3}},
          .plan = {.ranks = 2, .groups = {{0, 1, 2, 3, 4}, {2, 0, 1, 0}}, .mask = {1, 1, 1, 0}}};
}

/// A file of its own for each test case, gone at its end.
class scratch_file {
 public:
  explicit scratch_file(const std::string& bytes) { write_file(path_, bytes); }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;
  ~scratch_file() { std::filesystem::remove(path_); }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  static std::string unique_path() {
    std::string name = (std::filesystem::temp_directory_path() / "omnibal-packs-XXXXXX").string();
    const int file = ::mkstemp(name.data());
    REQUIRE(file >= 0);
    ::close(file);
    return name;
  }

  std::string path_ = unique_path();
};

packs_file read_back(const std::string& bytes, const length_tables& tables) {
  return read_packs_file(scratch_file(bytes).path(), tables);
}

std::string why_refused(const std::string& bytes, const length_tables& tables = some_tables()) {
  try {
    (void)read_back(bytes, tables);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "taken";
}

/// The file with one part of its text changed.
std::string altered(const std::string& from, const std::string& to) {
  std::string text = to_text(some_packs());
  const std::size_t place = text.find(from);
  REQUIRE(place != std::string::npos);
  return text.replace(place, from.size(), to);
}

}  // namespace

TEST_CASE("packs come back as they were written") {
  CHECK(read_back(to_text(some_packs()), some_tables()) == some_packs());
}

TEST_CASE("groups of packs come back as they were written") {
  packs_file file = some_packs();
  file.groups = {{0, 2, 3}, {2, 0, 1}};
  file.plan = {.ranks = 2, .groups = {{0, 1, 2, 3, 3}, {0, 1, 0}}, .mask = {1, 1, 0}};
  const std::string text = to_text(file);
  CHECK_THAT(text, ContainsSubstring("\"steps\":[[[2,0],[1]],\n[[2,0],[]]],\n"
                                     "\"group_sizes\":[[[2],[1]],\n[[2],[]]],\n"
                                     "\"dropped\":[],\n"
                                     "\"mask\":[[[1,1],[1]],\n[[0,0],[]]]}"));
  CHECK(read_back(text, some_tables()) == file);
  const auto refused = [&](std::string from, const std::string& to) {
    std::string changed = text;
    return why_refused(changed.replace(changed.find(from), from.size(), to));
  };
  CHECK_THAT(refused("[[0,0],[]]", "[[0,1],[]]"), ContainsSubstring("two places"));
  CHECK_THAT(refused("[[2],[]]],\n\"d", "[[1,1],[]]],\n\"d"),
             ContainsSubstring("not as one group"));
}

TEST_CASE("the bytes of a packs file are pinned") {
  CHECK(to_text(some_packs()) ==
        "{\"version\":\"0.1.0\",\n"
        "\"inputs\":[{\"name\":\"a.json\",\"samples\":3,\"sha256\":\"aa\"},"
        "{\"name\":\"b.json\",\"samples\":2,\"sha256\":\"bb\"}],\n"
        "\"capacity\":{\"images\":9,\"tokens\":90},\n"
        "\"offsets\":[0,2,3,5],\n"
        "\"indices\":[4,0,2,1,3],\n"
        "\"steps\":[[[2],[0]],\n[[1],[0]]],\n"
        "\"dropped\":[],\n"
        "\"mask\":[[[1],[1]],\n[[1],[0]]]}\n");
}

TEST_CASE("packs made from other tables are refused, and the table is named") {
  length_tables tables = some_tables();
  tables.inputs[1].sha256 = "cc";
  CHECK_THAT(why_refused(to_text(some_packs()), tables),
             ContainsSubstring("inputs = b.json: had other bytes than b.json has"));
  tables = some_tables();
  tables.inputs.push_back({"c.json", 1, "cc"});
  CHECK_THAT(why_refused(to_text(some_packs()), tables),
             ContainsSubstring("inputs = c.json: is a table"));
  tables = some_tables();
  tables.inputs.pop_back();
  CHECK_THAT(why_refused(to_text(some_packs()), tables),
             ContainsSubstring("give it with --lengths"));
  tables = some_tables();
  tables.inputs[0].name = "moved/a.json";
  CHECK(why_refused(to_text(some_packs()), tables) == "taken");
}

TEST_CASE("broken packs files are refused") {
  CHECK_THAT(why_refused("{"), ContainsSubstring("is not JSON"));
  CHECK_THAT(why_refused("[]"), ContainsSubstring("must hold one JSON object, and holds array"));
  CHECK_THAT(why_refused(altered("\"offsets\":[0,2,3,5],\n", "")),
             ContainsSubstring("offsets = nothing: is missing"));
  CHECK_THAT(why_refused(altered("[0,2,3,5]", "[0,3,2,5]")), ContainsSubstring("offsets[2] = 2"));
  CHECK_THAT(why_refused(altered("[0,2,3,5]", "[0,2,3,6]")), ContainsSubstring("offsets[3] = 6"));
  CHECK_THAT(why_refused(altered("[4,0,2,1,3]", "[5,0,2,1,3]")),
             ContainsSubstring("indices[0] = 5"));
  CHECK_THAT(why_refused(altered("[4,0,2,1,3]", "[-1,0,2,1,3]")),
             ContainsSubstring("indices[0] = -1"));
  CHECK_THAT(why_refused(altered("[4,0,2,1,3]", "[4,0,2,9,3]")),
             ContainsSubstring("indices[3] = 9"));
  CHECK_THAT(why_refused(altered("[0,2,3,5]", "[0,2.5,3,5]")),
             ContainsSubstring("offsets[1] = 2.5"));
  CHECK_THAT(why_refused(altered("[[2],[0]]", "[[2],[7]]")),
             ContainsSubstring("steps[0][1][0] = 7"));
  CHECK_THAT(why_refused(altered("\"tokens\":90", "\"tokens\":-90")),
             ContainsSubstring("capacity.tokens = -90: must be an integer"));
  CHECK_THAT(why_refused(altered("[[2],[0]]", "[[2],[1]]")), ContainsSubstring("in two places"));
  CHECK_THAT(why_refused(altered("[[2],[0]]", "[[2],[]]")), ContainsSubstring("mask = 4"));
  CHECK_THAT(why_refused(altered("[[1],[1]]", "[[1],[0]]")),
             ContainsSubstring("steps = 0: is a pack in no place"));
  CHECK_THAT(why_refused(altered("[[2],[0]]", "[[2,0]]")),
             ContainsSubstring("a list for each rank"));
  CHECK_THAT(why_refused(altered("\"tokens\":90", "\"frames\":90")),
             ContainsSubstring("capacity.tokens = nothing"));
  CHECK_THAT(why_refused(altered("[]", "[0]")), ContainsSubstring("in two places"));
  CHECK_THAT(why_refused(altered("[0,2,3,5]", "7")), ContainsSubstring("must be of type array"));
}
