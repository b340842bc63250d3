// SPDX-License-Identifier: Apache-2.0
#include "commands/progress_line.hpp"

#include <cstdio>

#include <unistd.h>

namespace omnibal::cli {

progress_line::progress_line(const command_context& context)
    : on_terminal_(::isatty(STDERR_FILENO) == 1),
      wanted_(on_terminal_ || context.show_progress),
      next_(std::chrono::steady_clock::now()) {}

progress_line::~progress_line() {
  if (shown_ && on_terminal_) std::fputs("\r\x1b[K", stderr);
}

search_control progress_line::control() {
  if (!wanted_) return {};
  return {.report = [this](const progress& now) { show(now); }};
}

void progress_line::show(const progress& now) {
  const auto time = std::chrono::steady_clock::now();
  if (time < next_) return;
  next_ = time + std::chrono::milliseconds(on_terminal_ ? 100 : 1000);
  shown_ = true;
  std::fprintf(stderr, on_terminal_ ? "\r\x1b[K%.*s %llu/%llu" : "%.*s %llu/%llu\n",
               static_cast<int>(now.phase.size()), now.phase.data(),
               static_cast<unsigned long long>(now.done),
               static_cast<unsigned long long>(now.total));
}

}  // namespace omnibal::cli
