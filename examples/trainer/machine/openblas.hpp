// SPDX-License-Identifier: Apache-2.0
/// @file
/// Products by OpenBLAS.
#pragma once

#include <concepts>
#include <cstddef>

#include <cblas.h>

#include "product.hpp"

namespace omnibal::trainer::detail {

/// From now on products run on the thread that asks for them: with several, the order of sums would
/// depend on their number.
inline void use_one_thread() { openblas_set_num_threads(1); }

template <typename Real>
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

}  // namespace omnibal::trainer::detail
