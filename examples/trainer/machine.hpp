// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a stage computes on: memory counted to the byte, matrix products, and rows shared by lanes.
/// Layers know nothing else of the hardware: machine/cpu.hpp is a thread of a CPU,
/// machine/cuda.hpp, with OMNIBAL_TRAINER_CUDA, a GPU.
///
///     machine on;
///     matrix<float> y(on, x.rows(), w.columns());
///     product<float>(on, y, {x}, {w});                    // y = x · w
///     product<float>(on, gradient, {x, true}, {dy}, 1);   // gradient += xᵀ · dy
///     const matrix_view<float> out = y;
///     for_rows(on, y.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
///       group.each(out.columns, [&](std::size_t i) { out[row][i] *= 2; });
///     });
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

#include "machine/number.hpp"
#include "machine/product.hpp"

#if defined(OMNIBAL_TRAINER_CUDA)
#include "machine/cuda.hpp"
#else
#include "machine/cpu.hpp"
#endif

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
  machine() = default;
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  /// Whether attention is computed by the hardware's own kernels where it has them.
  bool fused_attention = false;

  [[nodiscard]] device& hardware() noexcept { return hardware_; }
  /// Waits until all work is done: the host may read what it has left.
  void finish() { hardware_.finish(); }

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

  device hardware_ = {};
  std::array<account, 3> accounts_ = {};
};

/// An array on a machine, which outlives it; zeros at first. Movable. Parameters can be read and
/// written by the host as well, after finish().
template <typename Element>
class buffer {
 public:
  buffer() = default;
  buffer(machine& on, std::size_t size, memory_use use = memory_use::activations)
      : on_(&on),
        use_(use),
        size_(size),
        data_(static_cast<Element*>(
            on.hardware().allocate(size * sizeof(Element), host_reads(use)))) {
    on.count(use, bytes());
  }
  buffer(buffer&& from) noexcept { swap(from); }
  buffer& operator=(buffer&& from) noexcept {
    buffer moved(std::move(from));
    swap(moved);
    return *this;
  }
  ~buffer() {
    if (on_ == nullptr) return;
    on_->hardware().release(data_, host_reads(use_));
    on_->count(use_, -bytes());
  }

  [[nodiscard]] Element* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::int64_t bytes() const noexcept {
    return static_cast<std::int64_t>(size_ * sizeof(Element));
  }
  /// Whether there is an array, though it may have no elements.
  [[nodiscard]] explicit operator bool() const noexcept { return on_ != nullptr; }

 private:
  [[nodiscard]] static bool host_reads(memory_use use) noexcept {
    return use == memory_use::parameters;
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
  Element* data_ = nullptr;
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
  operator matrix_view<const Real>() const noexcept { return {data, rows, columns}; }
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

/// Copies from the host to the machine and back, after all work before; done when they return.
template <typename Element, typename Given>
void copy_in(machine& on, std::span<const Given> from, Element* to) {
  if constexpr (std::same_as<Element, Given>) {
    on.hardware().transfer(to, from.data(), from.size_bytes());
  } else {
    std::vector<Element> converted(from.size());
    std::ranges::transform(from, converted.begin(),
                           [](Given value) { return static_cast<Element>(value); });
    on.hardware().transfer(to, converted.data(), converted.size() * sizeof(Element));
  }
}
template <typename Element>
void copy_out(machine& on, const Element* from, std::span<Element> to) {
  on.hardware().transfer(to.data(), from, to.size_bytes());
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
  on.hardware().copy(result.view().data, from.view().data, from.view().size() * sizeof(Real));
  return result;
}

template <typename Real>
void set_zero(machine& on, matrix_view<Real> values) {
  on.hardware().set_zero(values.data, values.size() * sizeof(Real));
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

}  // namespace detail

/// out = left · right + keep · out, keep being 0 or 1; sums are wide. Throws invalid_input where
/// the sizes do not fit.
template <typename Out, typename In = Out>
void product(machine& on, matrix_view<Out> out, const operand<In>& left, const operand<In>& right,
             wide<Out> keep = 0) {
  detail::require_equal("rows of the left factor", left.rows(), out.rows);
  detail::require_equal("columns of the right factor", right.columns(), out.columns);
  detail::require_equal("rows of the right factor", right.rows(), left.columns());
  if (out.size() == 0) return;
  if (left.columns() > 0)
    return detail::run_product<Out, In>(on.hardware(), {.rows = out.rows,
                                                        .columns = out.columns,
                                                        .inner = left.columns(),
                                                        .left = left.stored.data,
                                                        .left_transposed = left.transposed,
                                                        .right = right.stored.data,
                                                        .right_transposed = right.transposed,
                                                        .keep = keep,
                                                        .out = out.data});
  if (keep == 0) set_zero(on, out);
}

// ---- rows shared by lanes -----------------------------------------------------------------------

/// Calls body(row, lanes) for rows 0 … rows − 1, in any order; rows must not depend on each other.
/// All lanes of a group call it for the same row.
template <typename Body>
void for_rows(machine& on, std::size_t rows, const Body& body) {
  if (rows > 0) detail::run_rows(on.hardware(), rows, body);
}

/// sums[c] += Σ over rows of x[row][c], in the order of the rows.
template <typename Real>
void add_column_sums(machine& on, matrix_view<wide<Real>> sums, matrix_view<const Real> x) {
  detail::require_equal("columns", sums.size(), x.columns);
  if (x.size() > 0)
    detail::run_column_sums<Real>(on.hardware(), sums.data, x.data, x.rows, x.columns);
}

// ---- formats of numbers -------------------------------------------------------------------------

/// Sets every number of `to` to that of `from`, rounded to nearest where it has fewer bits.
template <typename To, typename From>
void convert(machine& on, matrix_view<const From> from, matrix_view<To> to) {
  for_rows(on, to.rows, [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    group.each(to.columns, [&](std::size_t i) { to[row][i] = from[row][i]; });
  });
}

/// The same numbers in another format; `from` itself where it has this one, or is not there.
template <typename To, typename From>
[[nodiscard]] matrix<To> converted(machine& on, matrix<From> from) {
  if constexpr (std::same_as<To, From>) {
    return from;
  } else {
    if (!from) return {};
    matrix<To> result(on, from.rows(), from.columns());
    convert<To, From>(on, from, result);
    from = {};  // at once: callers keep parameters until their whole expression is computed
    return result;
  }
}

}  // namespace omnibal::trainer
