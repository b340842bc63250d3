// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/simulate_items.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::size_t item_simulation::first_unfinished(std::uint32_t rank) const noexcept {
  const auto& mine = items[rank];
  const auto found =
      std::ranges::find_if(mine, [](const simulated_item& item) { return item.end < 0; });
  return static_cast<std::size_t>(found - mine.begin());
}

OMNIBAL_INLINE double item_simulation::bubble_ratio() const noexcept {
  double work = 0;
  for (const std::int64_t time : busy) work += static_cast<double>(time);
  const double total = static_cast<double>(makespan) * static_cast<double>(busy.size());
  return total > 0 ? 1.0 - work / total : 0.0;
}

namespace detail {

inline void validate(const item_problem& problem) {
  if (problem.devices == 0 || problem.ranks.size() % problem.devices != 0)
    throw invalid_input("ranks", problem.ranks.size(),
                        "must be a multiple of the devices, " + std::to_string(problem.devices));
  if (problem.durations.size() != problem.ranks.size())
    throw invalid_input("durations", problem.durations.size(), "must be one list per rank");
  std::int64_t sum = 0;
  for (std::size_t rank = 0; rank < problem.ranks.size(); ++rank) {
    const auto& durations = problem.durations[rank];
    const std::string of_rank = " of rank " + std::to_string(rank);
    if (durations.size() != problem.ranks[rank].size())
      throw invalid_input("durations" + of_rank, durations.size(),
                          "must be one per item, " + std::to_string(problem.ranks[rank].size()));
    for (std::size_t i = 0; i < durations.size(); ++i) {
      if (durations[i] < 0)
        throw invalid_input("durations" + of_rank, i, durations[i], "must not be negative");
      sum = checked_add(sum, durations[i], "durations");
      const execution_item& item = problem.ranks[rank][i];
      if (is_message(item.kind) && item.peer >= problem.ranks.size())
        throw invalid_input("peer" + of_rank, i, item.peer, "is no rank");
    }
  }
}

/// The items of its own rank that an item needs, by position.
struct item_inputs {
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint32_t missing = none - 1;

  std::uint32_t first = none;
  std::uint32_t second = none;
};

/// Finds the inputs of a rank's items.
class input_finder {
 public:
  /// `last_stage` is that of the whole pipeline.
  input_finder(const std::vector<execution_item>& items, std::uint32_t last_stage)
      : items_(items), last_stage_(last_stage) {
    for (std::uint32_t i = 0; i < items.size(); ++i)
      keys_.push_back({items[i].kind, items[i].stage, items[i].microbatch, i});
    std::sort(keys_.begin(), keys_.end());
  }

  [[nodiscard]] std::vector<item_inputs> all() {
    std::vector<item_inputs> inputs;
    std::map<std::uint32_t, std::uint32_t> work_of_stage;  // The last so far, by stage.
    for (std::uint32_t i = 0; i < items_.size(); ++i) {
      const execution_item& item = items_[i];
      inputs.push_back(is_collective(item.kind) ? after(work_of_stage, item) : inputs_of(item));
      if (is_operation(item.kind) || item.kind == item_kind::step) work_of_stage[item.stage] = i;
    }
    return inputs;
  }

 private:
  using key = std::tuple<item_kind, std::uint32_t, std::uint32_t, std::uint32_t>;

  [[nodiscard]] static item_inputs after(const std::map<std::uint32_t, std::uint32_t>& work,
                                         const execution_item& item) {
    const auto found = work.find(item.stage);
    return {found == work.end() ? item_inputs::none : found->second, item_inputs::none};
  }

  /// The position of an item of this kind, or `otherwise`.
  [[nodiscard]] std::uint32_t find(item_kind kind, std::uint32_t stage, std::uint32_t microbatch,
                                   std::uint32_t otherwise = item_inputs::missing) const {
    const auto found =
        std::lower_bound(keys_.begin(), keys_.end(), key{kind, stage, microbatch, 0});
    if (found == keys_.end()) return otherwise;
    const auto& [of_kind, of_stage, of_microbatch, position] = *found;
    return of_kind == kind && of_stage == stage && of_microbatch == microbatch ? position
                                                                               : otherwise;
  }

