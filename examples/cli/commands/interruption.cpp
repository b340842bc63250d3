// SPDX-License-Identifier: Apache-2.0
#include "commands/interruption.hpp"

#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "files/files.hpp"

namespace omnibal::cli {
namespace {

constexpr int status_of_signals = 128;  // As shells report a process that a signal ended.
constexpr unsigned char no_signal = 0;

std::atomic<int> handler_pipe = -1;

extern "C" void forward_signal(int number) {
  const int error = errno;
  const auto byte = static_cast<unsigned char>(number);
  (void)!::write(handler_pipe, &byte, 1);
  errno = error;
}

/// A closed terminal ends the command as SIGTERM does, unless it was started with nohup.
bool is_handled(int number) {
  struct sigaction action {};
  return number != SIGHUP ||
         (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN);
}

void handle(int number, void (*handler)(int)) {
  if (!is_handled(number)) return;
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(number, &action, nullptr);
}

}  // namespace

interruption::interruption() {
  if (::pipe(pipe_.data()) != 0) return;
  for (const int end : pipe_) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  try {
    thread_ = std::thread([this] { wait_for_signals(); });
  } catch (const std::system_error&) {
    return;
  }
  handler_pipe = pipe_[1];
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) handle(number, forward_signal);
}

interruption::~interruption() {
  if (thread_.joinable()) {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) handle(number, SIG_DFL);
    (void)!::write(pipe_[1], &no_signal, 1);
    thread_.join();
  }
  for (const int end : pipe_)
    if (end >= 0) ::close(end);
}

std::optional<exit_status> interruption::status() const noexcept {
  const int number = signal_;
  if (number == 0) return std::nullopt;
  return static_cast<exit_status>(status_of_signals + number);
}

void interruption::wait_for_signals() {
  for (;;) {
    unsigned char number = no_signal;
    const ssize_t got = ::read(pipe_[0], &number, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got != 1 || number == no_signal) return;
    if (signal_.exchange(number) != 0 || listeners_ == 0)
      abandon_outputs(status_of_signals + number);
    stop_.request_stop();
  }
}

}  // namespace omnibal::cli
