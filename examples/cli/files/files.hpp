// SPDX-License-Identifier: Apache-2.0
/// @file
/// Input and output files: inputs are read once and whole, outputs appear whole or not at all.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace omnibal::cli {

/// The bytes of a file, read whole. Vectorised parsers read past the end, so `padding` unused
/// bytes follow.
class file_bytes {
 public:
  static constexpr std::size_t padding = 64;

  /// `source` is the option that named the file, such as `--lengths`; the file `-` is standard
  /// input, which can be read once. Throws invalid_input naming
  /// both when the file cannot be read.
  file_bytes(std::string_view source, const std::string& path);

  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }

 private:
  struct release {
    void operator()(char* bytes) const noexcept { std::free(bytes); }
  };
  using buffer = std::unique_ptr<char, release>;

  /// Reserves this many bytes and the padding.
  static buffer allocate(std::size_t size);

  buffer bytes_;
  std::size_t size_ = 0;
};

/// The SHA-256 of bytes as 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256(std::string_view bytes);

/// The path behind symbolic links, also where nothing is there yet, so that renaming replaces the
/// file and not a link to it. Throws unwritable_output where links lead round in a circle.
[[nodiscard]] std::string final_path(const std::string& path);

/// Throws unwritable_output, before a long search rather than after it, when the folder of `path`
/// is missing or may not be written. An empty path is no output and never fails.
void expect_writable(const std::string& path);

/// Writes bytes beside `path` and renames them into place, so that `path` holds either what it
/// held before or all of them; a file that is replaced keeps its permissions and owner, a symbolic
/// link its target. What is no regular file is written directly, and `-` is standard output. Throws
/// unwritable_output.
void write_file(const std::string& path, std::string_view bytes);

/// Removes the temporary files of outputs that are being written, and ends the process. For a
/// thread that waits for signals.
[[noreturn]] void abandon_outputs(int status) noexcept;

/// Writes bytes to standard output. Throws unwritable_output.
void write_standard_output(std::string_view bytes);

/// Writes bytes to standard error. Throws unwritable_output.
void write_standard_error(std::string_view bytes);

}  // namespace omnibal::cli
