// SPDX-License-Identifier: Apache-2.0
/// @file
/// The time of a stage at the end of a step: what its layers take once per step (gradient
/// reduction, optimizer), and what stays of reductions and gathers that a trainer overlaps.
///
///     const omnibal::stage_step_times ends(problem);
///     const std::int64_t time = ends.time({first_layer, end_layer});
///
/// A reduction that is overlapped runs beside the backward of the stage's last micro-batch: layers
/// become ready from the last to the first, each when its backward has ended, and are reduced one
/// after the other. With r the reductions and b the backwards of layers i … j − 1, what stays after
/// the backward is the largest over l of Σ r(i … l) − Σ b(i … l − 1). At most the time of that
/// backward is hidden, and never the reduction of the first layer. A gather that is overlapped runs
/// beside the forward of the stage's first micro-batch in the order of layers, each before its
/// forward, and the same holds with the forwards.
///
/// This counts too little as hidden rather than too much: only time of the stage itself hides it,
/// backwards count without recomputation and on the fastest device, and where W is an operation of
/// its own, W alone. Communication is taken not to slow computation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/static_memory.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// What stays of transfers, one per layer, that computation of the layers before it hides.
class exposed_transfers {
 public:
  void add(std::int64_t transfer, std::int64_t hiding);
  void finish();

  /// Of layers begin … end − 1, at least one: the largest over l of Σ transfers up to l − Σ hiding
  /// before l. O(1).
  [[nodiscard]] std::int64_t of(std::size_t begin, std::size_t end) const;

 private:
  std::vector<std::int64_t> before_ = {0};  ///< Σ transfers − Σ hiding of first layers.
  std::vector<std::vector<std::int64_t>> highest_ = {{}};  ///< Over 2^k layers, by k and the first.
};

}  // namespace detail

/// The times of any interval of layers at the end of a step.
class stage_step_times {
 public:
  /// O(layers · log layers). Precondition: the problem is valid.
  explicit stage_step_times(const pipeline_problem& problem);

  /// What a stage of these layers takes after its device's last operation. O(1).
  [[nodiscard]] std::int64_t time(const layer_range& layers) const;

  /// The part of it that is not overlapped and hence grows with the interval. O(1).
  [[nodiscard]] std::int64_t fixed(const layer_range& layers) const;

  /// What is hidden of its reductions and gathers. O(1).
  [[nodiscard]] std::int64_t hidden(const layer_range& layers) const;

 private:
  [[nodiscard]] std::int64_t exposed(const layer_range& layers) const;

  std::vector<std::int64_t> step_before_ = {0};
  std::vector<std::int64_t> overlapped_before_ = {0};
  detail::exposed_transfers reductions_;
  detail::exposed_transfers gathers_;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/step_times.ipp>
#endif
