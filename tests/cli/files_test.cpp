// SPDX-License-Identifier: Apache-2.0
#include "files/files.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "files/json.hpp"
#include "options/one_line.hpp"

using namespace omnibal;
using namespace omnibal::cli;
namespace fs = std::filesystem;

namespace {

/// An empty folder that goes with the test.
class scratch_folder {
 public:
  scratch_folder() {
    std::string name = (fs::temp_directory_path() / "omnibal-files-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder() { fs::remove_all(path_); }

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] auto entries() const {
    return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
  }

 private:
  fs::path path_;
};

std::string content(const std::string& path) {
  return std::string(file_bytes("--in", path).view());
}

}  // namespace

TEST_CASE("A written file is alone in its folder, whatever a killed run left") {
  const scratch_folder folder;
  const std::string out = folder / "packs.json";
  const std::string stale = out + ".part-" + std::to_string(::getpid());
  std::ofstream(stale) << "half";
  write_file(out, "whole");
  write_file(out, "again");
  CHECK(content(out) == "again");
  CHECK(content(stale) == "half");
  CHECK(folder.entries() == 2);
}

TEST_CASE("A replaced file keeps its permissions, a symbolic link its target") {
  const scratch_folder folder;
  const std::string out = folder / "plan.json";
  std::ofstream(out) << "old";
  REQUIRE(::chmod(out.c_str(), 0640) == 0);
  fs::create_symlink("plan.json", folder / "link");
  write_file(folder / "link", "new");
  CHECK(content(out) == "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(fs::status(out).permissions() == static_cast<fs::perms>(0640));
}

TEST_CASE("A symbolic link to nothing yet leads to the new file, a circle of links nowhere") {
  const scratch_folder folder;
  fs::create_symlink("target.json", folder / "dangling");
  write_file(folder / "dangling", "bytes");
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(content(folder / "target.json") == "bytes");
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  CHECK_THROWS_AS(write_file(folder / "a", "bytes"), unwritable_output);
}

TEST_CASE("The longest name that a folder takes can be written") {
  const scratch_folder folder;
  const std::string out = folder / std::string(255, 'n');
  write_file(out, "bytes");
  CHECK(content(out) == "bytes");
}

TEST_CASE("JSON nested too deeply is refused while it is read") {
  const scratch_folder folder;
  const std::string path = folder / "deep.json";
  for (const char* const bracket : {"[", "{\"a\":"}) {
    std::ofstream file(path);
    for (int k = 0; k < 130'000; ++k) file << bracket;
    file.close();
    CHECK_THROWS_WITH(read_json_file("--problem", path),
                      Catch::Matchers::ContainsSubstring("nested more than 64 deep"));
  }
  std::ofstream(path) << std::string(64, '[') + std::string(64, ']');
  CHECK_NOTHROW(read_json_file("--problem", path));
  CHECK_THROWS_WITH(read_json_object("--problem", path),
                    Catch::Matchers::ContainsSubstring("must hold one JSON object"));
}

TEST_CASE("JSON is read in time that grows with its length, and errors name line and key") {
  std::string text = "[";
  for (int k = 0; k < 300'000; ++k) text += R"({"a":[1,-2,3.5],"b":null},)";
  const std::clock_t start = std::clock();
  const json value = parse_json("--measured", "long.json", text + "{}]");
  CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC <
        20);  // It takes half a second.
  CHECK(value.size() == 300'001);
  CHECK(value[7] == json{{"a", {1, -2, 3.5}}, {"b", nullptr}});
  CHECK(value.back() == json::object());

  const auto refused = [](const char* bytes, const char* says) {
    CHECK_THROWS_WITH(parse_json("--problem", "p.json", bytes),
                      Catch::Matchers::ContainsSubstring(says));
  };
  refused("{\"a\":1,\n\"b\":tru}", "--problem = p.json: is not JSON: line 2");
  refused(R"({"a":1,"b":{"a":2},"a":3})", "p.json: key = a: is given twice");
  refused("[1e999]", "is not JSON");
  refused("[1] 2", "is not JSON: line 1");
  refused("", "is not JSON");
  CHECK(parse_json("--problem", "p.json", "true") == json(true));
  CHECK(parse_json("--problem", "p.json", R"({"a":{"a":"x"}})") == json{{"a", {{"a", "x"}}}});
}

TEST_CASE("Texts for terminals have no control characters and are UTF-8") {
  CHECK(one_line("a\n\x1b[2J\x7F \xC3\xA9") == "a\\x0a\\x1b[2J\\x7f \xC3\xA9");
  CHECK(printable("a\n\tb") == "a\n\\x09b");
  CHECK(one_line("\xC2\x9B") == "\\xc2\\x9b");  // CSI as one character
  CHECK(one_line("\xC0\x80\xED\xA0\x80") == "\\xc0\\x80\\xed\\xa0\\x80");
}

TEST_CASE("Shortened texts keep their characters whole") {
  CHECK(shortened("short", 5) == "short");
  CHECK(shortened("longer", 5) == "lo...");
  CHECK(shortened("a\xC3\xA9\xC3\xA9\xC3\xA9", 5) == "a...");
}
