// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The most Σ saved with transients up to `cap`; −1 if those do not fit.
[[nodiscard]] inline std::int64_t saved_capacity_under(std::span<const activation_limit> limits,
                                                       std::int64_t cap) {
  std::int64_t saved_capacity = std::numeric_limits<std::int64_t>::max();
  for (const activation_limit& one : limits) {
    const std::int64_t left = one.budget - (one.with_transient ? cap : 0);
    if (left < 0) return -1;
    if (one.in_flight > 0) saved_capacity = std::min(saved_capacity, left / one.in_flight);
  }
  return saved_capacity;
}

/// Bytes by which so many saved ones and transients up to `cap` overrun the limits.
[[nodiscard]] inline std::int64_t overrun_of(std::span<const activation_limit> limits,
                                             std::int64_t saved, std::int64_t cap) {
  std::int64_t most = std::numeric_limits<std::int64_t>::min();
  for (const activation_limit& one : limits)
    most = std::max(most, one.in_flight * saved + (one.with_transient ? cap : 0) - one.budget);
  return most;
}

}  // namespace detail

OMNIBAL_INLINE recompute_chooser::recompute_chooser(std::span<const pipeline_layer> layers,
                                                    recompute_options options)
    : options_(options) {
  group_layers(layers);
  caps_of_all_modes();
}

OMNIBAL_INLINE recompute_chooser::recompute_chooser(const recompute_chooser& other) = default;
OMNIBAL_INLINE recompute_chooser::recompute_chooser(recompute_chooser&& other) noexcept = default;
OMNIBAL_INLINE recompute_chooser& recompute_chooser::operator=(recompute_chooser&& other) noexcept =
    default;
OMNIBAL_INLINE recompute_chooser::~recompute_chooser() = default;

OMNIBAL_INLINE recompute_chooser& recompute_chooser::operator=(const recompute_chooser& other) {
  return *this = recompute_chooser(other);
}

OMNIBAL_INLINE std::int64_t recompute_chooser::least_overrun(
    std::size_t begin, std::size_t end, std::span<const activation_limit> limits) {
  count_classes(begin, end);
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t cap : caps_) {
    const std::int64_t saved = least_saved_under(cap);
    if (saved >= 0) least = std::min(least, detail::overrun_of(limits, saved, cap));
  }
  return least;
}

OMNIBAL_INLINE std::size_t recompute_chooser::layer_class::count(std::size_t begin,
                                                                 std::size_t end) const {
  const auto first = std::ranges::lower_bound(layers, begin);
  return static_cast<std::size_t>(std::lower_bound(first, layers.end(), end) - first);
}

OMNIBAL_INLINE void recompute_chooser::group_layers(std::span<const pipeline_layer> layers) {
  // Classes by figures that few others share: only those are compared with a layer.
  std::multimap<std::array<std::int64_t, 3>, std::size_t> known;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::vector<recompute_mode>& modes = layers[l].modes;
    std::array<std::int64_t, 3> key{};
    if (!modes.empty())
      key = {modes.front().saved_bytes, modes.back().saved_bytes, modes.back().extra_time};
    const auto [first, last] = known.equal_range(key);
    const auto found = std::find_if(
        first, last, [&](const auto& one) { return classes_[one.second].modes == modes; });
    const std::size_t index = found == last ? classes_.size() : found->second;
    if (found == last) {
      known.emplace(key, index);
      classes_.push_back({.modes = modes});
    }
    classes_[index].layers.push_back(l);
    class_of_.push_back(index);
  }
}

OMNIBAL_INLINE void recompute_chooser::caps_of_all_modes() {
  for (const layer_class& one : classes_)
    for (const recompute_mode& mode : one.modes) caps_.push_back(mode.transient_bytes);
  std::ranges::sort(caps_);
  caps_.erase(std::unique(caps_.begin(), caps_.end()), caps_.end());
}

OMNIBAL_INLINE void recompute_chooser::count_classes(std::size_t begin, std::size_t end) {
  present_.clear();
  for (std::size_t c = 0; c < classes_.size(); ++c)
    if (const std::size_t count = classes_[c].count(begin, end); count > 0)
      present_.push_back({c, static_cast<std::int64_t>(count)});
}

