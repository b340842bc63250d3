// SPDX-License-Identifier: Apache-2.0
#include "files/given_files.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

#include "errors.hpp"
#include "files/files.hpp"

namespace omnibal::cli {
namespace {

/// What two names have in common where they are of one regular file: the file or, where there is
/// none yet, its folder and its name in there.
struct file_identity {
  dev_t device = 0;
  ino_t number = 0;
  std::string name = {};

  friend bool operator==(const file_identity&, const file_identity&) = default;
};

std::optional<file_identity> identity_of_file(const struct stat& about) {
  if (!S_ISREG(about.st_mode)) return std::nullopt;
  return file_identity{about.st_dev, about.st_ino};
}

std::optional<file_identity> identity_of_descriptor(int descriptor) {
  struct stat about {};
  return ::fstat(descriptor, &about) == 0 ? identity_of_file(about) : std::nullopt;
}

/// Nothing for what does not exist, which reading reports.
std::optional<file_identity> identity_of_input(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 ? identity_of_file(about) : std::nullopt;
}

/// Nothing for what is no regular file, nor could become one.
std::optional<file_identity> identity_of_output(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0) return identity_of_file(about);
  const std::filesystem::path target = final_path(path);
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  if (::stat(folder.c_str(), &about) != 0) return std::nullopt;
  return file_identity{about.st_dev, about.st_ino, target.filename().string()};
}

std::string words_of(const given_file& file) {
  return file.path.empty() ? file.option : file.option + " " + file.path;
}

bool is_standard(const given_file& file) { return file.path == standard_stream; }

void refuse_second(const std::vector<given_file>& files, const char* stream) {
  const auto first = std::ranges::find_if(files, is_standard);
  if (first == files.end()) return;
  const auto second = std::find_if(first + 1, files.end(), is_standard);
  if (second != files.end())
    throw usage_error(words_of(*first) + " and " + words_of(*second) + " are both " + stream +
                      ": only one can be");
}

}  // namespace

bool given_files::take_standard_output() const { return std::ranges::any_of(outputs, is_standard); }

void refuse_shared_files(const given_files& files) {
  refuse_second(files.inputs, "standard input");
  refuse_second(files.outputs, "standard output");
  struct known_file {
    std::string words;
    file_identity identity;
  };
  std::vector<known_file> known;
  const auto remember = [&](const std::string& words, const std::optional<file_identity>& one) {
    if (one) known.push_back({words, *one});
  };
  for (const given_file& input : files.inputs)
    remember("the input " + words_of(input), is_standard(input)
                                                 ? identity_of_descriptor(STDIN_FILENO)
                                                 : identity_of_input(input.path));
  if (!files.take_standard_output())
    remember("standard output, where the report goes", identity_of_descriptor(STDOUT_FILENO));
  for (const given_file& output : files.outputs) {
    const auto identity = is_standard(output) ? identity_of_descriptor(STDOUT_FILENO)
                                              : identity_of_output(output.path);
    for (const known_file& other : known)
      if (identity == other.identity)
        throw usage_error("the output " + words_of(output) + " is the same file as " + other.words +
                          ", which it would destroy");
    remember("the output " + words_of(output), identity);
  }
}

}  // namespace omnibal::cli
