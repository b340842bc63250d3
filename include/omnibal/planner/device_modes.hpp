// SPDX-License-Identifier: Apache-2.0
/// @file
/// Recomputation where several virtual stages share the memory of a device: bytes one of them saves
/// another may keep, so a partition has no single cheapest choice of modes but, per device, a set
/// of them that no other beats.
///
/// A chunk is what a device holds of one virtual stage. Its modes come down to the points (kept,
/// transient, extra) that no other point beats; a choice for the device takes one point of every
/// chunk and must fit all worst moments of the device's order (pipeline/memory.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <omnibal/config.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/recompute/exact.hpp>
#include <utility>
#include <vector>

namespace omnibal::inline v0 {

/// One way to recompute a device: Σ extra of each of its chunks, and the modes of their layers in
/// order.
struct device_choice {
  std::vector<std::int64_t> extra = {};
  std::vector<std::size_t> modes = {};
};

struct device_choices {
  std::vector<device_choice> unbeaten = {};  ///< By rising Σ extra; empty if nothing fits.
  bool proven = true;  ///< Whether every choice is as good in every chunk as one of these.
};

/// Chooses for any ranges of one problem's chain. Keeps a reference: the problem must outlive it.
class device_mode_chooser {
 public:
  /// More points of a chunk, or more choices of a device, than this are not enumerated.
  static constexpr std::size_t point_limit = 20'000;

  explicit device_mode_chooser(const pipeline_problem& problem)
      : problem_(problem), fixed_(problem) {
    for (std::size_t d = 0; d < problem.schedule.stages; ++d)
      moments_.push_back(worst_moments(problem.schedule, d));
  }

  [[nodiscard]] const std::vector<memory_moment>& moments(std::size_t device) const {
    return moments_[device];
  }
  [[nodiscard]] const static_memory& fixed() const noexcept { return fixed_; }

  /// The choices for a device that holds these layers, one range a chunk. Where there are too many
  /// to enumerate, one that fits is found with every chunk at its worst moment at once.
  /// O(point_limit · chunks · moments) beside the chunks' points.
  [[nodiscard]] device_choices choices(std::size_t device, const std::vector<layer_range>& chunks) {
    if (problem_.memory_limit.empty()) return {.unbeaten = {cautious(device, chunks)}};
    const std::int64_t budget = problem_.budget(device) - fixed_.bytes(chunks);
    device_choices found;
    if (!enumerable(chunks)) {
      found.proven = false;
      device_choice one = cautious(device, chunks);
      if (!one.extra.empty()) found.unbeaten.push_back(std::move(one));
      return found;
    }
    for_each_choice(chunks, [&](const std::vector<const point*>& picked) {
      if (peak(device, picked) > budget) return;
      device_choice one;
      for (const point* each : picked) one.extra.push_back(each->extra);
      if (std::ranges::any_of(found.unbeaten,
                              [&](const device_choice& other) { return beats(other, one); }))
        return;
      std::erase_if(found.unbeaten, [&](const device_choice& other) { return beats(one, other); });
      for (const point* each : picked)
        one.modes.insert(one.modes.end(), each->modes.begin(), each->modes.end());
      found.unbeaten.push_back(std::move(one));
    });
    std::ranges::stable_sort(found.unbeaten, {}, [](const device_choice& one) {
      std::int64_t sum = 0;
      for (const std::int64_t extra : one.extra) sum += extra;
      return sum;
    });
    return found;
  }

  /// Bytes by which the leanest choice overruns the device's memory, negative where it fits; where
  /// there are too many to enumerate, an upper bound.
  [[nodiscard]] std::int64_t overrun(std::size_t device, const std::vector<layer_range>& chunks) {
    const std::int64_t budget = problem_.budget(device) - fixed_.bytes(chunks);
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    const auto visit = [&](const std::vector<const point*>& picked) {
      least = std::min(least, peak(device, picked));
    };
    if (enumerable(chunks)) {
      for_each_choice(chunks, visit);
    } else {
      std::vector<point> lean;
      for (const layer_range& range : chunks) lean.push_back(leanest(range));
      std::vector<const point*> picked;
      for (const point& one : lean) picked.push_back(&one);
      visit(picked);
    }
    return least - budget;
  }

 private:
  struct point {
    std::int64_t kept = 0;
    std::int64_t transient = 0;
    std::int64_t extra = 0;
    std::vector<std::size_t> modes = {};
  };
  struct chunk_points {
    std::vector<point> points = {};
    bool complete = true;
  };

  [[nodiscard]] static bool beats(const point& left, const point& right) {
    return left.kept <= right.kept && left.transient <= right.transient &&
           left.extra <= right.extra;
  }
  [[nodiscard]] static bool beats(const device_choice& left, const device_choice& right) {
    for (std::size_t c = 0; c < left.extra.size(); ++c)
      if (left.extra[c] > right.extra[c]) return false;
    return true;
  }

