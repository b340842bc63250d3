// SPDX-License-Identifier: Apache-2.0
#include "files/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omnibal/core/error.hpp>

#include "errors.hpp"

namespace omnibal::cli {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

/// A file descriptor that closes itself.
class descriptor {
 public:
  explicit descriptor(int number) noexcept : number_(number) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  [[nodiscard]] int get() const noexcept { return number_; }

  /// Closes now: some write errors are reported only by closing. Returns 0 or an error number.
  int close() noexcept { return ::close(std::exchange(number_, -1)) == 0 ? 0 : errno; }

 private:
  int number_;
};

/// Reads up to `size` bytes, fewer only at the end of the file. Returns how many.
std::size_t read_all(int file, char* bytes, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file, bytes + done, size - done);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category());
    done += static_cast<std::size_t>(got);
  }
  return done;
}

/// Returns 0 or an error number.
int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// Returns 0 or an error number.
int write_device(const std::string& path, std::string_view bytes) {
  descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) return errno;
  if (const int error = write_all(file.get(), bytes)) return error;
  return file.close();
}

/// Writes a new file and renames it once all of it is on disk. Returns 0 or an error number.
int fill_and_rename(descriptor& file, const std::string& beside, const std::string& target,
                    std::string_view bytes) {
  if (const int error = write_all(file.get(), bytes)) return error;
  if (::fsync(file.get()) != 0) return errno;
  if (const int error = file.close()) return error;
  return ::rename(beside.c_str(), target.c_str()) == 0 ? 0 : errno;
}

/// Returns 0 or an error number.
int replace_file(const std::string& target, std::string_view bytes) {
  const std::string beside = target + ".part-" + std::to_string(::getpid());
  descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) return errno;
  const int error = fill_and_rename(file, beside, target, bytes);
  if (error != 0) ::unlink(beside.c_str());
  return error;
}

/// The path behind symbolic links, so that renaming replaces the file and not a link to it.
std::string final_path(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

file_bytes::file_bytes(std::string_view source, const std::string& path) {
  const auto fail = [&](const std::string& why) {
    throw invalid_input(source, path, "cannot be read: " + why);
  };
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail(reason(errno));
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) fail(reason(errno));
  // Pipes have no known size: start small and double. One byte more than the size of a file shows
  // its end without growing.
  std::size_t reserved =
      std::max<std::size_t>(static_cast<std::size_t>(about.st_size) + 1, 1 << 16);
  bytes_ = allocate(reserved);
  try {
    while ((size_ += read_all(file.get(), bytes_.get() + size_, reserved - size_)) == reserved) {
      reserved *= 2;
      buffer larger = allocate(reserved);
      std::copy_n(bytes_.get(), size_, larger.get());
      bytes_ = std::move(larger);
    }
  } catch (const std::system_error& error) {
    fail(reason(error.code().value()));
  }
  std::memset(bytes_.get() + size_, 0, padding);
}

file_bytes::buffer file_bytes::allocate(std::size_t size) {
  // Large pages: touching a large file's bytes page by page takes longer than copying them.
  constexpr std::size_t large_page = std::size_t{2} << 20;
  const std::size_t alignment = size < large_page ? alignof(std::max_align_t) : large_page;
  const std::size_t rounded = (size + padding + alignment - 1) / alignment * alignment;
  buffer bytes(static_cast<char*>(std::aligned_alloc(alignment, rounded)));
  if (!bytes) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (alignment == large_page) ::madvise(bytes.get(), rounded, MADV_HUGEPAGE);
#endif
  return bytes;
}

std::string sha256(std::string_view bytes) {
  unsigned char digest[32];
  if (EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("the cryptography library does not provide SHA-256");
  std::string text;
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

void expect_writable(const std::string& path) {
  if (path.empty()) return;
  const std::filesystem::path target = final_path(path);
  if (std::filesystem::is_directory(target)) throw unwritable_output(path, reason(EISDIR));
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  if (!std::filesystem::is_directory(folder))
    throw unwritable_output(path, "there is no folder " + folder.string());
  if (::access(folder.c_str(), W_OK) != 0 && !std::filesystem::exists(target))
    throw unwritable_output(path, reason(errno));
}

void write_file(const std::string& path, std::string_view bytes) {
  expect_writable(path);
  const std::string target = final_path(path);
  const bool device = std::filesystem::exists(target) && !std::filesystem::is_regular_file(target);
  if (const int error = device ? write_device(target, bytes) : replace_file(target, bytes))
    throw unwritable_output(path, reason(error));
}

void write_standard_output(std::string_view bytes) {
  if (const int error = write_all(STDOUT_FILENO, bytes))
    throw unwritable_output("standard output", reason(error));
}

}  // namespace omnibal::cli