OMNIBAL_INLINE std::int64_t recompute_chooser::least_saved_under(std::int64_t cap) const {
  std::int64_t saved = 0;
  for (const auto& [c, count] : present_) {
    std::int64_t least = -1;
    for (const recompute_mode& mode : classes_[c].modes)
      if (mode.transient_bytes <= cap && (least < 0 || mode.saved_bytes < least))
        least = mode.saved_bytes;
    if (least < 0) return -1;
    saved += count * least;
  }
  return saved;
}

OMNIBAL_INLINE recompute_result recompute_chooser::solve(std::size_t begin, std::size_t end,
                                                         std::span<const activation_limit> limits,
                                                         bool want_modes) {
  count_classes(begin, end);
  best_ = std::numeric_limits<std::int64_t>::max();
  best_counts_.clear();
  exhausted_ = false;
  std::int64_t bound = std::numeric_limits<std::int64_t>::max();
  std::int64_t bytes_short = std::numeric_limits<std::int64_t>::max();
  constexpr std::size_t most_relaxed = 100'000;
  for (const std::int64_t cap : caps_) {
    if (!best_counts_.empty() && stopped() &&
        (options_.control.stop_requested() || relaxation_cost() > most_relaxed)) {
      exhausted_ = true;
      bound = std::min(bound, minimum_time_extra());
      break;
    }
    const std::int64_t saved = least_saved_under(cap);
    if (saved < 0) continue;
    const std::int64_t saved_capacity = detail::saved_capacity_under(limits, cap);
    if (saved > saved_capacity) {
      bytes_short = std::min(bytes_short, detail::overrun_of(limits, saved, cap));
      continue;
    }
    bound = std::min(bound, improve_under(cap, saved_capacity));
  }
  if (present_.empty()) return {.status = search_status::optimal};
  if (best_counts_.empty())
    return {.status = search_status::infeasible, .bytes_short = bytes_short};
  const std::int64_t proven = best_ > limit_ ? std::max(limit_ + 1, bound) : best_;
  recompute_result choice{.objective = best_,
                          .bound = std::min(exhausted_ ? bound : proven, best_)};
  choice.status = choice.bound < best_ ? search_status::stopped : search_status::optimal;
  if (want_modes) choice.modes = modes_of_layers(begin, end);
  if (exhausted_) {
    // The buffers of a stage that is hard would be held for all others.
    frontier_.clear();
    assignments_.clear();
    assignment_counts_.clear();
  }
  return choice;
}

OMNIBAL_INLINE std::int64_t recompute_chooser::improve_under(std::int64_t cap,
                                                             std::int64_t capacity) {
  // What the relaxation costs, in points.
  work_ += 16 * present_.size();
  collect_candidates(cap);
  const multiplier lambda = relax(capacity);
  const wide_integer optimum = lagrangian(lambda, capacity);
  // Extra times are integers: a choice improves only if it is less than best_ by 1 at least.
  const wide_integer slack =
      static_cast<wide_integer>(lambda.denominator) * std::min(best_ - 1, limit_) - optimum;
  const auto bound = static_cast<std::int64_t>(
      optimum <= 0 ? 0 : (optimum + lambda.denominator - 1) / lambda.denominator);
  if (slack >= 0) search(lambda, capacity, slack);
  return bound;
}

OMNIBAL_INLINE void recompute_chooser::collect_candidates(std::int64_t cap) {
  candidates_.resize(present_.size());
  for (std::size_t k = 0; k < present_.size(); ++k) {
    const std::vector<recompute_mode>& modes = classes_[present_[k].index].modes;
    std::vector<std::uint32_t>& pareto = candidates_[k];
    pareto.clear();
    for (std::uint32_t m = 0; m < modes.size(); ++m)
      if (modes[m].transient_bytes <= cap) pareto.push_back(m);
    std::ranges::sort(pareto, [&](std::uint32_t left, std::uint32_t right) {
      return modes[left].saved_bytes != modes[right].saved_bytes
                 ? modes[left].saved_bytes < modes[right].saved_bytes
                 : modes[left].extra_time < modes[right].extra_time;
    });
    std::size_t last = 0;
    for (std::size_t m = 1; m < pareto.size(); ++m)
      if (modes[pareto[m]].extra_time < modes[pareto[last]].extra_time) pareto[++last] = pareto[m];
    pareto.resize(last + 1);
  }
}