  [[nodiscard]] item_inputs inputs_of(const execution_item& item) const {
    const auto [kind, stage, m, peer] = item;
    switch (kind) {
      case item_kind::forward:
        if (stage == 0) return {};
        return {
            find(item_kind::forward, stage - 1, m, find(item_kind::receive_activation, stage, m))};
      case item_kind::backward: {
        const std::uint32_t own = find(item_kind::forward, stage, m);
        if (stage == last_stage_) return {own};
        return {own, find(item_kind::backward, stage + 1, m,
                          find(item_kind::receive_gradient, stage, m))};
      }
      case item_kind::weight_gradient:
      case item_kind::send_gradient: return {find(item_kind::backward, stage, m)};
      case item_kind::send_activation: return {find(item_kind::forward, stage, m)};
      case item_kind::step: return {find(item_kind::reduce, stage, 0, item_inputs::none)};
      default: return {};
    }
  }

  const std::vector<execution_item>& items_;
  std::uint32_t last_stage_;
  std::vector<key> keys_;
};

/// Runs items until no rank can go on.
class item_simulator {
 public:
  explicit item_simulator(const item_problem& problem)
      : problem_(problem), ranks_(problem.ranks.size()) {
    std::uint32_t last_stage = 0;
    for (const auto& items : problem.ranks)
      for (const execution_item& item : items) last_stage = std::max(last_stage, item.stage);
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      const auto& items = problem.ranks[rank];
      result_.items.emplace_back(items.size());
      ranks_[rank].inputs = input_finder(items, last_stage).all();
      for (std::uint32_t i = 0; i < items.size(); ++i) {
        const bool beside = problem.queues == item_queues::two &&
                            (is_message(items[i].kind) || is_collective(items[i].kind));
        ranks_[rank].queues[beside ? 1 : 0].items.push_back(i);
      }
    }
    result_.busy.assign(ranks_.size(), 0);
  }

