// SPDX-License-Identifier: Apache-2.0
/// @file
/// A lower bound on the time of an epoch for any packing, assignment, partition, recomputation and
/// schedule.
///
/// Take a step and a rank that has micro-batches in it. Order its devices by their first virtual
/// stage. Stages are intervals of at least one layer, so at least k layers come before the first
/// stage of device k. Therefore
/// - it starts no earlier than the first micro-batch has passed forward through k layers;
/// - where a backward is not split, its last operation is a backward, after which the micro-batch
///   passes back through at least k layers. A weight gradient may fill this time, and its own step
///   (gradient reduction and optimizer) may too.
/// With the time M of the step, W_d the work of device d, S_d what of its step cannot be
/// overlapped, over p devices
///     p · M ≥ Σ W_d + Σ_k head(k) + max(Σ S_d, Σ_k tail(k)),
/// with head(k) and tail(k) of the sample for which they are least: a micro-batch has at least one.
/// A step takes as long as its longest rank, so at least as long as the mean of those that have
/// micro-batches. That some may have none does not lessen the bound: their work is done by fewer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/run/layer_binding.hpp>

namespace omnibal::inline v0::detail {

/// Nanoseconds.
struct epoch_bound {
  std::int64_t time = 0;
  std::int64_t fill_and_drain = 0;  ///< The part of `time` that heads and tails add.
};

struct bounded_epoch {
  std::span<const loads<2>> samples = {};
  std::span<const layer_cost> chain = {};
  bool splits_backward = false;
  step_overlap overlap = {};
  std::size_t devices = 1;  ///< Per rank.
  std::size_t ranks = 1;
  std::size_t steps = 0;
};

/// Σ over k = 1 … devices − 1 of the least time of a sample through the first k layers, which have
/// these costs. Nanoseconds, rounded down. O(samples · devices).
[[nodiscard]] inline wide_integer least_heads(std::span<const loads<2>> samples,
                                              std::span<const linear_cost> layers,
                                              std::size_t devices) {
  wide_integer sum = 0;
  linear_cost before;
  for (std::size_t k = 0; k + 1 < std::min(devices, layers.size() + 1); ++k) {
    before = before + layers[k];
    wide_integer least = std::numeric_limits<std::int64_t>::max();
    least <<= fixed_point_bits;
    for (const loads<2>& sample : samples)
      least = std::min(least, before.exactly(sample_workload(sample[0], sample[1])));
    sum += least;
  }
  return sum >> fixed_point_bits;
}

/// The weight gradients that a schedule may run beside a micro-batch's way through the layers.
[[nodiscard]] inline linear_cost beside_the_way(const bounded_epoch& epoch) {
  linear_cost sum;
  if (!epoch.splits_backward) return sum;
  for (const layer_cost& layer : epoch.chain) sum = sum + layer.weight_gradient_time;
  return sum;
}

/// Also at least the longest way of a sample forward and back through all layers.
/// O(samples · devices).
[[nodiscard]] inline epoch_bound bound_epoch(const bounded_epoch& epoch) {
  const linear_cost necessary = necessary_time(epoch.chain);
  const linear_cost beside = beside_the_way(epoch);
  wide_integer work = 0;
  wide_integer longest = 0;
  for (const loads<2>& sample : epoch.samples) {
    const workload one = sample_workload(sample[0], sample[1]);
    const wide_integer time = necessary.exactly(one);
    work += time;
    longest = std::max(longest, time - beside.exactly(one));
  }
  wide_integer step = 0;
  std::vector<linear_cost> forward;
  std::vector<linear_cost> backward;
  for (const layer_cost& layer : epoch.chain) {
    step += layer.step_time - (epoch.overlap.reduction ? layer.reduction_time : 0) -
            (epoch.overlap.gather ? layer.gather_time : 0);
    forward.push_back(layer.forward_time);
    backward.push_back(layer.backward_time);
  }
  const wide_integer heads = least_heads(epoch.samples, forward, epoch.devices);
  const wide_integer tails =
      epoch.splits_backward ? 0 : least_heads(epoch.samples, backward, epoch.devices);
  const auto ranks = static_cast<wide_integer>(epoch.ranks);
  const auto devices = static_cast<wide_integer>(epoch.devices) * ranks;
  const auto steps = static_cast<wide_integer>(epoch.steps);
  const auto shared = [&](wide_integer per_rank) {
    return ((work >> fixed_point_bits) + per_rank * ranks * steps) / devices;
  };
  const wide_integer time =
      std::max(shared(heads + std::max(step, tails)), longest >> fixed_point_bits);
  const wide_integer without = std::max(shared(step), longest >> fixed_point_bits);
  return {.time = static_cast<std::int64_t>(time),
          .fill_and_drain = static_cast<std::int64_t>(time - without)};
}

}  // namespace omnibal::inline v0::detail
