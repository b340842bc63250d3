// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <omnibal/comm/meeting_file.hpp>
#include <omnibal/core/error.hpp>

#include "../catch.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

/// A folder that is removed with all that is in it.
class test_folder {
 public:
  test_folder() { std::filesystem::create_directories(path_); }
  ~test_folder() { std::filesystem::remove_all(path_); }
  test_folder(const test_folder&) = delete;
  test_folder& operator=(const test_folder&) = delete;

  [[nodiscard]] std::filesystem::path file() const { return path_ / "id"; }
  [[nodiscard]] bool is_empty() const { return std::filesystem::is_empty(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

 private:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                ("omnibal_meeting_test_" + std::to_string(::getpid()));
};

/// What each rank got, or the text of its error. Ranks start one after the other.
std::vector<std::string> met(const test_folder& folder, std::size_t ranks,
                             const std::vector<std::size_t>& order, const std::string& made,
                             std::chrono::milliseconds deadline = std::chrono::seconds(60)) {
  std::vector<std::string> got(ranks);
  std::vector<std::thread> threads;
  for (const std::size_t rank : order) {
    threads.emplace_back([&, rank] {
      try {
        got[rank] = meet_by_file({.file = folder.file(),
                                  .rank = rank,
                                  .ranks = ranks,
                                  .deadline = deadline,
                                  .named = "ID_FILE"},
                                 [&] { return made; });
      } catch (const std::exception& error) {
        got[rank] = error.what();
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  for (std::thread& each : threads) each.join();
  return got;
}

}  // namespace

TEST_CASE("processes get what the first makes, in whatever order they come, and leave no file") {
  const test_folder folder;
  const std::string made("an id\n\0with any bytes\n", 22);
  CHECK(met(folder, 1, {0}, made) == std::vector<std::string>(1, made));
  CHECK(met(folder, 2, {0, 1}, made) == std::vector<std::string>(2, made));
  CHECK(met(folder, 4, {2, 0, 3, 1}, made) == std::vector<std::string>(4, made));
  CHECK(folder.is_empty());
}

TEST_CASE("a file and tickets of an earlier run are not taken for those of this one") {
  const test_folder folder;
  folder.write("id", "omnibal meeting of 3\n11\n22\nan old id");
  folder.write("id.1", "11");
  folder.write("id.2", "22");
  // Rank 1 comes first, as where the old file would be read at once; rank 2 last, when rank 0 has
  // read its old ticket.
  CHECK(met(folder, 3, {1, 0, 2}, "new") == std::vector<std::string>(3, "new"));
  CHECK(folder.is_empty());
  folder.write("id", "an old id without a header");
  CHECK(met(folder, 2, {1, 0}, "new") == std::vector<std::string>(2, "new"));
  folder.write("id", "omnibal meeting of 5\n1\n2\n3\n4\nan old id of more ranks");
  CHECK(met(folder, 2, {1, 0}, "new") == std::vector<std::string>(2, "new"));
}

TEST_CASE("who does not come is named, with what to do") {
  const test_folder folder;
  const auto deadline = std::chrono::milliseconds(200);
  // Rank 2 has come; of several ranks at once each could miss the deadline of another one.
  folder.write("id.2", "22");
  const std::string first = met(folder, 4, {0}, "id", deadline)[0];
  CHECK_THAT(first, ContainsSubstring("ranks did not come: 1, 3 within 200 ms: start 4 processes, "
                                      "each with a rank of its own and the same ID_FILE"));
  CHECK_THAT(first, EndsWith("which is " + folder.file().string() + " here"));
  CHECK_THAT(met(folder, 4, {2}, "id", deadline)[2],
             ContainsSubstring("rank 0 did not come within 200 ms"));
  CHECK(folder.is_empty());
  // An old ticket stands for a rank until it does not take the file.
  folder.write("id.1", "11");
  CHECK_THAT(met(folder, 2, {0}, "id", deadline)[0],
             ContainsSubstring("not all ranks have taken " + folder.file().string()));
}

TEST_CASE("a folder that cannot be written is refused by its name") {
  const test_folder folder;
  const std::filesystem::path file = folder.file() / "no folder" / "id";
  const auto refusal = [&](std::size_t rank) {
    try {
      return meet_by_file({.file = file, .rank = rank, .ranks = 2}, [] { return "id"; });
    } catch (const invalid_input& error) {
      return std::string(error.what());
    }
  };
  CHECK_THAT(refusal(1), StartsWith("file = " + file.string() +
                                    ".1: cannot be written: its folder must exist"));
}

TEST_CASE("a rank beyond the ranks and a negative deadline are refused") {
  CHECK_THROWS_WITH(meet_by_file({.file = "id", .rank = 2, .ranks = 2}, [] { return "id"; }),
                    StartsWith("rank = 2: must be below the number of ranks, 2"));
  CHECK_THROWS_WITH(
      meet_by_file({.file = "id", .deadline = std::chrono::milliseconds(-1)}, [] { return "id"; }),
      StartsWith("deadline = -1"));
}
