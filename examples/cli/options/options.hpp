// SPDX-License-Identifier: Apache-2.0
/// @file
/// Options of a sub-command by the kind of value they take (units.hpp). Only sources that add
/// options include this: the parser's header takes longer to compile than most of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "files/given_files.hpp"
#include "options/units.hpp"

namespace omnibal::cli {

/// Adds an option that takes an integer within a range.
CLI::Option* add_integer(CLI::App& application, const std::string& option, std::int64_t& target,
                         const std::string& description, integer_range range);
CLI::Option* add_integer(CLI::App& application, const std::string& option,
                         std::optional<std::int64_t>& target, const std::string& description,
                         integer_range range);

/// Adds an option that names a file to read.
CLI::Option* add_input_file(CLI::App& application, given_files& files, const std::string& option,
                            std::string& target, const std::string& description);

/// Adds an option that names a file to write.
CLI::Option* add_output_file(CLI::App& application, given_files& files, const std::string& option,
                             std::string& target, const std::string& description);

/// Adds an option that takes at least so many bytes, as parse_bytes() reads them.
CLI::Option* add_bytes(CLI::App& application, const std::string& option, std::int64_t& target,
                       const std::string& description, std::int64_t least = 0);

/// Adds an option that takes a finite number, not negative.
CLI::Option* add_number(CLI::App& application, const std::string& option, double& target,
                        const std::string& description);
CLI::Option* add_number(CLI::App& application, const std::string& option,
                        std::optional<double>& target, const std::string& description);

/// Adds an option that takes a part of another amount, as parse_ratio() reads it.
CLI::Option* add_ratio(CLI::App& application, const std::string& option,
                       std::optional<double>& target, const std::string& description);

/// Adds an option that takes a share of a whole, as parse_share() reads it.
CLI::Option* add_share(CLI::App& application, const std::string& option, double& target,
                       const std::string& description);

/// Adds an option that takes a decimal number from 0 to 1.
CLI::Option* add_fraction(CLI::App& application, const std::string& option, fraction& target,
                          const std::string& description);

/// Adds an option that takes one of a few words, each standing for a value.
template <typename Value>
CLI::Option* add_choice(CLI::App& application, const std::string& option, Value& target,
                        const std::string& description,
                        std::vector<std::pair<std::string, Value>> choices) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) names.push_back(name);
  const auto take = [option, names, choices, &target](const std::string& text) {
    for (const auto& [name, value] : choices)
      if (name == text) {
        target = value;
        return;
      }
    throw_not_among(option, text, names);
  };
  return application.add_option_function<std::string>(option, take, description)
      ->type_name(CLI::detail::join(names, "|"));
}

}  // namespace omnibal::cli
