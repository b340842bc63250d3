// SPDX-License-Identifier: Apache-2.0
// omnibal-indices CASES.json: prints what the library gives for each case of the file.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>

#include "operations.hpp"

namespace {

int run(const char* path) {
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "omnibal-indices: cannot read %s\n", path);
    return 1;
  }
  const auto cases = omnibal::examples::json::parse(file);
  std::cout << omnibal::examples::answer_cases(cases).dump() << '\n' << std::flush;
  return std::cout ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2 || std::string(arguments[1]) == "--help") {
    std::puts(
        "usage: omnibal-indices CASES.json\n"
        "Prints {\"operation\", \"cases\": [{\"name\", \"out\"}]} for a file of cases of one\n"
        "operation on packed batches; docs/device-indices.md describes both.");
    return count == 2 ? 0 : 2;
  }
  try {
    return run(arguments[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "omnibal-indices: %s: %s\n", arguments[1], error.what());
    return 1;
  }
}