OMNIBAL_INLINE void recompute_chooser::collect_upgrades() {
  upgrades_.clear();
  for (std::size_t k = 0; k < present_.size(); ++k) {
    const std::vector<recompute_mode>& modes = classes_[present_[k].index].modes;
    const std::vector<std::uint32_t>& pareto = candidates_[k];
    for (std::size_t at = 0; at + 1 < pareto.size();) {
      std::size_t next = at + 1;
      for (std::size_t m = at + 2; m < pareto.size(); ++m)
        if (steeper(modes[pareto[at]], modes[pareto[m]], modes[pareto[next]])) next = m;
      upgrades_.push_back(
          {.of_class = k,
           .from = pareto[at],
           .to = pareto[next],
           .saved = modes[pareto[at]].extra_time - modes[pareto[next]].extra_time,
           .cost = modes[pareto[next]].saved_bytes - modes[pareto[at]].saved_bytes});
      at = next;
    }
  }
  std::ranges::stable_sort(upgrades_, [](const upgrade& left, const upgrade& right) {
    return static_cast<wide_integer>(left.saved) * right.cost >
           static_cast<wide_integer>(right.saved) * left.cost;
  });
}

OMNIBAL_INLINE bool recompute_chooser::steeper(const recompute_mode& from,
                                               const recompute_mode& left,
                                               const recompute_mode& right) {
  return static_cast<wide_integer>(from.extra_time - left.extra_time) *
             (right.saved_bytes - from.saved_bytes) >=
         static_cast<wide_integer>(from.extra_time - right.extra_time) *
             (left.saved_bytes - from.saved_bytes);
}

OMNIBAL_INLINE recompute_chooser::multiplier recompute_chooser::relax(std::int64_t capacity) {
  collect_upgrades();
  start_with_minimum_memory();
  std::int64_t left = capacity;
  std::int64_t extra = 0;
  for (std::size_t k = 0; k < present_.size(); ++k) {
    left -= present_[k].count * mode_at(k, 0).saved_bytes;
    extra += present_[k].count * mode_at(k, 0).extra_time;
  }
  multiplier lambda;
  for (const upgrade& step : upgrades_) {
    std::vector<std::int64_t>& counts = greedy_counts_[step.of_class];
    const std::int64_t count = std::min(counts[step.from], left / step.cost);
    if (count < present_[step.of_class].count && lambda.numerator == 0)
      lambda = {step.saved, step.cost};
    counts[step.from] -= count;
    counts[step.to] += count;
    left -= count * step.cost;
    extra -= count * step.saved;
  }
  if (extra < best_) {
    best_ = extra;
    best_counts_ = greedy_counts_;
  }
  return lambda;
}

OMNIBAL_INLINE void recompute_chooser::start_with_minimum_memory() {
  greedy_counts_.resize(present_.size());
  for (std::size_t k = 0; k < present_.size(); ++k) {
    greedy_counts_[k].assign(classes_[present_[k].index].modes.size(), 0);
    greedy_counts_[k][candidates_[k].front()] = present_[k].count;
  }
}

OMNIBAL_INLINE const recompute_mode& recompute_chooser::mode_at(std::size_t k,
                                                                std::size_t candidate) const {
  return classes_[present_[k].index].modes[candidates_[k][candidate]];
}

OMNIBAL_INLINE wide_integer recompute_chooser::lagrangian_of(const recompute_mode& mode,
                                                             const multiplier& lambda) {
  return static_cast<wide_integer>(lambda.denominator) * mode.extra_time +
         static_cast<wide_integer>(lambda.numerator) * mode.saved_bytes;
}

OMNIBAL_INLINE wide_integer recompute_chooser::lagrangian(const multiplier& lambda,
                                                          std::int64_t capacity) {
  wide_integer sum = -static_cast<wide_integer>(lambda.numerator) * capacity;
  floor_.clear();
  for (std::size_t k = 0; k < present_.size(); ++k) {
    wide_integer least = lagrangian_of(mode_at(k, 0), lambda);
    for (std::size_t m = 1; m < candidates_[k].size(); ++m)
      least = std::min(least, lagrangian_of(mode_at(k, m), lambda));
    floor_.push_back(least);
    sum += present_[k].count * least;
  }
  return sum;
}

