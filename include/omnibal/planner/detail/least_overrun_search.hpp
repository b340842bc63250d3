// SPDX-License-Identifier: Apache-2.0
/// @file
/// The partition of devices with several virtual stages that overruns their memory the least: where
/// nothing fits, how much every device lacks.
#pragma once

#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/interleaved_stages.hpp>
#include <omnibal/planner/detail/partition_local_search.hpp>

namespace omnibal::inline v0::detail {

/// The least largest overrun, over all partitions if they are few, otherwise over those that a
/// search for one that fits has measured and as many others as a count of operations allows.
class least_overrun_search {
 public:
  least_overrun_search(const pipeline_problem& problem, interleaved_stages& stages,
                       const search_control& control)
      : problem_(problem),
        stages_(stages),
        control_(control),
        total_(problem.schedule.total_stages()) {}

  [[nodiscard]] const interleaved_stages::measured_cuts& solve() {
    // Below none as well: the more is left, the easier it is to assign modes.
    if (stages_.least_overrun().fits())
      improve_cuts([&] { return stages_.least_overrun().cuts; },
                   [&](const auto& cuts) { return consider(cuts); }, [&] { return stopped(); });
    cuts_ = {0};
    extend();
    return stages_.least_overrun();
  }

 private:
  [[nodiscard]] bool stopped() const {
    constexpr std::size_t operation_limit = 50'000;
    return operations_ > operation_limit || control_.stop_requested();
  }

  bool consider(const std::vector<std::size_t>& cuts) {
    const bool enough = stopped() && !stages_.least_overrun().cuts.empty();
    if (enough || !stages_.is_partition(cuts)) return false;
    operations_ += total_;
    return stages_.keep_less_overrun(cuts);
  }

  /// Adds stages to the first ones in cuts_.
  void extend() {
    const std::size_t stage = cuts_.size() - 1;
    const std::size_t left = total_ - stage;
    if (left == 1) {
      cuts_.push_back(problem_.layers.size());
      (void)consider(cuts_);
      cuts_.pop_back();
      return;
    }
    for (std::size_t cut = cuts_.back() + 1; cut + left <= problem_.layers.size() + 1; ++cut) {
      ++operations_;
      if (stopped()) return;
      if (!stages_.rules().allows(stage, cuts_.back(), cut)) continue;
      cuts_.push_back(cut);
      extend();
      cuts_.pop_back();
    }
  }

  const pipeline_problem& problem_;
  interleaved_stages& stages_;
  const search_control& control_;
  std::size_t total_;
  std::size_t operations_ = 0;
  std::vector<std::size_t> cuts_;
};

}  // namespace omnibal::inline v0::detail
