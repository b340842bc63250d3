// SPDX-License-Identifier: Apache-2.0
#include "files/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <new>
#include <random>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omnibal/core/error.hpp>

#include "errors.hpp"
#include "files/given_files.hpp"

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
  void reset(int number) noexcept {
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }

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
int write_directly(const std::string& path, std::string_view bytes) {
  descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) return errno;
  if (const int error = write_all(file.get(), bytes)) return error;
  return file.close();
}

/// The names of the temporary files that exist, so that a signal can remove them.
class temporary_names {
 public:
  /// Remembers the name of a file if make() makes it, and returns whether it did. Remembered first,
  /// since that may take memory.
  template <typename Make>
  bool add(const std::string& name, const Make& make) {
    const std::lock_guard lock(mutex_);
    const auto place = names_.insert(name).first;
    if (make()) return true;
    names_.erase(place);
    return false;
  }
  void remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    names_.erase(name);
  }
  /// No file is made after it.
  [[noreturn]] void unlink_all_and_exit(int status) noexcept {
    mutex_.lock();
    for (const std::string& name : names_) ::unlink(name.c_str());
    ::_exit(status);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> names_;
};

temporary_names temporaries;

/// A new file of a name of its own in a folder. Removed unless it was renamed.
class temporary_file {
 public:
  explicit temporary_file(const std::string& folder) {
    std::random_device random;
    for (int attempt = 0; attempt < 100 && file_.get() < 0; ++attempt) {
      path_ = folder + "/.omnibal-" + std::to_string(random()) + ".part";
      if (!temporaries.add(path_, [&] { return make(); }) && error_ != EEXIST) break;
    }
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() {
    if (error_ != 0) return;
    if (!renamed_) ::unlink(path_.c_str());
    temporaries.remove(path_);
  }

  [[nodiscard]] int error() const noexcept { return error_; }
  [[nodiscard]] int get() const noexcept { return file_.get(); }

  /// Gives the file its name once all of it is on disk. Returns 0 or an error number.
  int rename_to(const std::string& target) {
    if (::fsync(file_.get()) != 0) return errno;
    if (const int error = file_.close()) return error;
    if (::rename(path_.c_str(), target.c_str()) != 0) return errno;
    renamed_ = true;
    return 0;
  }

 private:
  bool make() {
    file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    error_ = file_.get() < 0 ? errno : 0;
    return error_ == 0;
  }

  std::string path_;
  descriptor file_{-1};
  int error_ = 0;
  bool renamed_ = false;
};

/// Gives a new file the permissions and the owner of the one that it replaces. Returns 0 or an
/// error number.
int take_after(int file, const std::string& replaced) {
  struct stat old {};
  struct stat now {};
  if (::stat(replaced.c_str(), &old) != 0) return errno == ENOENT ? 0 : errno;
  if (::fstat(file, &now) != 0) return errno;
  if ((old.st_uid != now.st_uid || old.st_gid != now.st_gid) &&
      ::fchown(file, old.st_uid, old.st_gid) != 0)
    return errno;
  return ::fchmod(file, old.st_mode & 07777) == 0 ? 0 : errno;
}

/// The new name lasts once the folder is on disk too. Not every file system can do that.
void synchronize_folder(const std::string& folder) noexcept {
  const descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() >= 0) (void)::fsync(opened.get());
}

std::string folder_of(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

/// Returns 0 or an error number.
int replace_file(const std::string& target, std::string_view bytes) {
  temporary_file file(folder_of(target));
  if (file.error() != 0) return file.error();
  if (const int error = take_after(file.get(), target)) return error;
  if (const int error = write_all(file.get(), bytes)) return error;
  if (const int error = file.rename_to(target)) return error;
  synchronize_folder(folder_of(target));
  return 0;
}

}  // namespace

file_bytes::file_bytes(std::string_view source, const std::string& path) {
  const auto fail = [&](const std::string& why) {
    throw invalid_input(source, path, "cannot be read: " + why);
  };
  const descriptor file(path == standard_stream ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                                : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
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
  if (!bytes) throw out_of_memory("reading a file", rounded);
#if defined(MADV_HUGEPAGE)
  if (alignment == large_page) ::madvise(bytes.get(), rounded, MADV_HUGEPAGE);
#endif
  return bytes;
}

std::string sha256(std::string_view bytes) {
  // A context of its own: OpenSSL 3.0 crashes where it has no memory for the default one.
  const std::unique_ptr<OSSL_LIB_CTX, decltype(&OSSL_LIB_CTX_free)> context(OSSL_LIB_CTX_new(),
                                                                            OSSL_LIB_CTX_free);
  const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> method(
      context ? EVP_MD_fetch(context.get(), "SHA256", nullptr) : nullptr, EVP_MD_free);
  unsigned char digest[32];
  if (!method ||
      EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, method.get(), nullptr) != 1)
    throw std::bad_alloc();  // Every release provides SHA-256: it has no memory for the digest.
  std::string text;
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string final_path(const std::string& path) {
  constexpr int most_links = 40;  // as many as Linux follows
  std::filesystem::path target = path;
  std::error_code error;
  for (int links = 0; std::filesystem::is_symlink(target, error); ++links) {
    if (links == most_links) throw unwritable_output(path, reason(ELOOP));
    const std::filesystem::path next = std::filesystem::read_symlink(target, error);
    if (error) throw unwritable_output(path, error.message());
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target.string();
}

void expect_writable(const std::string& path) try {
  if (path.empty() || path == standard_stream) return;
  const std::filesystem::file_status at = std::filesystem::status(path);
  if (std::filesystem::is_directory(at)) throw unwritable_output(path, reason(EISDIR));
  const bool exists = std::filesystem::exists(at);
  if (exists && ::access(path.c_str(), W_OK) != 0) throw unwritable_output(path, reason(errno));
  if (exists && !std::filesystem::is_regular_file(at)) return;
  const std::string target = final_path(path);
  const std::string folder = folder_of(target);
  if (!std::filesystem::is_directory(folder))
    throw unwritable_output(path, "there is no folder " + folder);
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw unwritable_output(path, "in folder " + folder + ": " + reason(errno));
} catch (const std::filesystem::filesystem_error& error) {
  throw unwritable_output(path, error.code().message());
}

void write_file(const std::string& path, std::string_view bytes) {
  if (path == standard_stream) return write_standard_output(bytes);
  expect_writable(path);
  // Not by the name behind symbolic links: those of /proc lead to pipes that have none.
  std::error_code unknown;
  const bool direct =
      std::filesystem::exists(path, unknown) && !std::filesystem::is_regular_file(path, unknown);
  if (const int error =
          direct ? write_directly(path, bytes) : replace_file(final_path(path), bytes))
    throw unwritable_output(path, reason(error));
}

void abandon_outputs(int status) noexcept { temporaries.unlink_all_and_exit(status); }

void write_standard_error(std::string_view bytes) {
  if (const int error = write_all(STDERR_FILENO, bytes))
    throw unwritable_output("standard error", reason(error));
}

void write_standard_output(std::string_view bytes) {
  if (const int error = write_all(STDOUT_FILENO, bytes))
    throw unwritable_output("standard output", reason(error));
}

}  // namespace omnibal::cli
