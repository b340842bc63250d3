// SPDX-License-Identifier: Apache-2.0
/// @file
/// Recomputation for devices with several virtual stages, which share the memory: a partition has
/// no single best choice of modes, but a Pareto frontier of choices per device.
///
/// A chunk is one virtual stage of the device. Its choices of modes reduce to the Pareto-optimal
/// points (saved, transient, extra). A choice for the device takes one point per chunk and must fit
/// at all peak events of the device (pipeline/memory.hpp). Points that cannot fit together with the
/// minimum-memory points of the other chunks, and points above a cap on the extra time that the
/// caller gives, are left out before they are combined.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0::detail {

/// A choice of modes for a device: Σ extra per chunk, and the modes of their layers in order.
struct device_choice {
  std::vector<std::int64_t> extra = {};
  std::vector<std::size_t> modes = {};
};

struct device_choices {
  std::vector<device_choice> pareto = {};  ///< Empty if nothing fits under the caps.
  bool proven = true;  ///< Whether they dominate or equal every other choice under the caps.
};

/// Chooses modes for any ranges of one problem's chain. Keeps a reference: the problem must outlive
/// it.
class device_mode_chooser {
 public:
  static constexpr std::size_t point_limit = 20'000;       ///< Most points enumerated per chunk.
  static constexpr std::size_t split_point_limit = 2'000;  ///< The same where modes differ in W.
  static constexpr std::size_t choice_limit = 2'000'000;   ///< Most choices enumerated per device.
  static constexpr std::size_t held_limit = 4'000'000;  ///< Most points stored, of 40 bytes each.

  /// A stop request makes every further choice a conservative one.
  explicit device_mode_chooser(const pipeline_problem& problem, const search_control& control = {})
      : problem_(problem),
        fixed_(problem),
        control_(control),
        varies_(problem.schedule.splits_backward() && !keeps_the_same_in_all_modes(problem)) {
    const kept_bytes kept = kept_by_modes(problem);
    for (std::size_t d = 0; d < problem.schedule.stages; ++d)
      events_.push_back(peak_events(problem.schedule, d, kept));
    for (const pipeline_layer& one : problem.layers)
      kept_before_.push_back(kept_before_.back() +
                             (varies_ ? 0 : one.modes.front().saved_for_weight_gradient));
  }

  [[nodiscard]] const std::vector<peak_event>& events(std::size_t device) const {
    return events_[device];
  }
  [[nodiscard]] const static_memory& fixed() const noexcept { return fixed_; }

  /// The extra times that a chunk of these layers can have, rising; empty if there are too many.
  [[nodiscard]] std::vector<std::int64_t> extras(const layer_range& chunk) {
    make_room();
    std::vector<std::int64_t> extras;
    for (const point& one : points_of(chunk)) extras.push_back(one.extra);
    std::ranges::sort(extras);
    return extras;
  }

  /// The choices for a device with these layers, one range per chunk, with every chunk's extra at
  /// most its cap. Pseudo-polynomial: the product of the numbers of points of the chunks.
  [[nodiscard]] device_choices choices(std::size_t device, std::span<const layer_range> chunks,
                                       std::span<const std::int64_t> caps) {
    make_room();
    device_choices found;
    combination all{.device = device, .chunks = chunks, .budget = budget(device, chunks)};
    if (!take_points(all)) {
      found.proven = false;
      device_choice one = conservative(device, chunks);
      if (!one.extra.empty()) found.pareto.push_back(std::move(one));
      return found;
    }
    list_points(all, caps);
    all.loads.assign(chunks.size() + 1, all.floors);
    std::vector<picked_points> pareto;
    combine(all, 0, pareto);
    for (picked_points& one : pareto)
      found.pareto.push_back({.extra = std::move(one.extra), .modes = modes_of(all, one.points)});
    if (all.steps > choice_limit) found.proven = false;
    return found;
  }

