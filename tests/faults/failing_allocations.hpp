// SPDX-License-Identifier: Apache-2.0
// Replaces the global allocation functions of a test program, so that any one allocation can be
// made to fail. To be included by one source file of the program.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>

namespace omnibal::test {

/// The allocations until one fails; only those of the test's own thread count.
inline thread_local std::size_t allocations_left = std::numeric_limits<std::size_t>::max();

/// Calls body with the allocation number `successes`, counted from 0, failing, and returns whether
/// it failed: then the body has thrown std::bad_alloc.
template <typename Body>
[[nodiscard]] bool fails_at(std::size_t successes, const Body& body) {
  allocations_left = successes;
  try {
    body();
    allocations_left = std::numeric_limits<std::size_t>::max();
    return false;
  } catch (const std::bad_alloc&) {
    allocations_left = std::numeric_limits<std::size_t>::max();
    return true;
  }
}

/// Fails each allocation of body(subject) in turn, calls check(subject) after each failure, and
/// ends with the call that succeeds. Returns the number of failures.
template <typename Subject, typename Body, typename Check>
std::size_t fail_each_allocation(Subject& subject, const Body& body, const Check& check) {
  std::size_t failures = 0;
  while (fails_at(failures, [&] { body(subject); })) {
    ++failures;
    check(std::as_const(subject));
  }
  return failures;
}

}  // namespace omnibal::test

// NOLINTBEGIN: replacements have the names and signatures of the standard.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (omnibal::test::allocations_left == 0) throw std::bad_alloc();
  if (omnibal::test::allocations_left != std::numeric_limits<std::size_t>::max())
    --omnibal::test::allocations_left;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
// Sanitizers have one of their own, whose memory std::free() would not take.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return ::operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND
