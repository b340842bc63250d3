// SPDX-License-Identifier: Apache-2.0
/// @file
/// Histograms from which length tables are drawn, so that a table of realistic lengths can be made
/// where the real one is not available.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/core/random.hpp>

namespace omnibal::cli {

/// The integers from `least` to `most`, all equally likely.
struct bucket {
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::uint32_t weight = 0;
};

/// A multiple of an earlier column.
struct column_share {
  std::size_t column = 0;
  std::int64_t factor = 0;
};

/// A column: a draw from its buckets, plus multiples of columns before it.
struct column_shape {
  std::string name;
  std::vector<bucket> buckets;
  std::vector<column_share> shares = {};
  std::uint32_t total_weight = 0;
};

/// A file like
///
///     {"columns": [{"name": "vit_num", "buckets": [[1, 1, 9], [5, 5, 56]]},
///                  {"name": "token_num", "plus": {"vit_num": 256}, "buckets": [[40, 299, 1]]}]}
///
/// where a bucket is [least, most, weight]. Throws invalid_input naming
/// what is wrong. No column can grow past 2^62.
[[nodiscard]] std::vector<column_shape> read_shape(const std::string& path);

/// Draws a row and appends it to `values`. Integers only: the same on every platform.
void draw_row(const std::vector<column_shape>& shape, random_stream& random,
              std::vector<std::int64_t>& values);

}  // namespace omnibal::cli
