// SPDX-License-Identifier: Apache-2.0
/// @file
/// Fibers: functions with a stack of their own that give way to their caller and go on later. Each
/// thread of an emulated block is one. Known to the address sanitizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ADDRESS_SANITIZER 1
#endif
#endif
#if !defined(EMULATOR_ADDRESS_SANITIZER)
#define EMULATOR_ADDRESS_SANITIZER 0
#endif
#if EMULATOR_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {

/// A stack with a page before it whose use ends the program, so that none runs into another.
class stack {
 public:
  explicit stack(std::size_t bytes)
      : guard_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))), bytes_(bytes) {
    memory_ = mmap(nullptr, guard_ + bytes_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory_, guard_, PROT_NONE);
  }
  stack(const stack&) = delete;
  stack& operator=(const stack&) = delete;
  ~stack() {
#if EMULATOR_ADDRESS_SANITIZER
    // Functions that never ended have left marks here, which the next user of these pages would
    // hit.
    __asan_unpoison_memory_region(begin(), bytes_);
#endif
    munmap(memory_, guard_ + bytes_);
  }

  [[nodiscard]] char* begin() const { return static_cast<char*>(memory_) + guard_; }
  [[nodiscard]] std::size_t size() const { return bytes_; }

 private:
  std::size_t guard_;
  std::size_t bytes_;
  void* memory_;
};

#if defined(__x86_64__)
/// A point of execution on a stack. Without the system calls for signal masks of swapcontext, which
/// would take most of the time.
class execution {
 public:
  /// Runs entry(), which never returns, on the stack when it is switched to.
  void prepare(const stack& on, void (*entry)()) {
    auto* const top = reinterpret_cast<void**>(on.begin() + on.size());
    top[-1] = nullptr;  // where entry would return to
    top[-2] = reinterpret_cast<void*>(entry);
    for (int i = 3; i < 3 + saved_registers; ++i) top[-i] = nullptr;
    top_ = top - 2 - saved_registers;
  }

  /// Stops here and goes on where `to` stopped.
  void switch_to(execution& to) { switch_stack(&top_, to.top_); }

 private:
  static constexpr int saved_registers = 6;

  // What the System V calling convention demands of a function that returns elsewhere.
  __attribute__((naked, noinline)) static void switch_stack(void**, void*) {
    asm("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
        "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
        "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret");
  }

  void* top_ = nullptr;
};
#else
class execution {
 public:
  void prepare(const stack& on, void (*entry)()) {
    getcontext(&context_);
    context_.uc_stack.ss_sp = on.begin();
    context_.uc_stack.ss_size = on.size();
    makecontext(&context_, entry, 0);
  }
  void switch_to(execution& to) { swapcontext(&context_, &to.context_); }

 private:
  ucontext_t context_{};
};
#endif

/// Runs one function after the other on its stack.
class fiber {
 public:
  fiber() : stack_(stack_bytes) { own_.prepare(stack_, &enter); }
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;

  /// What the next resume() runs. The fiber is new or its last function has ended.
  void start(const std::function<void()>& body) {
    body_ = &body;
    ended_ = false;
  }

  /// Runs the function until it suspends or ends.
  void resume() {
    entered_ = this;
    [[maybe_unused]] void* callers_frames = nullptr;
#if EMULATOR_ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(&callers_frames, stack_.begin(), stack_.size());
#endif
    caller_.switch_to(own_);
#if EMULATOR_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(callers_frames, nullptr, nullptr);
#endif
  }

  /// Returns to the caller of resume(). Called on this fiber.
  void suspend() {
#if EMULATOR_ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(&own_frames_, callers_stack_, callers_stack_size_);
#endif
    own_.switch_to(caller_);
    arrive();
  }

  [[nodiscard]] bool ended() const { return ended_; }

 private:
  static constexpr std::size_t stack_bytes = std::size_t{256} << 10;

  static void enter() { entered_->run(); }

  [[noreturn]] void run() {
    arrive();
    for (;;) {
      (*body_)();
      ended_ = true;
      suspend();
    }
  }

  void arrive() {
#if EMULATOR_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(own_frames_, &callers_stack_, &callers_stack_size_);
#endif
  }

  static inline fiber* entered_ = nullptr;

  stack stack_;
  execution own_;
  execution caller_;
  const std::function<void()>* body_ = nullptr;
  bool ended_ = true;
  [[maybe_unused]] void* own_frames_ = nullptr;
  [[maybe_unused]] const void* callers_stack_ = nullptr;
  [[maybe_unused]] std::size_t callers_stack_size_ = 0;
};

/// Fibers for the threads of blocks, made once. One that is abandoned within its function is not
/// given back.
class fiber_pool {
 public:
  [[nodiscard]] std::unique_ptr<fiber> take() {
    if (idle_.empty()) return std::make_unique<fiber>();
    auto taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }
  void give_back(std::unique_ptr<fiber> used) {
    if (used->ended()) idle_.push_back(std::move(used));
  }

 private:
  std::vector<std::unique_ptr<fiber>> idle_;
};

}  // namespace emulator
