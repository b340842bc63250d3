// SPDX-License-Identifier: Apache-2.0
// A library for LD_PRELOAD (Linux, glibc) under which one call of a program fails. The environment
// variable FAULT says which: "CALL NUMBER ACTION", such as "write 3 28", counted from 1 between
// the start and the end of main(). Calls: allocate; read, write, fsync and close of regular files
// other than standard streams; create (opening with O_CREAT); rename. Actions: an error number;
// "kill", the process dies before the call; "short", 33 bytes at most; "from", this and all later
// calls fail with ENOMEM. Where FAULT_REACHED names a file, the file is made when the call is
// reached.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// NOLINTBEGIN: replacements have the names and signatures of the C library.

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

enum class outcome { success, failure, part };

char wanted_call[16];
char action[16];
long wanted_number = 0;
std::atomic<long> calls = 0;
std::atomic<bool> armed = false;

void report() {
  const int error = errno;
  if (const char* const path = std::getenv("FAULT_REACHED")) {
    const long file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0) syscall(SYS_close, file);
  }
  errno = error;
}

/// What this call is to do.
outcome next(const char* call) {
  if (!armed || std::strcmp(call, wanted_call) != 0) return outcome::success;
  const long number = ++calls;
  const bool all_later = std::strcmp(action, "from") == 0;
  if (number != wanted_number && !(all_later && number > wanted_number)) return outcome::success;
  if (number == wanted_number) report();
  if (std::strcmp(action, "kill") == 0) syscall(SYS_kill, getpid(), SIGKILL);
  if (std::strcmp(action, "terminate") == 0) {
    syscall(SYS_kill, getpid(), SIGTERM);
    usleep(200'000);  // another thread handles it
    return outcome::success;
  }
  if (std::strcmp(action, "short") == 0) return outcome::part;
  errno = all_later ? ENOMEM : std::atoi(action);
  return outcome::failure;
}

std::size_t shortened(std::size_t size) { return size < 100 ? size / 3 + 1 : 33; }

bool is_regular(int file) {
  struct stat about;
  return file > STDERR_FILENO && fstat(file, &about) == 0 && S_ISREG(about.st_mode);
}

template <typename Function>
Function* original(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int (*program)(int, char**, char**);

int armed_main(int argc, char** argv, char** environment) {
  if (const char* const fault = std::getenv("FAULT"))
    armed = std::sscanf(fault, "%15s %ld %15s", wanted_call, &wanted_number, action) == 3;
  const int status = program(argc, argv, environment);
  armed = false;
  return status;
}

int open_file(const char* path, int flags, unsigned mode) {
  if ((flags & O_CREAT) != 0 && next("create") == outcome::failure) return -1;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

}  // namespace

extern "C" {

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(),
                      void (*fini)(), void (*rtld_fini)(), void* stack_end) {
  program = main;
  return original<decltype(__libc_start_main)>("__libc_start_main")(armed_main, argc, argv, init,
                                                                    fini, rtld_fini, stack_end);
}

void* malloc(std::size_t size) {
  return next("allocate") == outcome::failure ? nullptr : __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  return next("allocate") == outcome::failure ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  return next("allocate") == outcome::failure ? nullptr : __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return next("allocate") == outcome::failure ? nullptr : __libc_memalign(alignment, size);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t size) {
  void* const memory = aligned_alloc(alignment, size);
  if (memory == nullptr) return ENOMEM;
  *to = memory;
  return 0;
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0;
  va_end(rest);
  return open_file(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0;
  va_end(rest);
  return open_file(path, flags, mode);
}

ssize_t read(int file, void* bytes, std::size_t size) {
  static const auto real = original<decltype(read)>("read");
  const outcome now = is_regular(file) ? next("read") : outcome::success;
  if (now == outcome::failure) return -1;
  return real(file, bytes, now == outcome::part ? shortened(size) : size);
}
ssize_t write(int file, const void* bytes, std::size_t size) {
  static const auto real = original<decltype(write)>("write");
  const outcome now = is_regular(file) ? next("write") : outcome::success;
  if (now == outcome::failure) return -1;
  return real(file, bytes, now == outcome::part ? shortened(size) : size);
}
int fsync(int file) {
  static const auto real = original<decltype(fsync)>("fsync");
  if (is_regular(file) && next("fsync") == outcome::failure) return -1;
  return real(file);
}
int rename(const char* from, const char* to) {
  static const auto real = original<decltype(rename)>("rename");
  return next("rename") == outcome::failure ? -1 : real(from, to);
}
int close(int file) {
  static const auto real = original<decltype(close)>("close");
  const bool fails = is_regular(file) && next("close") == outcome::failure;
  const int error = errno;
  const int result = real(file);  // closed in any case, as by Linux
  if (!fails) return result;
  errno = error;
  return -1;
}
}
// NOLINTEND