  /// The choice of least extra time that fits even if all chunks had their most micro-batches in
  /// flight at once: one knapsack, with layers weighted by that number. Empty if none fits.
  [[nodiscard]] device_choice conservative(std::size_t device,
                                           std::span<const layer_range> chunks) const {
    std::vector<std::size_t> whole(chunks.size(), 0);
    std::vector<std::size_t> waiting(chunks.size(), 0);
    for (const peak_event& event : events_[device])
      for (std::size_t c = 0; c < chunks.size(); ++c) {
        whole[c] = std::max(whole[c], event.whole[c]);
        waiting[c] = std::max(waiting[c], event.waiting[c]);
      }
    std::vector<pipeline_layer> weighed;
    for (std::size_t c = 0; c < chunks.size(); ++c)
      for (std::size_t l = chunks[c].begin; l < chunks[c].end; ++l) {
        weighed.push_back(problem_.layers[l]);
        for (recompute_mode& mode : weighed.back().modes)
          mode.saved_bytes = mode.saved_bytes * static_cast<std::int64_t>(whole[c]) +
                             mode.saved_for_weight_gradient * static_cast<std::int64_t>(waiting[c]);
      }
    const recompute_result choice = recompute_chooser(weighed, {.control = control_})
                                        .choose(0, weighed.size(), 1, budget(device, chunks));
    if (!choice.has_modes()) return {};
    device_choice one{.extra = std::vector<std::int64_t>(chunks.size(), 0), .modes = choice.modes};
    std::size_t at = 0;
    for (std::size_t c = 0; c < chunks.size(); ++c)
      for (std::size_t l = chunks[c].begin; l < chunks[c].end; ++l, ++at)
        one.extra[c] += problem_.layers[l].modes[choice.modes[at]].extra_time;
    return one;
  }

  /// Bytes by which the minimum-memory choice overruns the device's memory, negative if it fits.
  /// Exact if each layer has a mode of least saved, waiting and transient bytes or if choices are
  /// few; otherwise an upper bound.
  [[nodiscard]] std::int64_t overrun(std::size_t device, std::span<const layer_range> chunks) {
    make_room();
    combination all{
        .device = device, .chunks = chunks, .budget = std::numeric_limits<std::int64_t>::max()};
    std::int64_t least = minimum_memory_peak(device, chunks);
    if (take_bytes(all)) {
      list_points(all, std::vector<std::int64_t>(chunks.size(), all.budget));
      all.loads.assign(chunks.size() + 1, all.floors);
      lighten(all, 0, least);
    }
    return least - budget(device, chunks);
  }

 private:
  struct point {
    std::int64_t saved = 0;
    std::int64_t waiting = 0;  ///< Saved for the weight gradient, where modes differ in it.
    std::int64_t transient = 0;
    std::int64_t extra = 0;
    std::uint32_t parent = 0;  ///< Point of the layers before.
    std::uint32_t mode = 0;    ///< Of the last layer.
  };
  /// Level l has the Pareto-optimal points of l layers from a first one on: a longer chunk adds
  /// levels to those of a shorter one.
  struct chunk_points {
    std::vector<std::vector<point>> levels = {};
    bool complete = true;  ///< Whether a further level may be added.
  };
  /// A peak event of a device with certain layers. Where modes do not differ in what they keep for
  /// W, the bytes of waiting micro-batches are known, and events dominated by others are left out.
  struct moment {
    peak_event event = {};
    std::int64_t kept = 0;

    [[nodiscard]] bool covers(const moment& other) const {
      return (!other.event.running || event.running == other.event.running) && kept >= other.kept &&
             std::ranges::equal(event.whole, other.event.whole, std::ranges::greater_equal{});
    }
  };
  /// The search over one point per chunk. Loads are bytes at each peak event, with the chunks
  /// before chosen and the others at their least for that event.
  struct combination {
    std::size_t device = 0;
    std::span<const layer_range> chunks = {};
    std::int64_t budget = 0;
    std::vector<moment> moments = {};
    std::vector<std::span<const point>> every = {};       ///< Points per chunk.
    std::vector<std::vector<std::uint32_t>> points = {};  ///< Those useful, by rising extra.
    std::vector<std::int64_t> floors = {};
    std::vector<std::vector<std::int64_t>> least = {};  ///< Per chunk and event.
    std::vector<std::vector<std::int64_t>> loads = {};
    std::vector<std::uint32_t> picked = {};
    std::size_t steps = 0;
  };

  /// A combination that fits: of every chunk the extra, and the point.
  struct picked_points {
    std::vector<std::int64_t> extra = {};
    std::vector<std::uint32_t> points = {};
  };

  [[nodiscard]] std::int64_t budget(std::size_t device, std::span<const layer_range> chunks) const {
    if (problem_.memory_limit.empty()) return problem_.budget(device);
    return problem_.budget(device) - fixed_.bytes(chunks);
  }

