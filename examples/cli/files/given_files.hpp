// SPDX-License-Identifier: Apache-2.0
/// @file
/// The files that a command line names. No output may destroy an input or another output.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace omnibal::cli {

/// As an input standard input, as an output standard output.
inline constexpr std::string_view standard_stream = "-";

/// A file and the option that names it.
struct given_file {
  std::string option = {};
  std::string path = {};
};

struct given_files {
  std::vector<given_file> inputs = {};
  std::vector<given_file> outputs = {};

  /// Whether an output takes the place of the report on standard output.
  [[nodiscard]] bool take_standard_output() const;
};

/// Throws usage_error where standard input is read twice, and where an output is an input, another
/// output or standard output: the same regular file, under whatever names, or the same name that is
/// no file yet. Pipes and devices may be given as often as wanted.
void refuse_shared_files(const given_files& files);

}  // namespace omnibal::cli
