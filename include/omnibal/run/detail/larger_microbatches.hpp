// SPDX-License-Identifier: Apache-2.0
/// @file
/// Memory for a few micro-batches that are larger than full packs, in the terms of a planning
/// problem, which knows one size of micro-batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0::detail {

/// The problem whose modes save what they do on average over `in_flight` micro-batches, of which
/// `count` are those of `larger` and the others those of `usual`; transients are those of `larger`.
/// The problems differ in the bytes of modes alone. O(layers · modes).
[[nodiscard]] inline pipeline_problem with_larger(const pipeline_problem& usual,
                                                  const pipeline_problem& larger, std::size_t count,
                                                  std::size_t in_flight) {
  const auto mixed = [&](std::int64_t few, std::int64_t many) {
    const auto all = static_cast<wide_integer>(in_flight);
    const wide_integer part =
        wide_integer{many - few} * static_cast<wide_integer>(std::min(count, in_flight));
    return few + static_cast<std::int64_t>((part + all - 1) / all);
  };
  pipeline_problem problem = usual;
  for (std::size_t l = 0; l < problem.layers.size(); ++l)
    for (std::size_t k = 0; k < problem.layers[l].modes.size(); ++k) {
      recompute_mode& mode = problem.layers[l].modes[k];
      const recompute_mode& most = larger.layers[l].modes[k];
      mode.saved_bytes = mixed(mode.saved_bytes, most.saved_bytes);
      mode.saved_for_weight_gradient =
          mixed(mode.saved_for_weight_gradient, most.saved_for_weight_gradient);
      mode.transient_bytes = most.transient_bytes;
    }
  return problem;
}

}  // namespace omnibal::inline v0::detail