  [[nodiscard]] std::vector<moment> moments_of(std::size_t device,
                                               std::span<const layer_range> chunks) const {
    std::vector<moment> found;
    for (const peak_event& event : events_[device]) {
      moment now{.event = event};
      for (std::size_t c = 0; c < chunks.size(); ++c)
        now.kept += static_cast<std::int64_t>(event.waiting[c]) *
                    (kept_before_[chunks[c].end] - kept_before_[chunks[c].begin]);
      if (!varies_) {
        if (std::ranges::any_of(found, [&](const moment& one) { return one.covers(now); }))
          continue;
        std::erase_if(found, [&](const moment& one) { return now.covers(one); });
      }
      found.push_back(std::move(now));
    }
    return found;
  }

  // ---- points of a chunk ------------------------------------------------------------------------

  /// The points of a chunk; none if there are too many.
  [[nodiscard]] std::span<const point> points_of(const layer_range& range) {
    chunk_points& all = points_[range.begin];
    if (all.levels.empty()) all.levels.push_back({point{}});
    while (all.complete && all.levels.size() <= range.end - range.begin)
      add_level(range.begin, all);
    if (all.levels.size() <= range.end - range.begin) return {};
    return all.levels[range.end - range.begin];
  }

  void add_level(std::size_t begin, chunk_points& all) {
    const pipeline_layer& next = problem_.layers[begin + all.levels.size() - 1];
    std::vector<point> level = extended(all.levels.back(), next, true);
    all.complete = level.size() <= most_points() && held_ + level.size() <= held_limit &&
                   !control_.stop_requested();
    if (!all.complete) return;
    held_ += level.size();
    all.levels.push_back(std::move(level));
  }

  /// The points of a chunk that are Pareto-optimal in bytes, whatever their extra time, which they
  /// do not have; empty if there are too many.
  [[nodiscard]] const std::vector<point>& bytes_of(const layer_range& range) {
    if (const auto known = bytes_.find({range.begin, range.end}); known != bytes_.end())
      return known->second;
    const std::vector<point>* before = nullptr;
    for (std::size_t end = range.begin; end <= range.end; ++end) {
      const auto [found, fresh] = bytes_.try_emplace({range.begin, end});
      std::vector<point>& points = found->second;
      if (fresh && before == nullptr) points = {point{}};
      if (fresh && before != nullptr) points = extended(*before, problem_.layers[end - 1], false);
      if (points.size() > most_points() || control_.stop_requested()) points.clear();
      if (fresh) held_ += points.size();
      before = &points;
    }
    return *before;
  }

  /// Forgets points while no call uses them, before they are too many.
  void make_room() {
    if (held_ < held_limit / 2) return;
    points_.clear();
    bytes_.clear();
    held_ = 0;
  }

  /// All extensions of points by one layer, reduced to the Pareto-optimal ones. Without a memory
  /// limit only time counts; if not `timed`, only bytes.
  [[nodiscard]] std::vector<point> extended(const std::vector<point>& before,
                                            const pipeline_layer& one, bool timed) const {
    const bool bounded = !problem_.memory_limit.empty();
    std::vector<point> next;
    for (std::uint32_t parent = 0; parent < before.size(); ++parent)
      for (std::uint32_t mode = 0; mode < one.modes.size(); ++mode) {
        const recompute_mode& by = one.modes[mode];
        const point& from = before[parent];
        next.push_back(
            {.saved = bounded ? from.saved + by.saved_bytes : 0,
             .waiting = bounded && varies_ ? from.waiting + by.saved_for_weight_gradient : 0,
             .transient = bounded ? std::max(from.transient, by.transient_bytes) : 0,
             .extra = timed ? from.extra + by.extra_time : 0,
             .parent = parent,
             .mode = mode});
      }
    if (varies_)
      keep_pareto_optimal_of_split(next);
    else
      keep_pareto_optimal(next);
    return next;
  }

  /// Sweeps by rising saved bytes; `stairs` has the least extra so far for each transient.
  static void keep_pareto_optimal(std::vector<point>& points) {
    std::ranges::stable_sort(points, [](const point& left, const point& right) {
      if (left.saved != right.saved) return left.saved < right.saved;
      return left.extra != right.extra ? left.extra < right.extra
                                       : left.transient < right.transient;
    });
    std::map<std::int64_t, std::int64_t> stairs;  // Extra falls as the transient rises.
    std::vector<point> remaining;
    for (const point& one : points) {
      auto above = stairs.upper_bound(one.transient);
      if (above != stairs.begin() && std::prev(above)->second <= one.extra) continue;
      while (above != stairs.end() && above->second >= one.extra) above = stairs.erase(above);
      stairs[one.transient] = one.extra;
      remaining.push_back(one);
    }
    points = std::move(remaining);
  }

