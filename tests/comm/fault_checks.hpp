// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random programs over three channels in which one rank does something wrong, for every model of
/// tensor_channel over host memory, and what the other ranks must say of it.
#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/tensor_channel.hpp>

namespace fault_checks {

/// Of every wait that a fault can end at its deadline alone.
constexpr auto deadline = std::chrono::milliseconds(200);
/// Of every wait that the deadline must not end: a machine with other work may be slow.
constexpr auto patience = std::chrono::seconds(30);
/// Of a test: no wait is without an end.
constexpr auto watchdog = std::chrono::seconds(90);
constexpr std::size_t steps = 8;
constexpr std::size_t channels = 3;
constexpr const char* channel_names[channels] = {"data", "pipeline", "tensor"};

enum class fault {
  none,
  throws,
  leaves,
  is_late,
  other_operation,
  other_type,
  other_reduction,
  sends_more,
  sends_fewer,
  other_plan,
  aborts,
  aborts_busy_channels,
  is_killed  // not among the random ones: it takes the process along
};
constexpr std::size_t random_faults = 12;

struct scenario {
  std::uint64_t seed = 0;
  std::size_t ranks = 2;
  bool rendezvous = false;
  fault wrong = fault::none;
  std::size_t rank = 0;  // at fault
  std::size_t step = 0;  // even
};

inline scenario random_scenario(std::uint64_t seed, std::size_t most_ranks = 4) {
  std::mt19937_64 random(seed);
  scenario made{.seed = seed,
                .ranks = 2 + random() % (most_ranks - 1),
                .rendezvous = random() % 2 == 0,
                .wrong = static_cast<fault>(seed % random_faults)};
  made.rank = random() % made.ranks;
  made.step = 2 * (random() % (steps / 2));
  return made;
}

/// What the ranks do at a step: 0 all_reduce, 1 broadcast, 2 messages around the ring.
inline std::uint64_t kind_of(const scenario& given, std::size_t step) {
  if (given.wrong == fault::other_reduction && step == given.step) return 0;
  return (given.seed + step) % 3;
}

/// As many as the environment variable OMNIBAL_FAULTS says, or 60.
inline std::size_t number_of_faults() {
  const char* number = std::getenv("OMNIBAL_FAULTS");
  return number == nullptr ? 60 : std::strtoull(number, nullptr, 10);
}

/// What a rank says at its end.
struct outcome {
  std::string error = {};
  std::chrono::milliseconds waited{0};  // in the wait that ended with it
};

/// The program of one rank, whose channels are `all`. The rank that is late comes once `is_over`
/// returns, which waits until all others have given up; is_seen_at_once says whether the others
/// learn of the fault before their deadline.
template <omnibal::tensor_channel Channel>
class faulty_program {
 public:
  faulty_program(const scenario& given, std::vector<Channel>& all, bool is_seen_at_once,
                 std::function<void()> is_over)
      : given_(given), all_(all), is_seen_at_once_(is_seen_at_once), is_over_(std::move(is_over)) {}

  /// Throws std::domain_error where the rank at fault throws.
  outcome run() {
    try {
      run_steps();
    } catch (const omnibal::communication_error& error) {
      return {error.what(), std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::steady_clock::now() - begin_)};
    }
    return {};
  }

 private:
  void run_steps() {
    for (std::size_t step = 0; step < steps; ++step) {
      is_before_fault_ = step < given_.step;
      const bool is_wrong = all_[0].rank() == given_.rank && step == given_.step;
      if (given_.wrong == fault::aborts_busy_channels && step == given_.step)
        return abort_busy_channels();
      if (!is_wrong || given_.wrong == fault::none)
        carry_out(step, 0);
      else if (given_.wrong == fault::leaves)
        return;
      else
        step = do_wrong(step);
    }
    is_before_fault_ = false;
    // Every channel is used once more, so that a fault in any of them is seen by all.
    for (std::size_t step = 0; step < 2 * channels; step += 2) carry_out(step, 0);
  }