OMNIBAL_INLINE void recompute_chooser::enumerate_assignments(std::size_t k,
                                                             const multiplier& lambda,
                                                             wide_integer slack) {
  assignments_[k].clear();
  assignment_counts_[k].clear();
  counts_.assign(candidates_[k].size(), 0);
  std::size_t used = 0;
  for (std::size_t before = 0; before < k; ++before) used += assignments_[before].size();
  const std::size_t all = options_.point_limit / 4;
  most_assignments_ = std::max({std::size_t{1}, all / present_.size(), all - std::min(all, used)});
  if (enumerate_counts(k, lambda, slack, 0, present_[k].count, {})) return;
  exhausted_ = true;
  point relaxed;
  assignment_counts_[k].clear();
  for (std::size_t m = 0; m < candidates_[k].size(); ++m) {
    const recompute_mode& mode = mode_at(k, m);
    const std::int64_t count = greedy_counts_[k][candidates_[k][m]];
    relaxed.saved += count * mode.saved_bytes;
    relaxed.extra += count * mode.extra_time;
    relaxed.penalty += count * (lagrangian_of(mode, lambda) - floor_[k]);
    assignment_counts_[k].push_back(count);
  }
  assignments_[k].assign(1, relaxed);
}

OMNIBAL_INLINE bool recompute_chooser::enumerate_counts(std::size_t k, const multiplier& lambda,
                                                        wide_integer slack, std::size_t candidate,
                                                        std::int64_t left, point sum) {
  const recompute_mode& mode = mode_at(k, candidate);
  const wide_integer penalty = lagrangian_of(mode, lambda) - floor_[k];
  const bool last = candidate + 1 == candidates_[k].size();
  for (std::int64_t count = last ? left : 0; count <= left; ++count) {
    if (sum.penalty + count * penalty > slack) return true;
    if (++work_ % 1024 == 0 && stopped()) return false;
    counts_[candidate] = count;
    const point next{.saved = sum.saved + count * mode.saved_bytes,
                     .extra = sum.extra + count * mode.extra_time,
                     .penalty = sum.penalty + count * penalty};
    if (last) {
      if (assignments_[k].size() >= most_assignments_) return false;
      assignments_[k].push_back(next);
      assignment_counts_[k].insert(assignment_counts_[k].end(), counts_.begin(), counts_.end());
    } else if (!enumerate_counts(k, lambda, slack, candidate + 1, left - count, next)) {
      return false;
    }
  }
  return true;
}

OMNIBAL_INLINE void recompute_chooser::search(const multiplier& lambda, std::int64_t capacity,
                                              wide_integer slack) {
  assignments_.resize(present_.size());
  assignment_counts_.resize(present_.size());
  for (std::size_t k = 0; k < present_.size(); ++k) enumerate_assignments(k, lambda, slack);

  frontier_.resize(present_.size() + 1);
  frontier_[0].assign(1, point{});
  std::size_t stored = 1;
  std::int64_t minimum_rest = 0;
  for (std::size_t k = 0; k < present_.size(); ++k)
    minimum_rest += present_[k].count * mode_at(k, 0).saved_bytes;
  for (std::size_t k = 0; k < present_.size(); ++k) {
    minimum_rest -= present_[k].count * mode_at(k, 0).saved_bytes;
    extend_frontier(k, capacity - minimum_rest, slack, stored);
    if (frontier_[k + 1].empty()) return;
    stored += frontier_[k + 1].size();
  }
  const point& fastest = frontier_[present_.size()].back();
  if (fastest.extra < best_) {
    best_ = fastest.extra;
    remember(present_.size(), frontier_[present_.size()].size() - 1);
  }
}

