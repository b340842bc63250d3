// SPDX-License-Identifier: Apache-2.0
/// @file
/// Golden hashes of what library calls answer. A result is hashed by omnibal::plan_hash over its
/// fields; a table names each hash and holds the recorded value.
///
/// The rule is that of golden.py: answers change on purpose or not at all. With
/// OMNIBAL_PRINT_GOLDEN set the test prints its tables on standard error as the sources have them,
/// and
///
///     python3 tests/golden/record_hashes.py build/test/tests/golden_*_golden_test
///
/// writes them there. The commit that does so names the change in its message.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <omnibal/core/hash.hpp>

#include "catch.hpp"

namespace omnibal::test {

[[nodiscard]] inline std::string hexadecimal(std::uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(number));
  return text;
}

/// A number as text of six digits: the last ones belong to the compiler.
[[nodiscard]] inline std::string digits(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", std::abs(number) < 1e-9 ? 0.0 : number);
  return text;
}

/// The hash that `hash` gives of each element of a range.
template <typename Range, typename Hash>
[[nodiscard]] std::vector<std::uint64_t> each(const Range& range, const Hash& hash) {
  std::vector<std::uint64_t> hashes;
  for (const auto& one : range) hashes.push_back(hash(one));
  return hashes;
}

/// The hashes that a test case finds, by name.
class golden_hashes {
 public:
  void add(const std::string& name, std::uint64_t hash) {
    INFO(name);
    CHECK(found_.emplace(name, hash).second);
  }

  /// Compares with the table of the case.
  void expect(const std::map<std::string, std::uint64_t>& recorded) const {
    for (const auto& [name, hash] : found_) {
      INFO(name);
      const auto known = recorded.find(name);
      const std::string then =
          known == recorded.end() ? "not recorded" : hexadecimal(known->second);
      CHECK(hexadecimal(hash) == then);
    }
    for (const auto& [name, hash] : recorded) {
      INFO(name);
      CHECK(found_.contains(name));
    }
    if (std::getenv("OMNIBAL_PRINT_GOLDEN") != nullptr) print();
  }

 private:
  void print() const {
    std::cerr << "// " << Catch::getResultCapture().getCurrentTestName() << "\n";
    std::cerr << "  golden.expect({\n";
    for (const auto& [name, hash] : found_)
      std::cerr << "      {\"" << name << "\", " << hexadecimal(hash) << "},\n";
    std::cerr << "  });\n";
  }

  std::map<std::string, std::uint64_t> found_;
};

}  // namespace omnibal::test
