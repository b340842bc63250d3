// SPDX-License-Identifier: Apache-2.0
/// @file
/// The machine that is a thread of a CPU: OpenBLAS's products on that thread alone, since their
/// results are the same to the bit only then, and groups of one lane.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <string>

#include "openblas.hpp"
#include "product.hpp"

/// Marks what lanes run.
#define OMNIBAL_ON_LANES

namespace omnibal::trainer {

/// Chooses the device of the calling thread among those of this kind: there is one.
inline void use_device(std::size_t) {}

[[nodiscard]] inline std::string device_name() { return "cpu"; }

/// Memory and order of work. Everything that is asked for is done when the call returns.
class device {
 public:
  device() { detail::use_one_thread(); }
  device(const device&) = delete;
  device& operator=(const device&) = delete;

  /// Zeros. All memory is the host's as well; `host_reads` says whether it must be.
  [[nodiscard]] void* allocate(std::size_t bytes, [[maybe_unused]] bool host_reads) {
    void* const memory = ::operator new(bytes, alignment);
    return std::memset(memory, 0, bytes);
  }
  void release(void* memory, bool) noexcept { ::operator delete(memory, alignment); }
  void set_zero(void* memory, std::size_t bytes) {
    if (bytes > 0) std::memset(memory, 0, bytes);
  }
  /// From the machine's memory to the machine's memory.
  void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  /// From the machine to the host or back; done when it returns.
  void transfer(void* to, const void* from, std::size_t bytes) { copy(to, from, bytes); }
  void finish() {}

 private:
  static constexpr std::align_val_t alignment{64};
};

/// The lanes that share a row: one on a CPU. Each function is called by all lanes of the group.
class lanes {
 public:
  /// Calls f(i) for i < count.
  template <typename Function>
  void each(std::size_t count, const Function& f) const {
    for (std::size_t i = 0; i < count; ++i) f(i);
  }

  /// Σ f(i) for i < count, in every lane. The order of the sum depends on count alone: eight sums
  /// side by side, so that compilers use vector registers without reordering anything.
  template <typename Function>
  [[nodiscard]] auto sum(std::size_t count, const Function& f) const {
    using number = decltype(f(count));
    constexpr std::size_t width = 8;
    std::array<number, width> part = {};
    std::size_t i = 0;
    for (; i + width <= count; i += width)
      for (std::size_t j = 0; j < width; ++j) part[j] += f(i + j);
    number rest = 0;
    for (; i < count; ++i) rest += f(i);
    for (std::size_t half = width / 2; half > 0; half /= 2)
      for (std::size_t j = 0; j < half; ++j) part[j] += part[j + half];
    return part[0] + rest;
  }

  /// The first i < count with the largest f(i), in every lane; count ≥ 1.
  template <typename Function>
  [[nodiscard]] std::size_t largest(std::size_t count, const Function& f) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < count; ++i)
      if (f(i) > f(best)) best = i;
    return best;
  }

  /// Calls f in one lane.
  template <typename Function>
  void once(const Function& f) const {
    f();
  }
};

namespace detail {

template <typename Body>
void run_rows(device&, std::size_t rows, const Body& body) {
  for (std::size_t row = 0; row < rows; ++row) body(row, lanes{});
}

template <typename Real>
void run_column_sums(device&, wide<Real>* sums, const Real* x, std::size_t rows,
                     std::size_t columns) {
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t c = 0; c < columns; ++c) sums[c] += x[row * columns + c];
}

template <typename Out, typename In>
void run_product(device&, const product_arguments<Out, In>& of) {
  openblas_product(of);
}

}  // namespace detail

}  // namespace omnibal::trainer
