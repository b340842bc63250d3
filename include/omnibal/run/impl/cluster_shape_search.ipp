// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <tuple>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/detail/kept_samples.hpp>
#include <omnibal/run/detail/part_outcome.hpp>
#include <omnibal/run/plan_run.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// tp · pp · dp = devices.
[[nodiscard]] inline std::vector<cluster_shape> divisions(std::int64_t devices,
                                                          std::int64_t most_tensor_parallel) {
  std::vector<cluster_shape> shapes;
  for (std::int64_t tensor = 1; tensor <= std::min(devices, most_tensor_parallel); ++tensor) {
    if (devices % tensor != 0) continue;
    for (std::int64_t stages = 1; stages <= devices / tensor; ++stages)
      if (devices / tensor % stages == 0)
        shapes.push_back({static_cast<std::size_t>(devices / tensor / stages),
                          static_cast<std::size_t>(stages), tensor});
  }
  return shapes;
}

[[nodiscard]] inline shape_candidate plan_shape(const shape_problem& problem,
                                                const cluster_shape& shape,
                                                const run_options& options, bool whole) {
  shape_candidate candidate{.shape = shape, .bytes_short = part_outcome::unknown};
  std::vector<layer_cost> chain;
  try {
    chain = problem.layer_costs(shape);
  } catch (const invalid_input& error) {
    candidate.passed_over = error.what();
    return candidate;
  }
  run_problem run = problem.run;
  run.chain = chain;
  run.stages = shape.stages;
  run.data_parallel = shape.data_parallel;
  validate(run);
  const part_outcome outcome = plan_part(run, options, {.whole = whole});
  take(candidate, outcome);
  candidate.nearest_batch = outcome.nearest_batch;
  return candidate;
}

/// All but the constraints, which name layers that no shape has given yet.
inline void validate_without_layers(run_problem run) {
  run.together.clear();
  run.apart.clear();
  run.fixed_cuts.clear();
  validate(run);
}

}  // namespace detail

OMNIBAL_INLINE shape_search_result rank_shapes(const shape_problem& problem,
                                               const shape_search_options& options) {
  if (problem.devices < 1 || problem.devices > (std::int64_t{1} << 20))
    throw invalid_input("devices", problem.devices, "must be between 1 and 2^20");
  shape_problem part = problem;
  const std::vector<vision_language_sample> samples =
      detail::part_of_samples(problem.run, options.sample_limit);
  part.run.samples = samples;
  detail::validate_without_layers(part.run);
  const bool whole = samples.size() < options.sample_limit;
  const search_control& control = options.plans.control;
  shape_search_result result;
  const auto shapes = detail::divisions(problem.devices, problem.node_devices);
  bool fits = false;
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    if (detail::ends_early(options, fits, k)) {
      result.limit = search_limit::stop;
      break;
    }
    control.report_progress("cluster shapes", k, shapes.size());
    result.candidates.push_back(
        detail::plan_shape(part, shapes[k], detail::options_of_part(options, fits), whole));
    fits = fits || result.candidates.back().fits;
  }
  if (options.give_up.stop_requested()) result.limit = search_limit::stop;
  const auto rank = [&](const shape_candidate& one) {
    const std::int64_t away = one.nearest_batch > 0
                                  ? std::abs(one.nearest_batch - problem.run.global_batch)
                                  : std::numeric_limits<std::int64_t>::max();
    return std::tuple(!one.fits, one.time_per_sample, one.bytes_short, away);
  };
  std::ranges::stable_sort(result.candidates, {}, rank);
  detail::rate(result);
  return result;
}

}  // namespace omnibal::inline v0
