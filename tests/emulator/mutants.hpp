// SPDX-License-Identifier: Apache-2.0
/// @file
/// Shows that every barrier of some kernels is needed: leaves out one after the other, each in a
/// process of its own, since a kernel without it may read anything and anywhere.
#pragma once

#include <csignal>
#include <cstdio>
#include <set>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "emulator/block.hpp"

namespace mutants {

/// Whether is_right() is true in a process of its own that comes to an end.
template <typename IsRight>
[[nodiscard]] bool is_right_apart(IsRight is_right) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE}) std::signal(signal, SIG_DFL);
    bool right = false;
    try {
      right = is_right();
    } catch (...) {
    }
    _exit(right ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// The barriers that is_right() comes to, and those of them without which it is true all the same.
struct barriers {
  std::set<std::string> met;
  std::set<std::string> needless;
};

template <typename IsRight>
[[nodiscard]] barriers barriers_of(IsRight is_right) {
  emulator::all_barriers = {};
  barriers found;
  if (!is_right()) return found;
  for (const emulator::place& barrier : std::set(emulator::all_barriers.met)) {
    const std::string name = std::string(barrier.file) + ":" + std::to_string(barrier.line);
    found.met.insert(name);
    emulator::all_barriers.left_out = barrier;
    if (is_right_apart(is_right)) found.needless.insert(name);
  }
  emulator::all_barriers = {};
  return found;
}

}  // namespace mutants
