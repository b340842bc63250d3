// SPDX-License-Identifier: Apache-2.0
/// @file
/// One block of an emulated kernel: its threads run as fibers, one at a time, each until it has to
/// wait for others. Threads that wait for something that cannot happen are a finding.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/fiber.hpp"
#include "emulator/vector_types.h"

/// What device code knows of itself; of the thread that runs now.
inline uint3 threadIdx{};
inline uint3 blockIdx{};
inline dim3 blockDim{};
inline dim3 gridDim{};
inline constexpr int warpSize = 32;

namespace emulator {

/// The order in which those run that may run at the same time.
enum class order { forward, reverse, random };

/// 0 … n − 1 in an order.
class sequence {
 public:
  sequence(std::size_t size, order wanted, std::uint64_t seed)
      : numbers_(size), wanted_(wanted), random_(seed) {
    std::iota(numbers_.begin(), numbers_.end(), std::size_t{0});
    if (wanted_ == order::reverse) std::reverse(numbers_.begin(), numbers_.end());
  }

  /// Another one in each call where the order is random.
  [[nodiscard]] const std::vector<std::size_t>& next() {
    if (wanted_ == order::random)
      for (std::size_t i = numbers_.size(); i > 1; --i)
        std::swap(numbers_[i - 1], numbers_[random_() % i]);
    return numbers_;
  }

 private:
  std::vector<std::size_t> numbers_;
  order wanted_;
  std::mt19937_64 random_;
};

/// Where in the source a thread waits.
struct place {
  const char* file = "";
  int line = 0;
  friend bool operator==(const place& a, const place& b) {
    return a.line == b.line && (a.file == b.file || std::string_view(a.file) == b.file);
  }
  friend bool operator<(const place& a, const place& b) {
    return std::pair(std::string_view(a.file), a.line) <
           std::pair(std::string_view(b.file), b.line);
  }
};

/// The barriers that threads have come to, and one of them to leave out, so that tests can show
/// that it is needed.
struct barriers {
  std::set<place> met;
  std::optional<place> left_out;
};
inline barriers all_barriers;

/// An operation that the lanes of a mask make together: each brings a value and takes that of lane
/// `source`, and the lanes whose value is not 0.
struct warp_call {
  const char* operation = "";
  unsigned mask = 0;
  std::uint64_t value = 0;
  unsigned source = 0;
  place where;
};
struct warp_result {
  std::uint64_t value =
      0xA5A5'A5A5'A5A5'A5A5;  ///< Unspecified where the source does not take part.
  unsigned nonzero = 0;
};

/// What the threads of a block brought to a barrier.
struct barrier_result {
  unsigned threads = 0;
  unsigned nonzero = 0;
};

class block_run {
 public:
  block_run(fiber_pool& fibers, dim3 shape, const std::function<void()>& body,
            const std::function<void()>& run_predecessor, order thread_order, std::uint64_t seed)
      : fibers_(fibers),
        run_predecessor_(run_predecessor),
        threads_(std::size_t{shape.x} * shape.y * shape.z),
        warps_((threads_.size() + warp_lanes - 1) / warp_lanes, thread_order, seed),
        lanes_(warp_lanes, thread_order, seed) {
    for (std::size_t t = 0; t < threads_.size(); ++t) {
      const auto number = static_cast<unsigned>(t);
      threads_[t].index = {number % shape.x, number / shape.x % shape.y,
                           number / shape.x / shape.y};
      threads_[t].context = fibers_.take();
      threads_[t].context->start(body);
    }
  }
  block_run(const block_run&) = delete;
  block_run& operator=(const block_run&) = delete;
  ~block_run() {
    for (thread& each : threads_) fibers_.give_back(std::move(each.context));
  }

  /// Runs all threads to their ends. Returns what is wrong with them, or nothing. Each warp runs as
  /// far ahead of the others as it can.
  [[nodiscard]] std::string run() {
    for (;;) {
      for (const std::size_t warp : warps_.next()) run_warp(warp * warp_lanes);
      if (!finding_.empty()) return finding_;
      if (count(waits_for::nobody) == threads_.size()) return {};
      if (!release_barrier()) return "divergent barrier: " + who_waits();
    }
  }

  // Called by the thread that runs.

  [[nodiscard]] barrier_result barrier(bool value, place where) {
    thread& self = *running_;
    if (!(where == last_met_)) all_barriers.met.insert(last_met_ = where);
    if (all_barriers.left_out == where) return {};
    self.call = {.operation = "__syncthreads", .value = value ? 1U : 0U, .where = where};
    wait(waits_for::block);
    return barrier_;
  }

  [[nodiscard]] warp_result warp(const warp_call& call) {
    thread& self = *running_;
    self.call = call;
    if (((call.mask >> lane(self)) & 1U) == 0)
      finding_ = std::string(call.operation)
                     .append(" by a lane that is not in its mask, at ")
                     .append(described(call.where));
    wait(waits_for::warp);
    return self.result;
  }

  void wait_for_predecessor() { wait(waits_for::predecessor); }

  /// The thread's number in its block.
  [[nodiscard]] std::size_t number() const { return number(*running_); }

 private:
  enum class waits_for { nothing, block, warp, predecessor, nobody };

