// SPDX-License-Identifier: Apache-2.0
#include "reports/replay_report.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

namespace omnibal::cli {
namespace {

json to_json(const replay_report::replayed& one) {
  const replayed_step& replay = one.replay;
  json waits = json::array();
  for (const rank_wait& wait : replay.waits)
    waits.push_back({{"rank", wait.rank}, {"waited_for", wait.waited_for}, {"time", wait.time}});
  json ranks = json::array();
  for (std::size_t rank = 0; rank < replay.items.size(); ++rank) {
    json items = json::array();
    for (std::size_t i = 0; i < replay.items[rank].size(); ++i) {
      const simulated_item& measured = replay.measured.items[rank][i];
      const simulated_item& predicted = replay.predicted.items[rank][i];
      items.push_back({{"item", to_string(replay.items[rank][i])},
                       {"start", measured.start},
                       {"end", measured.end},
                       {"predicted_start", predicted.start},
                       {"predicted_end", predicted.end},
                       {"difference", replay.difference[rank][i]}});
    }
    ranks.push_back(std::move(items));
  }
  return {{"step", one.step},
          {"makespan", replay.measured.makespan},
          {"predicted_makespan", replay.predicted.makespan},
          {"bubble_ratio", replay.measured.bubble_ratio()},
          {"predicted_bubble_ratio", replay.predicted.bubble_ratio()},
          {"waits", std::move(waits)},
          {"ranks", std::move(ranks)}};
}

double milliseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-6; }

/// An item whose duration was not the predicted one.
struct deviation {
  std::size_t rank;
  std::size_t item;
  std::int64_t difference;
};

std::vector<deviation> largest_differences(const replayed_step& replay, std::size_t most) {
  std::vector<deviation> all;
  for (std::size_t rank = 0; rank < replay.difference.size(); ++rank)
    for (std::size_t i = 0; i < replay.difference[rank].size(); ++i)
      if (replay.difference[rank][i] != 0) all.push_back({rank, i, replay.difference[rank][i]});
  std::ranges::stable_sort(all, [](const deviation& left, const deviation& right) {
    return std::abs(left.difference) > std::abs(right.difference);
  });
  if (all.size() > most) all.resize(most);
  return all;
}

}  // namespace

json to_json(const replay_report& report) {
  json steps = json::array();
  for (const auto& step : report.steps) steps.push_back(to_json(step));
  return {{"steps", std::move(steps)}};
}

std::string to_text(const replay_report& report) {
  constexpr std::size_t most = 10;
  std::string text;
  for (const auto& [step, replay] : report.steps) {
    text += fmt::format(
        "step {}: {:.3f} ms, predicted {:.3f} ms; bubble {:.1f} %, predicted {:.1f} %\n", step,
        milliseconds(replay.measured.makespan), milliseconds(replay.predicted.makespan),
        100 * replay.measured.bubble_ratio(), 100 * replay.predicted.bubble_ratio());
    for (std::size_t k = 0; k < std::min(most, replay.waits.size()); ++k)
      text += fmt::format("  rank {} waited {:.3f} ms for rank {}\n", replay.waits[k].rank,
                          milliseconds(replay.waits[k].time), replay.waits[k].waited_for);
    for (const deviation& one : largest_differences(replay, most))
      text +=
          fmt::format("  rank {}: {} took {:+.3f} ms against the prediction\n", one.rank,
                      to_string(replay.items[one.rank][one.item]), milliseconds(one.difference));
  }
  return text;
}

}  // namespace omnibal::cli
