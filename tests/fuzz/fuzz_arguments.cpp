// SPDX-License-Identifier: Apache-2.0
// Whatever is written on the command line, the command takes it or refuses it by an error of its
// own: the lines of the input are its arguments. Nothing is run.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <omnibal/core/error.hpp>

#include "commands/commands.hpp"
#include "errors.hpp"

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
  } catch (const usage_error&) {
  } catch (const CLI::Error&) {
  }
}

void parse_command(const std::vector<std::string>& arguments) {
  CLI::App application("", "omnibal");
  application.require_subcommand(1);
  command_context context;
  for (const auto add : {add_pack, add_generate, add_partition, add_recompute, add_rebalance,
                         add_simulate, add_plan})
    add(application, context);
  application.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  survive([&] { parse_command(lines_of(data, size)); });
  return 0;
}
