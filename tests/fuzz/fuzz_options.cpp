// SPDX-License-Identifier: Apache-2.0
// Whatever is written for a value, it is taken or refused by an error of its own: the lines of the
// input are values of options.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>

#include "options/units.hpp"

using namespace omnibal;
using namespace omnibal::cli;

namespace {

std::vector<std::string> lines_of(const std::uint8_t* data, std::size_t size) {
  std::istringstream text(std::string(data, data + size));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

template <typename Parse>
void survive(const Parse& parse) {
  try {
    parse();
  } catch (const invalid_input&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::string> arguments = lines_of(data, size);
  const std::vector<std::string> resources = {"images", "tokens"};
  for (const std::string& text : arguments) {
    survive([&] { (void)parse_integer("-i", text, {}); });
    survive([&] { (void)parse_fraction("-f", text); });
    survive([&] { (void)parse_number("-n", text); });
    survive([&] { (void)parse_bytes("-b", text); });
    survive([&] { (void)parse_amounts("-a", text, resources, {}); });
  }
  return 0;
}