  [[nodiscard]] item_simulation run() {
    for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank) wake(rank);
    while (!ready_.empty()) {
      const std::uint32_t rank = ready_.back();
      ready_.pop_back();
      ranks_[rank].awake = false;
      while (advance(rank)) {
      }
    }
    for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank)
      if (!std::ranges::all_of(ranks_[rank].queues, &queue::done)) result_.stuck.push_back(rank);
    return std::move(result_);
  }

 private:
  struct queue {
    std::vector<std::uint32_t> items = {};  ///< Positions in the rank's list.
    std::size_t next = 0;
    std::int64_t free = 0;

    [[nodiscard]] bool done() const noexcept { return next == items.size(); }
    [[nodiscard]] std::uint32_t head() const noexcept { return items[next]; }
  };
  struct rank_state {
    std::array<queue, 2> queues = {};
    std::vector<item_inputs> inputs = {};
    bool awake = false;
    bool arrived = false;  ///< At the collective at the head of a queue.
  };
  /// When something can start, and the rank that it waits for until then.
  struct arrival {
    std::int64_t time = 0;
    std::uint32_t from = simulated_item::nobody;
  };
  struct meeting {
    std::size_t arrived = 0;
    arrival last = {};
  };

  void wake(std::uint32_t rank) {
    if (std::exchange(ranks_[rank].awake, true)) return;
    ready_.push_back(rank);
  }

  [[nodiscard]] const execution_item& head(std::uint32_t rank, const queue& line) const {
    return problem_.ranks[rank][line.head()];
  }
  [[nodiscard]] std::int64_t duration(std::uint32_t rank, const queue& line) const {
    return problem_.durations[rank][line.head()];
  }

  /// Runs the next item of either queue, if one can run.
  bool advance(std::uint32_t rank) {
    for (queue& line : ranks_[rank].queues) {
      if (line.done()) continue;
      const item_kind kind = head(rank, line).kind;
      if (is_message(kind)      ? exchange(rank, line)
          : is_collective(kind) ? meet(rank, line)
                                : compute(rank, line))
        return true;
    }
    return false;
  }

  /// Whether the inputs of the next item of a queue are there; `input` is the last of them.
  [[nodiscard]] bool has_inputs(std::uint32_t rank, const queue& line, arrival& input) const {
    const item_inputs& inputs = ranks_[rank].inputs[line.head()];
    for (const std::uint32_t one : {inputs.first, inputs.second}) {
      if (one == item_inputs::none) continue;
      if (one == item_inputs::missing) return false;
      const simulated_item& done = result_.items[rank][one];
      if (done.end < 0) return false;
      if (done.end < input.time) continue;
      const execution_item& giver = problem_.ranks[rank][one];
      input = {done.end, is_message(giver.kind)      ? giver.peer
                         : is_collective(giver.kind) ? done.waited_for
                                                     : simulated_item::nobody};
    }
    return true;
  }

  /// Ends the item at the head of a queue, which started when `reason` let it.
  void finish(std::uint32_t rank, queue& line, std::int64_t duration, const arrival& reason) {
    simulated_item& done = result_.items[rank][line.head()];
    ++line.next;
    const std::int64_t start = std::max(line.free, reason.time);
    done = {.start = start, .end = start + duration};
    if (start > line.free && reason.from != rank && reason.from != simulated_item::nobody) {
      done.waited = start - line.free;
      done.waited_for = reason.from;
    }
    line.free = done.end;
    result_.makespan = std::max(result_.makespan, done.end);
  }

  bool compute(std::uint32_t rank, queue& line) {
    arrival input;
    if (!has_inputs(rank, line, input)) return false;
    const std::int64_t time = duration(rank, line);
    finish(rank, line, time, input);
    result_.busy[rank] += time;
    return true;
  }

  /// The queue of a rank that has this item at its head.
  [[nodiscard]] queue* queue_at(std::uint32_t rank, const execution_item& wanted) {
    for (queue& line : ranks_[rank].queues)
      if (!line.done() && head(rank, line) == wanted) return &line;
    return nullptr;
  }

  /// A message, if both ends are at it and its producer has ended.
  bool exchange(std::uint32_t rank, queue& mine) {
    const execution_item& here = head(rank, mine);
    const std::uint32_t peer = here.peer;
    if (peer == rank) return false;
    queue* const found = queue_at(peer, other_end(here, rank));
    if (found == nullptr) return false;
    queue& theirs = *found;
    arrival at_sender;
    if (!(is_send(here.kind) ? has_inputs(rank, mine, at_sender)
                             : has_inputs(peer, theirs, at_sender)))
      return false;
    const std::int64_t start = std::max({mine.free, theirs.free, at_sender.time});
    const std::int64_t time = std::min(duration(rank, mine), duration(peer, theirs));
    finish(rank, mine, time, {start, peer});
    finish(peer, theirs, time, {start, rank});
    wake(peer);
    return true;
  }

  /// A collective: the replica that arrives last runs it for all.
  bool meet(std::uint32_t rank, queue& line) {
    arrival here;
    if (ranks_[rank].arrived || !has_inputs(rank, line, here)) return false;
    ranks_[rank].arrived = true;
    const execution_item work = head(rank, line);
    const std::int64_t since = std::max(line.free, here.time);
    const std::size_t device = rank % problem_.devices;
    meeting& together = meetings_[{device, work.kind, work.stage}];
    if (++together.arrived == 1 || since > together.last.time) together.last = {since, rank};
    if (together.arrived < ranks_.size() / problem_.devices) return false;
    std::int64_t time = std::numeric_limits<std::int64_t>::max();
    const auto devices = static_cast<std::uint32_t>(problem_.devices);
    for (std::uint32_t one = rank % devices; one < ranks_.size(); one += devices)
      time = std::min(time, duration(one, *queue_at(one, work)));
    const arrival last = together.last;
    for (std::uint32_t one = rank % devices; one < ranks_.size(); one += devices) {
      finish(one, *queue_at(one, work), time, last);
      ranks_[one].arrived = false;
      wake(one);
    }
    meetings_.erase({device, work.kind, work.stage});
    return true;
  }

  const item_problem& problem_;
  item_simulation result_;
  std::vector<rank_state> ranks_;
  std::vector<std::uint32_t> ready_;
  std::map<std::tuple<std::size_t, item_kind, std::uint32_t>, meeting> meetings_;
};

}  // namespace detail

OMNIBAL_INLINE item_simulation simulate_items(const item_problem& problem) {
  detail::validate(problem);
  return detail::item_simulator(problem).run();
}

}  // namespace omnibal::inline v0
