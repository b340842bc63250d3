// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a stage computes on: memory counted to the byte, matrix products, and rows shared by lanes.
/// Layers know nothing else of the hardware, so this file alone differs between machines.
///
///     machine on;
///     matrix<float> y(on, x.rows(), w.columns());
///     product(on, y, x, w);                          // y = x · w
///     product(on, gradient, transposed(x), dy, 1);   // gradient += xᵀ · dy
///     for_rows(on, y.rows(), [=, y = y.view()](std::size_t row, lanes group) { … });
///
/// Here the machine is one thread of a CPU: products are OpenBLAS's on a single thread, since their
/// results are the same to the bit only then, and a group of lanes is one lane.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <cblas.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::trainer {

/// What bytes are allocated for.
enum class memory_use : std::uint8_t {
  parameters,   ///< Weights and their gradients.
  batch,        ///< Token ids, pixels and offsets of micro-batches.
  activations,  ///< All that forward and backward allocate.
};

/// The machine of one stage. Used by one thread at a time.
class machine {
 public:
  machine() { openblas_set_num_threads(1); }
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  /// Bytes that are allocated now.
  [[nodiscard]] std::int64_t held(memory_use use) const noexcept { return of(use).held; }
  /// The most bytes that were allocated at a time since the last restart_peak().
  [[nodiscard]] std::int64_t peak(memory_use use) const noexcept { return of(use).peak; }
  void restart_peak(memory_use use) noexcept { of(use).peak = of(use).held; }

  /// For buffers: counts bytes allocated, or freed where negative.
  void count(memory_use use, std::int64_t bytes) noexcept {
    account& one = of(use);
    one.held += bytes;
    one.peak = std::max(one.peak, one.held);
  }

 private:
  struct account {
    std::int64_t held = 0;
    std::int64_t peak = 0;
  };

  [[nodiscard]] account& of(memory_use use) noexcept {
    return accounts_[static_cast<std::size_t>(use)];
  }
  [[nodiscard]] const account& of(memory_use use) const noexcept {
    return accounts_[static_cast<std::size_t>(use)];
  }

  std::array<account, 3> accounts_ = {};
};

/// An array on a machine, which outlives it; zeros at first. Movable.
template <typename Element>
class buffer {
 public:
  buffer() = default;
  buffer(machine& on, std::size_t size, memory_use use = memory_use::activations)
      : on_(&on), use_(use), size_(size), data_(allocate(size)) {
    on.count(use, bytes());
  }
  buffer(buffer&& from) noexcept { swap(from); }
  buffer& operator=(buffer&& from) noexcept {
    buffer moved(std::move(from));
    swap(moved);
    return *this;
  }
  ~buffer() {
    if (on_ != nullptr) on_->count(use_, -bytes());
  }

  [[nodiscard]] Element* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::int64_t bytes() const noexcept {
    return static_cast<std::int64_t>(size_ * sizeof(Element));
  }
  /// Whether there is an array, though it may have no elements.
  [[nodiscard]] explicit operator bool() const noexcept { return on_ != nullptr; }

 private:
  struct free_aligned {
    void operator()(Element* data) const noexcept { ::operator delete(data, alignment); }
  };
  static constexpr std::align_val_t alignment{64};

  [[nodiscard]] static std::unique_ptr<Element, free_aligned> allocate(std::size_t size) {
    auto* data = static_cast<Element*>(::operator new(size * sizeof(Element), alignment));
    std::uninitialized_value_construct_n(data, size);
    return std::unique_ptr<Element, free_aligned>(data);
  }
  void swap(buffer& other) noexcept {
    std::swap(on_, other.on_);
    std::swap(use_, other.use_);
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
  }

  machine* on_ = nullptr;
  memory_use use_ = memory_use::activations;
  std::size_t size_ = 0;
  std::unique_ptr<Element, free_aligned> data_ = nullptr;
};

/// Rows of numbers one after the other, of which somebody else is the owner.
template <typename Real>
struct matrix_view {
  Real* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;

  /// The start of a row.
  [[nodiscard]] OMNIBAL_HD Real* operator[](std::size_t row) const noexcept {
    return data + row * columns;
  }
  [[nodiscard]] std::size_t size() const noexcept { return rows * columns; }
  [[nodiscard]] matrix_view part(std::size_t first_row, std::size_t count) const noexcept {
    return {data + first_row * columns, count, columns};
  }
  operator matrix_view<const Real>() const noexcept requires(!std::is_const_v<Real>) {
    return {data, rows, columns};
  }
};

/// A matrix on a machine, row by row; zeros at first. Movable.
template <typename Real>
class matrix {
 public:
  matrix() = default;
  matrix(machine& on, std::size_t rows, std::size_t columns,
         memory_use use = memory_use::activations)
      : values_(on, rows * columns, use), rows_(rows), columns_(columns) {}

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  [[nodiscard]] std::int64_t bytes() const noexcept { return values_.bytes(); }
  [[nodiscard]] matrix_view<Real> view() noexcept { return {values_.data(), rows_, columns_}; }
  [[nodiscard]] matrix_view<const Real> view() const noexcept {
    return {values_.data(), rows_, columns_};
  }
  /// The same numbers with another number of columns, which divides their number.
  [[nodiscard]] matrix reshaped(std::size_t columns) && noexcept {
    rows_ = values_.size() / columns;
    columns_ = columns;
    return std::move(*this);
  }
  [[nodiscard]] explicit operator bool() const noexcept { return bool(values_); }
  operator matrix_view<Real>() noexcept { return view(); }
  operator matrix_view<const Real>() const noexcept { return view(); }

