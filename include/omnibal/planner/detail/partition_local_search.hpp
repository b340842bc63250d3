// SPDX-License-Identifier: Apache-2.0
/// @file
/// Local search over partitions: consecutive cuts move together by one layer, which moves a layer
/// from one stage to another and shifts all stages between them. improve_cuts() ends in the first
/// local optimum; walk_partitions() leaves local optima by late acceptance and by random moves
/// (iterated local search).
///
/// Sources: Lourenço, Martin and Stützle, "Iterated local search", 2003; Burke and Bykov, "The late
/// acceptance hill-climbing heuristic", European Journal of Operational Research, 2017.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>

namespace omnibal::inline v0::detail {

/// Calls consider(neighbour) until no neighbour of best() is better or done() returns true.
/// consider() returns whether the neighbour is better than the best plan and, if so, makes it the
/// best; it must reject neighbours that are no partitions. O(cuts²) neighbours per step.
template <typename Best, typename Consider, typename Done>
void improve_cuts(const Best& best, const Consider& consider, const Done& done) {
  const auto step = [&] {
    const std::vector<std::size_t> cuts = best();
    for (std::size_t first = 1; first + 1 < cuts.size(); ++first)
      for (std::size_t last = first; last + 1 < cuts.size(); ++last)
        for (const bool up : {true, false}) {
          std::vector<std::size_t> moved = cuts;
          for (std::size_t j = first; j <= last; ++j) moved[j] = up ? cuts[j] + 1 : cuts[j] - 1;
          if (consider(moved)) return true;
        }
    return false;
  };
  while (!done() && step()) {
  }
}

/// A random neighbour: half of the moves shift one cut, the others any interval of cuts.
[[nodiscard]] inline std::vector<std::size_t> random_neighbour(std::vector<std::size_t> cuts,
                                                               random_stream& random) {
  const auto inner = static_cast<std::uint32_t>(cuts.size() - 2);
  std::size_t first = 1 + uniform_below(random, inner);
  std::size_t last = uniform_below(random, 2) == 0 ? first : 1 + uniform_below(random, inner);
  if (first > last) std::swap(first, last);
  const bool up = uniform_below(random, 2) == 0;
  for (std::size_t j = first; j <= last; ++j)
    if (up)
      ++cuts[j];
    else
      --cuts[j];
  return cuts;
}

/// A partition and its value.
template <typename Number>
struct valued_partition {
  std::vector<std::size_t> cuts;
  Number at;
};

/// After this many random moves to partitions.
template <typename Number, typename Value>
[[nodiscard]] valued_partition<Number> shaken(valued_partition<Number> from, std::size_t moves,
                                              const Number& none, const Value& value,
                                              random_stream& random) {
  for (; moves > 0; --moves) {
    std::vector<std::size_t> cuts = random_neighbour(from.cuts, random);
    const Number at = value(cuts);
    if (at < none) from = {std::move(cuts), at};
  }
  return from;
}

/// Late acceptance: a move is taken where it is no worse than the present partition, or than the
/// one that was present many moves before. Begins as warm as its start is bad, and cools by itself;
/// returns the best partition met.
template <typename Number, typename Value, typename Done>
[[nodiscard]] valued_partition<Number> accept_late(valued_partition<Number> from,
                                                   const Number& none, const Value& value,
                                                   const Done& done, random_stream& random) {
  const std::size_t memory = 16 * from.cuts.size();
  std::vector<Number> before(memory, from.at);
  valued_partition<Number> least = from;
  std::size_t idle = 0;
  for (std::size_t move = 0; idle < 4 * memory && !done(); ++move) {
    ++idle;
    std::vector<std::size_t> cuts = random_neighbour(from.cuts, random);
    const Number at = value(cuts);
    Number& then = before[move % memory];
    if (at < none && (!(from.at < at) || !(then < at))) {
      if (at < from.at) idle = 0;
      from = {std::move(cuts), at};
      if (from.at < least.at) least = from;
    }
    if (from.at < then) then = from.at;
  }
  return least;
}

/// Minimises value(cuts), `none` for what is no partition, from several starts: descents, then late
/// acceptance from the best, then descents from its neighbourhood, until done() returns true or
/// many of them in a row end no better. The caller keeps the best partition it has evaluated. The
/// same input gives the same walk.
template <typename Number, typename Value, typename Done>
void walk_partitions(const std::vector<std::vector<std::size_t>>& starts, const Number& none,
                     const Value& value, const Done& done) {
  using point = valued_partition<Number>;
  constexpr int patience = 60;     // Walks without a better end.
  constexpr int late_rounds = 4;   // Late acceptance searches without a better end.
  constexpr std::size_t few = 24;  // Cuts among which descents alone are good enough.
  random_stream random = stream_for(0, random_purpose::partition_walk, starts.size());
  const auto descend = [&](point from) {
    const std::size_t failures = 8 * from.cuts.size();
    for (std::size_t failed = 0; failed < failures && !done(); ++failed) {
      std::vector<std::size_t> cuts = random_neighbour(from.cuts, random);
      const Number at = value(cuts);
      if (!(at < none) || from.at < at) continue;
      if (at < from.at) failed = 0;
      from = {std::move(cuts), at};
    }
    return from;
  };
  std::vector<point> ends;
  for (const std::vector<std::size_t>& cuts : starts)
    if (cuts.size() > 2)
      if (point start{cuts, value(cuts)}; start.at < none)
        ends.push_back(descend(std::move(start)));
  if (ends.empty()) return;
  point best = ends.front();
  for (const point& end : ends)
    if (end.at < best.at) best = end;
  for (int rounds = 0; best.cuts.size() > few && rounds < late_rounds && !done(); ++rounds) {
    const point start = shaken(best, best.cuts.size() / 2, none, value, random);
    point end = accept_late(start, none, value, done, random);
    if (best.at < end.at) continue;
    if (end.at < best.at) rounds = -1;
    best = std::move(end);
  }
  for (int walks = 0; walks < patience && !done(); ++walks) {
    point from = descend(shaken(best, 2 + uniform_below(random, 3), none, value, random));
    if (best.at < from.at) continue;
    if (from.at < best.at) walks = 0;
    best = std::move(from);
  }
}

}  // namespace omnibal::inline v0::detail
