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
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/tensor_channel.hpp>

namespace fault_checks {

/// Of every wait of a program with a fault.
constexpr auto deadline = std::chrono::milliseconds(200);
/// Of every wait of a program without one, and of a test.
constexpr auto watchdog = std::chrono::seconds(30);
constexpr std::size_t steps = 8;
constexpr std::size_t channels = 3;
constexpr const char* channel_names[channels] = {"data", "pipeline", "tensor"};

enum class fault {
  none,
  throws,
  leaves,
  is_late,
  other_operation,
  sends_more,
  sends_fewer,
  other_plan,
  aborts,
  is_killed  // not among the random ones: it takes the process along
};
constexpr std::size_t random_faults = 9;

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

/// The program of one rank, whose channels are `all`.
template <omnibal::tensor_channel Channel>
class faulty_program {
 public:
  faulty_program(const scenario& given, std::vector<Channel>& all) : given_(given), all_(all) {}

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
      const bool is_wrong = all_[0].rank() == given_.rank && step == given_.step;
      if (!is_wrong || given_.wrong == fault::none)
        carry_out(step, 0);
      else if (given_.wrong == fault::leaves)
        return;
      else
        step = do_wrong(step);
    }
    // Every channel is used once more, so that a fault in any of them is seen by all.
    for (std::size_t step = 0; step < 2 * channels; step += 2) carry_out(step, 0);
  }

  /// Returns the last step that was carried out.
  std::size_t do_wrong(std::size_t step) {
    switch (given_.wrong) {
      case fault::throws: throw std::domain_error("the loss is not a number");
      case fault::is_killed: std::raise(SIGKILL); break;
      case fault::is_late:
        std::this_thread::sleep_for(3 * deadline);
        carry_out(step, 0);
        break;
      case fault::other_operation: gather(step); break;
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

  void carry_out(std::size_t step, int change) {
    Channel& channel = channel_of(step);
    const std::size_t count = 6 + 4 * step;
    const auto changed = static_cast<std::size_t>(static_cast<int>(count) + change);
    const std::uint64_t kind = (given_.seed + step) % 3;
    const auto number = static_cast<float>(step + 1);
    std::vector<float> values(changed, number);
    const auto view = omnibal::view_of(values);
    const std::size_t size = channel.size();
    if (kind == 0) {
      wait(channel.all_reduce(view, omnibal::reduction::sum));
      return require(values, number * static_cast<float>(size));
    }
    if (kind == 1) {
      wait(channel.broadcast(view, step % given_.ranks));
      return require(values, number);
    }
    std::vector<float> received(count);
    wait(omnibal::in_group(channel, [&] {
      channel.send(view, (channel.rank() + 1) % size);
      channel.receive(omnibal::view_of(received), (channel.rank() + size - 1) % size);
    }));
    require(received, number);
  }

  /// An operation ends with an error or the right numbers.
  static void require(const std::vector<float>& values, float number) {
    for (const float value : values)
      if (value != number) throw std::logic_error("wrong numbers without an error");
  }

  void gather(std::size_t step) {
    const std::vector<double> own(1);
    const std::vector<std::size_t> counts(given_.ranks, 1);
    std::vector<double> gathered(given_.ranks);
    wait(channel_of(step).all_gather(omnibal::view_of(own), omnibal::view_of(gathered), counts));
  }

  void wait(typename Channel::ticket ticket) {
    begin_ = std::chrono::steady_clock::now();
    ticket.wait(given_.wrong == fault::none ? std::chrono::milliseconds(watchdog) : deadline);
  }

  scenario given_;
  std::vector<Channel>& all_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Whether "rank 2" or "ranks 0, 2" is in a text.
inline bool names(const std::string& text, std::size_t rank) {
  if (text.find("rank " + std::to_string(rank)) != std::string::npos) return true;
  const std::size_t list = text.find("ranks ");
  if (list == std::string::npos) return false;
  const std::string ranks =
      text.substr(list + 6, text.find_first_not_of("0123456789, ", list + 6) - list - 6);
  return (", " + ranks).find(", " + std::to_string(rank)) != std::string::npos;
}

/// Whether all may end well: without rendezvous, the messages of two operations in another order
/// can fit, each to its own rank.
inline bool may_fit(const scenario& given) {
  return given.wrong == fault::other_plan && !given.rendezvous;
}

/// What is wrong with what the ranks say; empty where nothing is. Where a fault is seen at the
/// deadline alone, a rank may wait for one that waits for the rank at fault, and be first.
inline std::string complaint(const scenario& given, const std::vector<std::string>& errors,
                             bool is_seen_at_once) {
  const auto is_empty = [](const std::string& error) { return error.empty(); };
  if (may_fit(given) && std::ranges::all_of(errors, is_empty)) return "";
  bool is_named = false;
  for (std::size_t r = 0; r < given.ranks; ++r) {
    const std::string& error = errors[r];
    const std::string of_rank = "rank " + std::to_string(r) + " says \"" + error + "\"";
    if (given.wrong == fault::none && !error.empty()) return of_rank;
    if (given.wrong == fault::none || r == given.rank) continue;
    if (error.find("rank " + std::to_string(r) + ", ") != 0) return of_rank;
    const std::size_t sequence = error.find(" #");
    if (sequence == std::string::npos) return of_rank;
    is_named |= names(error.substr(sequence), given.rank);
    is_named |= !is_seen_at_once && error.find("did not come") != std::string::npos;
  }
  if (is_named || given.wrong == fault::none) return "";
  std::string all = "nobody names the rank at fault:";
  for (const std::string& error : errors) all += "\n" + error;
  return all;
}

}  // namespace fault_checks