  /// The same with bytes that wait for W and differ: every point is compared with all that remain.
  static void keep_pareto_optimal_of_split(std::vector<point>& points) {
    const auto bytes = [](const point& one) {
      return std::array{one.saved, one.waiting, one.transient, one.extra};
    };
    std::ranges::stable_sort(points, {}, bytes);
    std::vector<point> remaining;
    for (const point& one : points)
      if (std::ranges::none_of(remaining, [&](const point& other) {
            return std::ranges::equal(bytes(other), bytes(one), std::ranges::less_equal{});
          }))
        remaining.push_back(one);
    points = std::move(remaining);
  }

  [[nodiscard]] std::size_t most_points() const noexcept {
    return varies_ ? split_point_limit : point_limit;
  }

  // ---- combinations -----------------------------------------------------------------------------

  [[nodiscard]] std::int64_t load(const combination& all, std::size_t chunk, const point& one,
                                  std::size_t event) const {
    const peak_event& when = all.moments[event].event;
    return static_cast<std::int64_t>(when.whole[chunk]) * one.saved +
           static_cast<std::int64_t>(when.waiting[chunk]) * one.waiting +
           (when.running == chunk ? one.transient : 0);
  }

  /// Takes the points of all chunks; false if there are too many to enumerate.
  [[nodiscard]] bool take_points(combination& all) {
    for (const layer_range& chunk : all.chunks) {
      const std::span<const point> found = points_of(chunk);
      if (found.empty()) return false;
      all.every.push_back(found);
    }
    return true;
  }

  /// The same with points that differ in bytes alone.
  [[nodiscard]] bool take_bytes(combination& all) {
    for (const layer_range& chunk : all.chunks) {
      const std::vector<point>& found = bytes_of(chunk);
      if (found.empty()) return false;
      all.every.emplace_back(found);
    }
    return true;
  }

  /// Lists the points worth combining, of those taken.
  void list_points(combination& all, std::span<const std::int64_t> caps) const {
    all.moments = moments_of(all.device, all.chunks);
    const std::size_t events = all.moments.size();
    for (const moment& one : all.moments) all.floors.push_back(one.kept);
    for (std::size_t c = 0; c < all.chunks.size(); ++c) {
      all.least.emplace_back(events, std::numeric_limits<std::int64_t>::max());
      for (const point& one : all.every[c])
        for (std::size_t k = 0; k < events; ++k)
          all.least[c][k] = std::min(all.least[c][k], load(all, c, one, k));
      for (std::size_t k = 0; k < events; ++k) all.floors[k] += all.least[c][k];
    }
    for (std::size_t c = 0; c < all.chunks.size(); ++c) {
      const std::span<const point> every = all.every[c];
      std::vector<std::uint32_t> useful;
      for (std::uint32_t at = 0; at < every.size(); ++at)
        if (every[at].extra <= caps[c] && fits(all, c, every[at], all.floors)) useful.push_back(at);
      std::ranges::stable_sort(useful, {}, [&](std::uint32_t at) { return every[at].extra; });
      all.points.push_back(std::move(useful));
    }
    all.picked.assign(all.chunks.size(), 0);
  }

  /// Whether the loads fit with the point in place of its chunk's least loads.
  [[nodiscard]] bool fits(const combination& all, std::size_t chunk, const point& one,
                          const std::vector<std::int64_t>& loads) const {
    for (std::size_t k = 0; k < loads.size(); ++k)
      if (loads[k] - all.least[chunk][k] + load(all, chunk, one, k) > all.budget) return false;
    return true;
  }

  void put(combination& all, std::size_t chunk, const point& one) const {
    for (std::size_t k = 0; k < all.floors.size(); ++k)
      all.loads[chunk + 1][k] =
          all.loads[chunk][k] - all.least[chunk][k] + load(all, chunk, one, k);
  }

  /// With all chunks but the last chosen, only its first point that fits can be Pareto-optimal.
  void combine(combination& all, std::size_t chunk, std::vector<picked_points>& pareto) const {
    if (chunk == all.chunks.size()) {
      add(all, pareto);
      return;
    }
    for (const std::uint32_t at : all.points[chunk]) {
      if (++all.steps > choice_limit || control_.stop_requested()) {
        all.steps = choice_limit + 1;
        return;
      }
      const point& one = all.every[chunk][at];
      if (!fits(all, chunk, one, all.loads[chunk])) continue;
      put(all, chunk, one);
      all.picked[chunk] = at;
      combine(all, chunk + 1, pareto);
      if (chunk + 1 == all.chunks.size()) return;
    }
  }

