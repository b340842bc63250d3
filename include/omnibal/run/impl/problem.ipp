// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline void validate_constraint(const char* field, std::size_t index,
                                std::initializer_list<std::size_t> of, std::size_t layers) {
  for (const std::size_t layer : of)
    if (layer >= layers)
      throw invalid_input(field, index, layer,
                          "must be less than the layers, " + std::to_string(layers));
}

}  // namespace detail

OMNIBAL_INLINE void validate(const run_problem& problem) {
  if (problem.samples.empty())
    throw invalid_input("samples", "nothing", "a run needs at least one sample");
  if (problem.data_parallel == 0 || problem.data_parallel > (std::size_t{1} << 20))
    throw invalid_input("data_parallel", problem.data_parallel, "must be between 1 and 2^20");
  if (problem.global_batch < 1)
    throw invalid_input("global_batch", problem.global_batch, "must be at least 1");
  if (!(problem.batch_tolerance >= 0 && problem.batch_tolerance <= 1))
    throw invalid_input("batch_tolerance", std::to_string(problem.batch_tolerance),
                        "must be between 0 and 1");
  for (std::size_t k = 0; k < problem.together.size(); ++k)
    detail::validate_constraint("together", k,
                                {problem.together[k].first, problem.together[k].second},
                                problem.chain.size());
  for (std::size_t k = 0; k < problem.apart.size(); ++k)
    detail::validate_constraint("apart", k, {problem.apart[k].first, problem.apart[k].second},
                                problem.chain.size());
  for (std::size_t k = 0; k < problem.fixed_cuts.size(); ++k)
    detail::validate_constraint("fixed_cuts", k, {problem.fixed_cuts[k].layer},
                                problem.chain.size());
  if (problem.memory.limit <= problem.memory.reserved)
    throw invalid_input(
        "memory.limit", problem.memory.limit,
        "must be more than memory.reserved, " + std::to_string(problem.memory.reserved));
}

OMNIBAL_INLINE void reserve_vision_stages(run_problem& problem, std::size_t stages) {
  const auto is_vision = [](const layer_cost& layer) {
    return layer.kind == layer_kind::vision || layer.kind == layer_kind::projector;
  };
  const auto end = std::ranges::find_if_not(problem.chain, is_vision);
  const auto tower = static_cast<std::size_t>(end - problem.chain.begin());
  if (tower == 0 || tower == problem.chain.size() ||
      std::any_of(end, problem.chain.end(), is_vision))
    throw invalid_input("vision-stages", stages,
                        "needs a model that begins with its vision layers and has others");
  if (stages == 0) throw invalid_input("vision-stages", stages, "must be at least 1");
  problem.fixed_cuts.push_back({.stage = stages, .layer = tower});
}

}  // namespace omnibal::inline v0