 private:
  buffer<Real> values_ = {};
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
};

// ---- copies -------------------------------------------------------------------------------------

/// Copies from the host to the machine and back. Sizes are equal.
template <typename Element, typename Given>
void copy_in(machine&, std::span<const Given> from, Element* to) {
  std::ranges::transform(from, to, [](Given value) { return static_cast<Element>(value); });
}
template <typename Element>
void copy_out(machine&, const Element* from, std::span<Element> to) {
  std::copy_n(from, to.size(), to.begin());
}

/// These values on the machine.
template <typename Element, typename Given>
[[nodiscard]] buffer<Element> placed(machine& on, std::span<const Given> values,
                                     memory_use use = memory_use::batch) {
  buffer<Element> result(on, values.size(), use);
  copy_in(on, values, result.data());
  return result;
}

/// Another matrix with the same values.
template <typename Real>
[[nodiscard]] matrix<Real> copy_of(machine& on, const matrix<Real>& from) {
  matrix<Real> result(on, from.rows(), from.columns());
  std::copy_n(from.view().data, from.view().size(), result.view().data);
  return result;
}

// ---- matrix products ----------------------------------------------------------------------------

/// A factor of a product.
template <typename Real>
struct operand {
  matrix_view<const Real> stored;
  bool transposed = false;

  [[nodiscard]] std::size_t rows() const noexcept {
    return transposed ? stored.columns : stored.rows;
  }
  [[nodiscard]] std::size_t columns() const noexcept {
    return transposed ? stored.rows : stored.columns;
  }
};

namespace detail {

inline void require_equal(std::string_view field, std::size_t value, std::size_t expected) {
  if (value != expected)
    throw invalid_input(field, value, "must be " + std::to_string(expected) + " in this product");
}

[[nodiscard]] inline int blas_size(std::size_t size) { return static_cast<int>(size); }

template <typename Real>
void blas_product(matrix_view<Real> out, const operand<Real>& left, const operand<Real>& right,
                  Real keep) {
  constexpr auto gemm = [] {
    if constexpr (std::same_as<Real, float>)
      return &cblas_sgemm;
    else
      return &cblas_dgemm;
  }();
  const auto order = [](const operand<Real>& one) {
    return one.transposed ? CblasTrans : CblasNoTrans;
  };
  gemm(CblasRowMajor, order(left), order(right), blas_size(out.rows), blas_size(out.columns),
       blas_size(left.columns()), Real{1}, left.stored.data, blas_size(left.stored.columns),
       right.stored.data, blas_size(right.stored.columns), keep, out.data, blas_size(out.columns));
}

}  // namespace detail

/// out = left · right + keep · out. Throws invalid_input where the sizes do not fit.
template <std::floating_point Real>
void product(machine&, matrix_view<Real> out, const operand<Real>& left, const operand<Real>& right,
             std::type_identity_t<Real> keep = 0) {
  detail::require_equal("rows of the left factor", left.rows(), out.rows);
  detail::require_equal("columns of the right factor", right.columns(), out.columns);
  detail::require_equal("rows of the right factor", right.rows(), left.columns());
  if (out.size() == 0) return;
  if (left.columns() > 0) return detail::blas_product(out, left, right, keep);
  std::for_each_n(out.data, out.size(), [keep](Real& value) { value *= keep; });
}

// ---- rows shared by lanes -----------------------------------------------------------------------

/// The lanes that share a row: one on a CPU. Each function is called by all lanes of the group.
class lanes {
 public:
  /// Calls f(i) for i < count.
  template <typename Function>
  OMNIBAL_HD void each(std::size_t count, const Function& f) const {
    for (std::size_t i = 0; i < count; ++i) f(i);
  }

  /// Σ f(i) for i < count, in every lane. The order of the sum depends on count alone: eight sums
  /// side by side, so that compilers use vector registers without reordering anything.
  template <typename Function>
  [[nodiscard]] OMNIBAL_HD auto sum(std::size_t count, const Function& f) const {
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
  [[nodiscard]] OMNIBAL_HD std::size_t largest(std::size_t count, const Function& f) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < count; ++i)
      if (f(i) > f(best)) best = i;
    return best;
  }

  /// Calls f in one lane.
  template <typename Function>
  OMNIBAL_HD void once(const Function& f) const {
    f();
  }
};

/// Calls body(row, lanes) for rows 0 … rows − 1, in any order; rows must not depend on each other.
template <typename Body>
void for_rows(machine&, std::size_t rows, const Body& body) {
  for (std::size_t row = 0; row < rows; ++row) body(row, lanes{});
}

/// sums[c] += Σ over rows of x[row][c], in the order of the rows.
template <typename Real>
void add_column_sums(machine&, matrix_view<Real> sums, matrix_view<const Real> x) {
  detail::require_equal("columns", sums.size(), x.columns);
  for (std::size_t row = 0; row < x.rows; ++row)
    for (std::size_t c = 0; c < x.columns; ++c) sums.data[c] += x[row][c];
}

}  // namespace omnibal::trainer