  struct thread {
    std::unique_ptr<fiber> context;
    uint3 index{};
    waits_for state = waits_for::nothing;
    warp_call call;
    warp_result result;
  };

  static constexpr std::size_t warp_lanes = 32;

  [[nodiscard]] std::size_t number(const thread& of) const {
    return static_cast<std::size_t>(&of - threads_.data());
  }
  [[nodiscard]] unsigned lane(const thread& of) const {
    return static_cast<unsigned>(number(of) % warp_lanes);
  }
  [[nodiscard]] std::size_t count(waits_for state) const {
    return static_cast<std::size_t>(std::count_if(
        threads_.begin(), threads_.end(), [&](const thread& t) { return t.state == state; }));
  }

  void wait(waits_for what) {
    running_->state = what;
    running_->context->suspend();
  }

  void resume(thread& next) {
    do {
      next.state = waits_for::nothing;
      running_ = &next;
      threadIdx = next.index;
      next.context->resume();
      // The grid before this one has to have ended: now is the latest moment.
      if (next.state == waits_for::predecessor) run_predecessor_();
    } while (next.state == waits_for::predecessor);
    if (next.context->ended()) next.state = waits_for::nobody;
  }

  /// Runs the threads of a warp until none of them can go on without other warps.
  void run_warp(std::size_t begin) {
    do {
      for (const std::size_t lane : lanes_.next()) {
        const std::size_t t = begin + lane;
        if (t < threads_.size() && threads_[t].state == waits_for::nothing) resume(threads_[t]);
      }
    } while (finding_.empty() && release_lanes(begin));
  }

  /// Lets those lanes go on whose whole mask, but for threads that have ended, makes the same call.
  [[nodiscard]] bool release_lanes(std::size_t begin) {
    bool released = false;
    for (std::size_t t = begin; t < std::min(begin + warp_lanes, threads_.size()); ++t)
      if (threads_[t].state == waits_for::warp && is_complete(threads_[t])) {
        release(threads_[t]);
        released = true;
      }
    return released;
  }

  /// The threads of `of`'s mask that have not ended.
  template <typename Visit>
  void for_each_in_mask(const thread& of, Visit visit) {
    const std::size_t begin = number(of) / warp_lanes * warp_lanes;
    for (std::size_t t = begin; t < std::min(begin + warp_lanes, threads_.size()); ++t)
      if (((of.call.mask >> (t - begin)) & 1U) != 0 && threads_[t].state != waits_for::nobody)
        visit(threads_[t]);
  }

  [[nodiscard]] bool is_complete(const thread& of) {
    bool complete = true;
    for_each_in_mask(of, [&](const thread& other) {
      complete = complete && other.state == waits_for::warp && other.call.mask == of.call.mask &&
                 (other.call.operation == of.call.operation ||
                  std::string_view(other.call.operation) == of.call.operation);
    });
    return complete;
  }

  void release(const thread& first) {
    unsigned nonzero = 0;
    std::array<const thread*, warp_lanes> by_lane{};
    for_each_in_mask(first, [&](const thread& other) {
      by_lane[lane(other)] = &other;
      if (other.call.value != 0) nonzero |= 1U << lane(other);
    });
    for_each_in_mask(first, [&](thread& each) {
      each.result = {.nonzero = nonzero};
      const unsigned source = each.call.source;
      if (source < warp_lanes && by_lane[source] != nullptr)
        each.result.value = by_lane[source]->call.value;
    });
    for_each_in_mask(first, [](thread& each) { each.state = waits_for::nothing; });
  }

  /// Lets all threads go on if all wait at the same barrier.
  [[nodiscard]] bool release_barrier() {
    const bool all = std::all_of(threads_.begin(), threads_.end(), [&](const thread& t) {
      return t.state == waits_for::block && t.call.where == threads_.front().call.where;
    });
    if (!all) return false;
    barrier_ = {.threads = static_cast<unsigned>(threads_.size())};
    for (thread& each : threads_) {
      if (each.call.value != 0) ++barrier_.nonzero;
      each.state = waits_for::nothing;
    }
    return true;
  }

  [[nodiscard]] static std::string described(const place& where) {
    return std::string(where.file) + ":" + std::to_string(where.line);
  }

  [[nodiscard]] std::string described(const thread& of) const {
    if (of.state == waits_for::nobody) return "have ended";
    std::string text = std::string("wait in ") + of.call.operation;
    if (of.state == waits_for::warp) {
      char mask[16];
      std::snprintf(mask, sizeof mask, " (0x%08x)", of.call.mask);
      text += mask;
    }
    return text + " at " + described(of.call.where);
  }

  [[nodiscard]] std::string who_waits() const {
    std::map<std::string, std::size_t> numbers;
    for (const thread& each : threads_) ++numbers[described(each)];
    std::string text;
    for (const auto& [what, threads] : numbers)
      text += (text.empty() ? "" : ", ") + std::to_string(threads) + " threads " + what;
    return text;
  }

  fiber_pool& fibers_;
  const std::function<void()>& run_predecessor_;
  std::vector<thread> threads_;
  sequence warps_;
  sequence lanes_;
  thread* running_ = nullptr;
  place last_met_;
  barrier_result barrier_;
  std::string finding_;
};

/// The block that runs now.
inline block_run* running_block = nullptr;

}  // namespace emulator
