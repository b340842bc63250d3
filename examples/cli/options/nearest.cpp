// SPDX-License-Identifier: Apache-2.0
#include "options/nearest.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace omnibal::cli {
namespace {

/// Optimal string alignment distance: Levenshtein's with swaps of neighbours, three rows at a time.
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> before;
  std::vector<std::size_t> above(right.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::vector<std::size_t> row = {i};
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t change = left[i - 1] == right[j - 1] ? 0 : 1;
      row.push_back(std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change}));
      if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, std::move(row));
  }
  return above.back();
}

}  // namespace

std::optional<std::string> nearest(std::string_view text, std::span<const std::string> words) {
  std::optional<std::string> best;
  std::size_t least = std::max<std::size_t>(1, text.size() / 3) + 1;
  for (const std::string& word : words)
    if (const std::size_t distance = edit_distance(text, word); distance < least) {
      least = distance;
      best = word;
    }
  return best;
}

}  // namespace omnibal::cli