OMNIBAL_INLINE void recompute_chooser::extend_frontier(std::size_t k, std::int64_t capacity,
                                                       wide_integer slack, std::size_t stored) {
  // Half of the points for the frontiers so far, half for the one that is being made. Classes that
  // come late have their share of the former in any case.
  const std::size_t share = std::max<std::size_t>(1, options_.point_limit / 4 / present_.size());
  const std::size_t unused = options_.point_limit / 2 - std::min(options_.point_limit / 2, stored);
  const std::size_t most = std::max(share, unused);
  const std::size_t most_before_reduction = std::max(2 * share, options_.point_limit / 2);
  std::vector<point>& next = frontier_[k + 1];
  next.clear();
  for (std::uint32_t parent = 0; parent < frontier_[k].size(); ++parent) {
    if (stopped()) {
      exhausted_ = true;
      next.clear();
      return;
    }
    if (next.size() > most_before_reduction) {
      keep_pareto_optimal(next);
      approximate(next, most_before_reduction / 2);
    }
    work_ += assignments_[k].size();
    for (std::uint32_t assignment = 0; assignment < assignments_[k].size(); ++assignment) {
      const point& left = frontier_[k][parent];
      const point& right = assignments_[k][assignment];
      if (left.saved + right.saved > capacity || left.penalty + right.penalty > slack) continue;
      next.push_back({left.saved + right.saved, left.extra + right.extra,
                      left.penalty + right.penalty, parent, assignment});
    }
  }
  keep_pareto_optimal(next);
  approximate(next, most);
}

OMNIBAL_INLINE void recompute_chooser::keep_pareto_optimal(std::vector<point>& points) {
  std::ranges::sort(points, [](const point& left, const point& right) {
    return left.saved != right.saved ? left.saved < right.saved : left.extra < right.extra;
  });
  std::size_t last = 0;
  for (std::size_t at = 1; at < points.size(); ++at)
    if (points[at].extra < points[last].extra) points[++last] = points[at];
  if (!points.empty()) points.resize(last + 1);
}

OMNIBAL_INLINE void recompute_chooser::approximate(std::vector<point>& points, std::size_t most) {
  if (points.size() <= most) return;
  exhausted_ = true;
  for (std::size_t run = 0; run < most; ++run) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(points.size() * run / most);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>(points.size() * (run + 1) / most);
    points[run] = *std::ranges::min_element(begin, end, {}, &point::penalty);
  }
  points.resize(most);
}

OMNIBAL_INLINE bool recompute_chooser::stopped() {
  return work_ > options_.work_limit || options_.control.stop_requested();
}

OMNIBAL_INLINE std::int64_t recompute_chooser::minimum_time_extra() const {
  std::int64_t sum = 0;
  for (const auto& [c, count] : present_)
    sum += count *
           std::ranges::min_element(classes_[c].modes, {}, &recompute_mode::extra_time)->extra_time;
  return sum;
}

OMNIBAL_INLINE void recompute_chooser::remember(std::size_t k, std::size_t at) {
  best_counts_.assign(present_.size(), {});
  for (; k > 0; --k) {
    const point& chosen = frontier_[k][at];
    const std::size_t width = candidates_[k - 1].size();
    best_counts_[k - 1].assign(classes_[present_[k - 1].index].modes.size(), 0);
    for (std::size_t m = 0; m < width; ++m)
      best_counts_[k - 1][candidates_[k - 1][m]] =
          assignment_counts_[k - 1][chosen.assignment * width + m];
    at = chosen.parent;
  }
}

OMNIBAL_INLINE std::vector<std::size_t> recompute_chooser::modes_of_layers(std::size_t begin,
                                                                           std::size_t end) {
  std::vector<std::size_t> modes;
  modes.reserve(end - begin);
  for (std::size_t l = begin; l < end; ++l) {
    std::size_t k = 0;
    while (present_[k].index != class_of_[l]) ++k;
    std::size_t mode = best_counts_[k].size() - 1;
    while (best_counts_[k][mode] == 0) --mode;
    --best_counts_[k][mode];
    modes.push_back(mode);
  }
  return modes;
}

OMNIBAL_INLINE recompute_result choose_recomputation(const recompute_problem& problem,
                                                     const recompute_options& options) {
  if (problem.in_flight == 0)
    throw invalid_input("in_flight", problem.in_flight, "must be at least 1");
  if (problem.budget < 0) throw invalid_input("budget", problem.budget, "must not be negative");
  validate(
      pipeline_problem{.schedule = {.microbatches = problem.in_flight}, .layers = problem.layers});
  recompute_chooser chooser(problem.layers, options);
  recompute_result choice = chooser.choose(
      0, problem.layers.size(), static_cast<std::int64_t>(problem.in_flight), problem.budget);
  choice.limit = limit_of(choice.status, options.control);
  return choice;
}

}  // namespace omnibal::inline v0