  /// The unbeaten points of layers begin … end − 1, layer by layer; remembered.
  [[nodiscard]] const chunk_points& points_of(const layer_range& range) {
    const auto [found, fresh] = points_.try_emplace({range.begin, range.end});
    if (!fresh) return found->second;
    chunk_points& all = found->second;
    all.points.assign(1, point{});
    for (std::size_t l = range.begin; l < range.end; ++l) {
      std::vector<point> next;
      for (const point& before : all.points)
        for (std::size_t mode = 0; mode < problem_.layers[l].modes.size(); ++mode)
          next.push_back(with(before, problem_.layers[l].modes[mode], mode));
      keep_unbeaten(next);
      all.points = std::move(next);
      if (all.points.size() <= point_limit / 16) continue;
      all.complete = false;
      return all;
    }
    return all;
  }

  [[nodiscard]] static point with(const point& before, const recompute_mode& mode,
                                  std::size_t index) {
    point one{.kept = before.kept + mode.kept_bytes,
              .transient = std::max(before.transient, mode.transient_bytes),
              .extra = before.extra + mode.extra_time,
              .modes = before.modes};
    one.modes.push_back(index);
    return one;
  }

  static void keep_unbeaten(std::vector<point>& points) {
    std::ranges::stable_sort(points, [](const point& left, const point& right) {
      if (left.kept != right.kept) return left.kept < right.kept;
      return left.extra != right.extra ? left.extra < right.extra
                                       : left.transient < right.transient;
    });
    std::vector<point> kept;
    for (point& one : points)
      if (std::ranges::none_of(kept, [&](const point& other) { return beats(other, one); }))
        kept.push_back(std::move(one));
    points = std::move(kept);
  }

  [[nodiscard]] bool enumerable(const std::vector<layer_range>& chunks) {
    std::size_t choices = 1;
    for (const layer_range& range : chunks) {
      const chunk_points& all = points_of(range);
      if (!all.complete || all.points.size() > point_limit / choices) return false;
      choices *= all.points.size();
    }
    return true;
  }

  template <typename Visit>
  void for_each_choice(const std::vector<layer_range>& chunks, const Visit& visit) {
    std::vector<const std::vector<point>*> points;
    for (const layer_range& range : chunks) points.push_back(&points_of(range).points);
    std::vector<std::size_t> at(chunks.size(), 0);
    std::vector<const point*> picked(chunks.size());
    while (true) {
      for (std::size_t c = 0; c < at.size(); ++c) picked[c] = &(*points[c])[at[c]];
      visit(picked);
      std::size_t c = 0;
      while (c < at.size() && ++at[c] == points[c]->size()) at[c++] = 0;
      if (c == at.size()) return;
    }
  }

  [[nodiscard]] std::int64_t peak(std::size_t device,
                                  const std::vector<const point*>& picked) const {
    std::int64_t worst = 0;
    for (const memory_moment& moment : moments_[device]) {
      std::int64_t bytes = picked[moment.running]->transient;
      for (std::size_t c = 0; c < picked.size(); ++c)
        bytes += static_cast<std::int64_t>(moment.whole[c]) * picked[c]->kept;
      worst = std::max(worst, bytes);
    }
    return worst;
  }

  /// Every layer in the mode that keeps least.
  [[nodiscard]] point leanest(const layer_range& range) const {
    point lean;
    for (std::size_t l = range.begin; l < range.end; ++l) {
      const std::vector<recompute_mode>& modes = problem_.layers[l].modes;
      std::size_t best = 0;
      for (std::size_t mode = 1; mode < modes.size(); ++mode)
        if (modes[mode].kept_bytes < modes[best].kept_bytes) best = mode;
      lean = with(lean, modes[best], best);
    }
    return lean;
  }

  /// The cheapest choice that fits even if all chunks held their most at once: one knapsack, whose
  /// layers weigh what their chunk holds at most. Empty where nothing fits.
  [[nodiscard]] device_choice cautious(std::size_t device, const std::vector<layer_range>& chunks) {
    std::vector<std::size_t> most(chunks.size(), 0);
    for (const memory_moment& moment : moments_[device])
      for (std::size_t c = 0; c < most.size(); ++c) most[c] = std::max(most[c], moment.whole[c]);
    std::vector<layer> weighed;
    for (std::size_t c = 0; c < chunks.size(); ++c)
      for (std::size_t l = chunks[c].begin; l < chunks[c].end; ++l) {
        weighed.push_back(problem_.layers[l]);
        for (recompute_mode& mode : weighed.back().modes)
          mode.kept_bytes *= static_cast<std::int64_t>(most[c]);
      }
    const bool bounded = !problem_.memory_limit.empty();
    const std::int64_t budget = problem_.budget(device) - (bounded ? fixed_.bytes(chunks) : 0);
    const recompute_choice choice = recompute_chooser(weighed).choose(0, weighed.size(), 1, budget);
    if (!choice.has_modes()) return {};
    device_choice one{.extra = std::vector<std::int64_t>(chunks.size(), 0), .modes = choice.modes};
    std::size_t at = 0;
    for (std::size_t c = 0; c < chunks.size(); ++c)
      for (std::size_t l = chunks[c].begin; l < chunks[c].end; ++l, ++at)
        one.extra[c] += problem_.layers[l].modes[choice.modes[at]].extra_time;
    return one;
  }

  const pipeline_problem& problem_;
  static_memory fixed_;
  std::vector<std::vector<memory_moment>> moments_;  ///< Per device.
  std::map<std::pair<std::size_t, std::size_t>, chunk_points> points_;
};

}  // namespace omnibal::inline v0