  /// Returns the last step that was carried out.
  std::size_t do_wrong(std::size_t step) {
    switch (given_.wrong) {
      case fault::throws: throw std::domain_error("the loss is not a number");
      case fault::is_killed: std::raise(SIGKILL); break;
      case fault::is_late:
        is_over_();
        carry_out(step, 0);
        break;
      case fault::other_operation: gather(step); break;
      case fault::other_type: carry_out_as<double>(step, count_of(step) / 2); break;
      case fault::other_reduction:
        carry_out_as<float>(step, count_of(step), omnibal::reduction::largest);
        break;
      case fault::sends_more: carry_out(step, 1); break;
      case fault::sends_fewer: carry_out(step, -1); break;
      case fault::other_plan:
        carry_out(step + 1, 0);
        carry_out(step, 0);
        return step + 1;
      case fault::aborts: channel_of(step).abort("a spike of the loss"); break;
      default: break;
    }
    return step;
  }

  /// Two steps in a row are on the same channel, with different sizes.
  [[nodiscard]] Channel& channel_of(std::size_t step) { return all_[step / 2 % channels]; }

  [[nodiscard]] static std::size_t count_of(std::size_t step) { return 6 + 4 * step; }

  void carry_out(std::size_t step, int change) {
    carry_out_as<float>(step, static_cast<std::size_t>(static_cast<int>(count_of(step)) + change));
  }

  /// Sends this many elements; receives as many as are right.
  template <typename Element>
  void carry_out_as(std::size_t step, std::size_t changed,
                    omnibal::reduction how = omnibal::reduction::sum) {
    Channel& channel = channel_of(step);
    const auto number = static_cast<Element>(step + 1);
    std::vector<Element> values(changed, number);
    const auto view = omnibal::view_of(values);
    const std::size_t size = channel.size();
    if (kind_of(given_, step) == 0) {
      wait(channel.all_reduce(view, how));
      return require(values, number * static_cast<Element>(size));
    }
    if (kind_of(given_, step) == 1) {
      wait(channel.broadcast(view, step % given_.ranks));
      return require(values, number);
    }
    std::vector<Element> received(count_of(step));
    wait(omnibal::in_group(channel, [&] {
      channel.send(view, (channel.rank() + 1) % size);
      channel.receive(omnibal::view_of(received), (channel.rank() + size - 1) % size);
    }));
    require(received, number);
  }

  /// An operation ends with an error or the right numbers.
  template <typename Element>
  static void require(const std::vector<Element>& values, Element number) {
    for (const Element value : values)
      if (value != number) throw std::logic_error("wrong numbers without an error");
  }

  /// Every rank but the one at fault has an operation under way on each channel: all end. The last
  /// channel tells the rank at fault that the others are busy and is aborted last, so none of them
  /// leaves before all are.
  void abort_busy_channels() {
    constexpr std::string_view reason = "a spike of the loss";
    Channel& last = all_.back();
    std::vector<float> values(channels);
    if (last.rank() == given_.rank) {
      for (std::size_t r = 0; r < given_.ranks; ++r)
        if (r != given_.rank) wait(last.receive(omnibal::view_of(values).part(0, 1), r));
      for (Channel& channel : all_) channel.abort(reason);
      return;
    }
    std::vector<typename Channel::ticket> tickets;
    std::vector<std::string> errors;
    const auto note = [&](const auto& action) {
      try {
        action();
      } catch (const omnibal::communication_error& error) {
        errors.emplace_back(error.what());
      }
    };
    for (std::size_t c = 0; c < channels; ++c)
      note([&] {
        if (&all_[c] == &last) wait(last.send(omnibal::view_of(values).part(c, 1), given_.rank));
        tickets.push_back(
            all_[c].all_reduce(omnibal::view_of(values).part(c, 1), omnibal::reduction::sum));
      });
    for (auto& ticket : tickets) note([&] { wait(ticket); });
    for (const std::string& error : errors)
      if (error.find(reason) == std::string::npos) throw std::logic_error(error);
    if (errors.size() != channels) throw std::logic_error("a busy channel was not aborted");
    throw omnibal::communication_error(all_[0].rank(), "all_reduce", 0, errors[0]);
  }

  void gather(std::size_t step) {
    const std::vector<double> own(1);
    const std::vector<std::size_t> counts(given_.ranks, 1);
    std::vector<double> gathered(given_.ranks);
    wait(channel_of(step).all_gather(omnibal::view_of(own), omnibal::view_of(gathered), counts));
  }

