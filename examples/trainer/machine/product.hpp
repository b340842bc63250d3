// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a matrix product is, in the words of all its implementations.
#pragma once

#include <cstddef>

#include "number.hpp"

namespace omnibal::trainer::detail {

/// out = left · right + keep · out. Matrices are stored row by row, without gaps; a transposed
/// factor has as many columns in memory as it has rows in the product. Sums are wide.
template <typename Out, typename In = Out>
struct product_arguments {
  std::size_t rows = 0;     ///< Of out.
  std::size_t columns = 0;  ///< Of out.
  std::size_t inner = 0;    ///< Columns of left and rows of right, at least 1.
  const In* left = nullptr;
  bool left_transposed = false;
  const In* right = nullptr;
  bool right_transposed = false;
  wide<Out> keep = 0;
  Out* out = nullptr;

  /// Columns in memory.
  [[nodiscard]] std::size_t left_columns() const noexcept { return left_transposed ? rows : inner; }
  [[nodiscard]] std::size_t right_columns() const noexcept {
    return right_transposed ? inner : columns;
  }
};

}  // namespace omnibal::trainer::detail
