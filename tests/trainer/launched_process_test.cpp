// SPDX-License-Identifier: Apache-2.0
#include "launched_process.hpp"

#include <map>
#include <string>

#include <omnibal/core/error.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::trainer;

namespace {

using variables = std::map<std::string, std::string>;

std::optional<launched_process> launched(const variables& given) {
  return launched_process_of([&](const char* name) -> const char* {
    const auto found = given.find(name);
    return found == given.end() ? nullptr : found->second.c_str();
  });
}

/// What is said of the variables, of which one is changed; "-" stands for one that is not there.
std::string refusal(const std::string& name, const std::string& value) {
  variables all = {
      {"RANK", "3"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "1"}, {"OMNIBAL_ID_FILE", "/tmp/id"}};
  all[name] = value;
  if (value == "-") all.erase(name);
  try {
    static_cast<void>(launched(all));
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("A process that no launcher has started is not one of several") {
  CHECK(!launched({}));
  CHECK(!launched({{"WORLD_SIZE", "2"}}));
}

TEST_CASE("A launched process has the numbers and the file of its variables") {
  const auto process = launched(
      {{"RANK", "3"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "1"}, {"OMNIBAL_ID_FILE", "/tmp/id"}});
  REQUIRE(process);
  CHECK(process->rank == 3);
  CHECK(process->ranks == 4);
  CHECK(process->local_rank == 1);
  CHECK(process->id_file == "/tmp/id");
}

TEST_CASE("Variables that are missing or wrong are refused by name") {
  CHECK(refusal("LOCAL_RANK", "1") == "");
  CHECK(refusal("WORLD_SIZE", "-") ==
        "WORLD_SIZE = not set: must be the number of all processes, since RANK is set");
  CHECK(refusal("LOCAL_RANK", "").find("LOCAL_RANK = not set") == 0);
  CHECK(refusal("LOCAL_RANK", "-1") ==
        "LOCAL_RANK = -1: must be the number of this process on its machine");
  CHECK(refusal("RANK", "3 ").find("RANK = 3 ") == 0);
  CHECK(refusal("RANK", "4") == "RANK = 4: must be less than WORLD_SIZE, 4");
  CHECK(refusal("OMNIBAL_ID_FILE", "-").find("OMNIBAL_ID_FILE = not set: must be a file") == 0);
}

TEST_CASE("Ranks of a machine need a GPU each") {
  CHECK_NOTHROW(require_gpus(2, 2));
  CHECK_THROWS_WITH(require_gpus(1, 2),
                    "GPUs = 1: must be at least the ranks of this machine, 2: with --ranks nccl "
                    "each has a GPU of its own");
}