  void wait(typename Channel::ticket ticket) {
    const bool is_patient = is_before_fault_ || is_seen_at_once_ || given_.wrong == fault::none;
    begin_ = std::chrono::steady_clock::now();
    ticket.wait(is_patient ? std::chrono::milliseconds(patience) : deadline);
  }

  scenario given_;
  std::vector<Channel>& all_;
  bool is_seen_at_once_;
  std::function<void()> is_over_;
  bool is_before_fault_ = true;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Whether a text has "rank 2", or 2 in a list such as "ranks 0, 2".
inline bool names(const std::string& text, std::size_t rank) {
  static const std::regex list("ranks? ([0-9]+(, [0-9]+)*)");
  for (auto found = std::sregex_iterator(text.begin(), text.end(), list);
       found != std::sregex_iterator(); ++found)
    if ((", " + (*found)[1].str() + ",").find(", " + std::to_string(rank) + ",") !=
        std::string::npos)
      return true;
  return false;
}

/// Whether all may end well: without rendezvous, the messages of a broadcast and of a group in
/// another order can fit, each to its own rank.
inline bool may_fit(const scenario& given) {
  return given.wrong == fault::other_plan && !given.rendezvous && kind_of(given, given.step) == 1;
}

/// What some error must say of a fault, as a regular expression; empty for one that may be seen in
/// several ways.
inline std::string report_of(const scenario& given, bool is_seen_at_once) {
  const std::string rank = "rank " + std::to_string(given.rank);
  const std::string both = ".* sends [0-9]+ bytes to .*; .* expects [0-9]+ bytes in ";
  if (!is_seen_at_once) return given.wrong == fault::other_plan ? "" : "did not come within 200 ms";
  switch (given.wrong) {
    case fault::throws: return rank + " aborted: an exception";
    case fault::leaves: return rank + " has left";
    case fault::other_operation:
    case fault::other_type: return both;
    case fault::other_reduction: return "all_reduce #[0-9]+ of [0-9]+ f32, largest";
    case fault::sends_more:
    case fault::sends_fewer: return both;
    case fault::aborts:
    case fault::aborts_busy_channels: return rank + " aborted: a spike of the loss";
    default: return "";
  }
}

/// What of the calls that differ an error must contain.
inline std::string call_of(const scenario& given) {
  if (given.wrong == fault::other_operation) return "all_gather #";
  if (given.wrong == fault::other_type) return " f64";
  return "";
}

/// What is wrong with what the ranks say; empty where nothing is. Every rank but the one at fault
/// names itself, its operation and the number of that. Where a fault is seen at the deadline alone,
/// a rank may wait for one that waits for the rank at fault, and be first.
inline std::string complaint(const scenario& given, const std::vector<std::string>& errors,
                             bool is_seen_at_once) {
  const auto is_empty = [](const std::string& error) { return error.empty(); };
  if (may_fit(given) && std::ranges::all_of(errors, is_empty)) return "";
  static const std::string operations =
      "(send|receive|all_reduce|all_gather|broadcast|group)[a-z0-9 ]* #[0-9]+: ";
  const std::regex report(report_of(given, is_seen_at_once));
  bool is_named = false;
  bool is_told = false;
  for (std::size_t r = 0; r < given.ranks; ++r) {
    const std::string& error = errors[r];
    const std::string of_rank = "rank " + std::to_string(r) + " says \"" + error + "\"";
    if (given.wrong == fault::none && !error.empty()) return of_rank;
    if (given.wrong == fault::none || r == given.rank) continue;
    const std::regex place("^rank " + std::to_string(r) + ", " + operations);
    if (!std::regex_search(error, place)) return of_rank;
    const std::string reason = std::regex_replace(error, place, "");
    is_named |= names(reason, given.rank);
    is_named |= !is_seen_at_once && reason.find("did not come") != std::string::npos;
    is_told |=
        std::regex_search(reason, report) && reason.find(call_of(given)) != std::string::npos;
  }
  if ((is_named && is_told) || given.wrong == fault::none) return "";
  std::string all = is_named ? "nobody tells the fault:" : "nobody names the rank at fault:";
  for (const std::string& error : errors) all += "\n" + error;
  return all;
}

}  // namespace fault_checks
