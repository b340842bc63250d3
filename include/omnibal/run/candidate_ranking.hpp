// SPDX-License-Identifier: Apache-2.0
/// @file
/// The result of a search that plans candidates on a part of the samples and ranks them: cluster
/// shapes (run/cluster_shape_search.hpp) and schedules (run/schedule_search.hpp).
#pragma once

#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_status.hpp>

namespace omnibal::inline v0 {

template <typename Candidate>
struct candidate_ranking {
  /// Infeasible if none fits; stopped if that is not known of all.
  search_status status = search_status::infeasible;
  search_limit limit = search_limit::none;
  double objective = 0;  ///< Seconds per sample of the first candidate; 0 if none fits.
  double bound = 0;      ///< Proven lower bound for every candidate that was planned.
  std::vector<Candidate> candidates = {};

  [[nodiscard]] bool has_plan() const noexcept {
    return !candidates.empty() && candidates.front().fits;
  }
};

}  // namespace omnibal::inline v0
