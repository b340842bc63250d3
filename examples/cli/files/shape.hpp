// SPDX-License-Identifier: Apache-2.0
/// @file
/// Histograms from which length tables are drawn, so that a table of realistic lengths can be made
/// where the real one is not available.
#pragma once

#include <string>
#include <vector>

#include <omnibal/dataset/length_shape.hpp>

namespace omnibal::cli {

/// A file like
///
///     {"columns": [{"name": "vit_num", "buckets": [[1, 1, 9], [5, 5, 56]]},
///                  {"name": "token_num", "plus": {"vit_num": 256}, "buckets": [[40, 299, 1]]}]}
///
/// where a bucket is [least, most, weight]. Throws invalid_input naming what is wrong.
[[nodiscard]] std::vector<length_column> read_shape(const std::string& path);

}  // namespace omnibal::cli
