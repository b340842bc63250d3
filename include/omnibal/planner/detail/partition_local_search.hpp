// SPDX-License-Identifier: Apache-2.0
/// @file
/// Local search over partitions: consecutive cuts move together by one layer, which moves a layer
/// from one stage to another and shifts all stages between them.
#pragma once

#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Calls consider(neighbour) until no neighbour of best() is better or done() returns true.
/// consider() returns whether the neighbour is better than the best plan and, if so, makes it the
/// best; it must reject neighbours that are no partitions. O(cuts²) neighbours per step.
template <typename Best, typename Consider, typename Done>
void improve_cuts(const Best& best, const Consider& consider, const Done& done) {
  const auto step = [&] {
    const std::vector<std::size_t> cuts = best();
    for (std::size_t first = 1; first + 1 < cuts.size(); ++first)
      for (std::size_t last = first; last + 1 < cuts.size(); ++last)
        for (const bool up : {true, false}) {
          std::vector<std::size_t> moved = cuts;
          for (std::size_t j = first; j <= last; ++j) moved[j] = up ? cuts[j] + 1 : cuts[j] - 1;
          if (consider(moved)) return true;
        }
    return false;
  };
  while (!done() && step()) {
  }
}

}  // namespace omnibal::inline v0::detail
