// SPDX-License-Identifier: Apache-2.0
/// @file
/// Products by OpenBLAS.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <vector>

#include <cblas.h>

#include "product.hpp"

namespace omnibal::trainer::detail {

/// From now on products run on the thread that asks for them: with several, the order of sums would
/// depend on their number.
inline void use_one_thread() { openblas_set_num_threads(1); }

template <std::floating_point Real>
void openblas_product(const product_arguments<Real>& of) {
  constexpr auto gemm = [] {
    if constexpr (std::same_as<Real, float>)
      return &cblas_sgemm;
    else
      return &cblas_dgemm;
  }();
  const auto order = [](bool transposed) { return transposed ? CblasTrans : CblasNoTrans; };
  const auto size = [](std::size_t count) { return static_cast<int>(count); };
  gemm(CblasRowMajor, order(of.left_transposed), order(of.right_transposed), size(of.rows),
       size(of.columns), size(of.inner), Real{1}, of.left, size(of.left_columns()), of.right,
       size(of.right_columns()), of.keep, of.out, size(of.columns));
}

/// OpenBLAS multiplies floats: factors are widened, and the result rounded, in host memory that is
/// not counted, since a GPU needs none.
template <typename Out>
void openblas_product(const product_arguments<Out, bf16_number>& of) {
  const std::vector<float> left(of.left, of.left + of.rows * of.inner);
  const std::vector<float> right(of.right, of.right + of.inner * of.columns);
  std::vector<float> out(of.out, of.out + of.rows * of.columns);
  openblas_product<float>({.rows = of.rows,
                           .columns = of.columns,
                           .inner = of.inner,
                           .left = left.data(),
                           .left_transposed = of.left_transposed,
                           .right = right.data(),
                           .right_transposed = of.right_transposed,
                           .keep = of.keep,
                           .out = out.data()});
  std::ranges::copy(out, of.out);
}

}  // namespace omnibal::trainer::detail