  static void add(const combination& all, std::vector<picked_points>& pareto) {
    const auto extra = [&](std::size_t c) { return all.every[c][all.picked[c]].extra; };
    const auto compares = [&](const picked_points& other, const auto& relation) {
      for (std::size_t c = 0; c < other.extra.size(); ++c)
        if (!relation(other.extra[c], extra(c))) return false;
      return true;
    };
    for (const picked_points& other : pareto)
      if (compares(other, std::ranges::less_equal{})) return;
    std::erase_if(pareto, [&](const picked_points& other) {
      return compares(other, std::ranges::greater_equal{});
    });
    picked_points& one = pareto.emplace_back();
    for (std::size_t c = 0; c < all.chunks.size(); ++c) one.extra.push_back(extra(c));
    one.points = all.picked;
  }

  /// The modes of all layers of the device, from the point of each chunk.
  [[nodiscard]] std::vector<std::size_t> modes_of(const combination& all,
                                                  const std::vector<std::uint32_t>& points) {
    std::vector<std::size_t> modes;
    for (std::size_t c = 0; c < all.chunks.size(); ++c) {
      const std::vector<std::size_t> own = modes_of(all.chunks[c], points[c]);
      modes.insert(modes.end(), own.begin(), own.end());
    }
    return modes;
  }

  [[nodiscard]] std::vector<std::size_t> modes_of(const layer_range& chunk, std::uint32_t at) {
    const chunk_points& all = points_.at(chunk.begin);
    std::vector<std::size_t> modes(chunk.end - chunk.begin);
    for (std::size_t level = modes.size(); level > 0; --level) {
      const point& one = all.levels[level][at];
      modes[level - 1] = one.mode;
      at = one.parent;
    }
    return modes;
  }

  // ---- least bytes ------------------------------------------------------------------------------

  /// The least peak over all choices, within the limit.
  void lighten(combination& all, std::size_t chunk, std::int64_t& least) const {
    if (std::ranges::max(all.loads[chunk]) >= least) return;
    if (chunk == all.chunks.size()) {
      least = std::ranges::max(all.loads[chunk]);
      return;
    }
    for (const std::uint32_t at : all.points[chunk]) {
      if (++all.steps > choice_limit) return;
      put(all, chunk, all.every[chunk][at]);
      lighten(all, chunk + 1, least);
    }
  }

  /// The peak with every layer in its minimum-memory mode.
  [[nodiscard]] std::int64_t minimum_memory_peak(std::size_t device,
                                                 std::span<const layer_range> chunks) const {
    std::vector<point> minimum(chunks.size());
    for (std::size_t c = 0; c < chunks.size(); ++c)
      for (std::size_t l = chunks[c].begin; l < chunks[c].end; ++l) {
        const recompute_mode& mode =
            *std::ranges::min_element(problem_.layers[l].modes, {}, &recompute_mode::saved_bytes);
        minimum[c].saved += mode.saved_bytes;
        minimum[c].waiting += mode.saved_for_weight_gradient;
        minimum[c].transient = std::max(minimum[c].transient, mode.transient_bytes);
      }
    std::int64_t worst = 0;
    for (const peak_event& event : events_[device]) {
      std::int64_t bytes = event.running ? minimum[*event.running].transient : 0;
      for (std::size_t c = 0; c < minimum.size(); ++c)
        bytes += static_cast<std::int64_t>(event.whole[c]) * minimum[c].saved +
                 static_cast<std::int64_t>(event.waiting[c]) * minimum[c].waiting;
      worst = std::max(worst, bytes);
    }
    return worst;
  }

  const pipeline_problem& problem_;
  static_memory fixed_;
  std::vector<std::vector<peak_event>> events_;  ///< Per device.
  search_control control_;
  bool varies_;                                  ///< Whether modes differ in what they keep for W.
  std::vector<std::int64_t> kept_before_ = {0};  ///< Σ of the same of first layers, if not.
  std::map<std::size_t, chunk_points> points_;   ///< By their first layer.
  std::map<std::pair<std::size_t, std::size_t>, std::vector<point>> bytes_;
  std::size_t held_ = 0;  ///< Points in them.
};

}  // namespace omnibal::inline v0::detail
