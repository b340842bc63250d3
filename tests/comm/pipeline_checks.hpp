// SPDX-License-Identifier: Apache-2.0
/// @file
/// A pipeline without a model: stages that pass numbers on which only one stage and micro-batch can
/// have made. It runs over every model of tensor_channel, in any order of items.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <omnibal/comm/pipeline_link.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/pipeline/message_order.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/simulate_items.hpp>

#include "comm/collective_checks.hpp"
#include "pipeline/natural_order.hpp"

namespace pipeline_checks {

using collective_checks::expect;
using omnibal::execution_item;
using omnibal::item_kind;
using omnibal::schedule_shape;
using omnibal::test::programs;

struct unit_times {
  static std::int64_t duration(const omnibal::pipeline_operation&) { return 10; }
  static std::int64_t latency(const omnibal::pipeline_operation&) { return 1; }
};

inline programs message_order_of(const schedule_shape& shape) {
  return omnibal::message_order(omnibal::operation_graph(shape), unit_times{});
}

/// Numbers that pass after a stage for a micro-batch, by a seed: some none, else up to `most`.
struct passage_sizes {
  std::uint64_t seed = 0;
  std::size_t most = 0;
  bool some_are_empty = true;

  std::int64_t bytes(std::uint32_t stage, std::uint32_t microbatch) const {
    std::mt19937_64 random(seed * 1'000'003 + stage * 1009 + microbatch);
    if (some_are_empty && random() % 5 == 0) return 0;
    return static_cast<std::int64_t>((1 + random() % most) * sizeof(float));
  }
};

inline float number_of(bool is_gradient, std::uint32_t stage, std::uint32_t microbatch,
                       std::size_t index) {
  const std::size_t number = stage * 6151 + microbatch * 389 + index * 3;
  return static_cast<float>(number % 1'000'003) * (is_gradient ? -1.0F : 1.0F);
}

/// Stages of one rank, which check what they read and make what the next has to read.
template <typename Link>
class checked_stages {
 public:
  checked_stages(const schedule_shape& shape, const passage_sizes& sizes, Link& link)
      : last_(static_cast<std::uint32_t>(shape.total_stages() - 1)), sizes_(sizes), link_(link) {}

  void run(const execution_item& item) {
    const bool backward = item.kind == item_kind::backward;
    const bool forward = item.kind == item_kind::forward;
    if (omnibal::is_message(item.kind)) return issue(item);
    if (!forward && !backward) return;
    const bool reads = forward ? item.stage > 0 : item.stage < last_;
    const bool gives = forward ? item.stage < last_ : item.stage > 0;
    const std::uint32_t before = item.stage - 1;
    require(backward, forward ? before : item.stage, item.microbatch, reads, link_.input(item));
    if (gives) fill(backward, forward ? item.stage : before, item);
    link_.release_input(item);
    link_.poll();
  }

  std::size_t ended() const { return ended_; }

 private:
  void issue(const execution_item& item) {
    const bool after =
        item.kind == item_kind::send_activation || item.kind == item_kind::receive_gradient;
    link_.issue(item, sizes_.bytes(after ? item.stage : item.stage - 1, item.microbatch),
                [this] { ++ended_; });
  }

  void require(bool is_gradient, std::uint32_t stage, std::uint32_t microbatch, bool reads,
               omnibal::const_tensor_view read) const {
    const std::int64_t bytes = reads ? sizes_.bytes(stage, microbatch) : 0;
    expect(static_cast<std::int64_t>(read.bytes()) == bytes, "bytes of an input");
    std::vector<float> numbers(read.count);
    if (bytes > 0) std::memcpy(numbers.data(), read.data, read.bytes());
    for (std::size_t i = 0; i < numbers.size(); ++i)
      expect(numbers[i] == number_of(is_gradient, stage, microbatch, i),
             "number " + std::to_string(i) + " after stage " + std::to_string(stage) +
                 ", micro-batch " + std::to_string(microbatch));
  }

  void fill(bool is_gradient, std::uint32_t stage, const execution_item& item) {
    const auto made = link_.output(item, sizes_.bytes(stage, item.microbatch));
    std::vector<float> numbers(made.count);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = number_of(is_gradient, stage, item.microbatch, i);
    if (made.count > 0) std::memcpy(made.data, numbers.data(), made.bytes());
  }

  std::uint32_t last_;
  passage_sizes sizes_;
  Link& link_;
  std::size_t ended_ = 0;
};

/// Two steps of one rank of the channel, which has a rank for each device; all ranks call it.
template <omnibal::tensor_channel Channel>
void run_pipeline(Channel& channel, const schedule_shape& shape, const programs& ranks,
                  const passage_sizes& sizes, std::size_t in_flight = 2) {
  omnibal::pipeline_link<Channel> link(channel, {.in_flight = in_flight});
  for (std::uint64_t step = 0; step < 2; ++step) {
    const passage_sizes of_step{sizes.seed + step, sizes.most, sizes.some_are_empty};
    checked_stages stages(shape, of_step, link);
    for (const execution_item& item : ranks[channel.rank()]) stages.run(item);
    link.finish();
    expect(link.held_bytes() == 0, "all buffers are released");
    std::size_t messages = 0;
    for (const execution_item& item : ranks[channel.rank()]) {
      const bool after =
          item.kind == item_kind::send_activation || item.kind == item_kind::receive_gradient;
      messages += omnibal::is_message(item.kind) &&
                  of_step.bytes(after ? item.stage : item.stage - 1, item.microbatch) > 0;
    }
    expect(stages.ended() == messages, "the end of every message is seen once");
  }
}

/// All schedules on `devices` devices, with up to three virtual stages.
inline std::vector<schedule_shape> shapes_of(std::size_t devices,
                                             const std::vector<std::size_t>& microbatches) {
  std::vector<schedule_shape> shapes;
  for (const omnibal::any_schedule& kind : omnibal::all_schedules)
    for (std::size_t v = 1; v <= 3; ++v)
      for (const std::size_t m : microbatches) {
        const auto& can = kind.capabilities();
        if (v < can.least_virtual_stages || v > can.most_virtual_stages) continue;
        schedule_shape shape{.kind = kind, .stages = devices, .virtual_stages = v};
        shape.microbatches = omnibal::runnable_microbatches(shape, m);
        shapes.push_back(shape);
      }
  return shapes;
}

inline std::string name_of(const schedule_shape& shape) {
  return std::string(shape.kind.name()) + ", p " + std::to_string(shape.stages) + ", v " +
         std::to_string(shape.virtual_stages) + ", m " + std::to_string(shape.microbatches);
}

/// Whether a model of channels, in which a send ends with its receive, gets stuck.
inline bool is_stuck(const programs& ranks) {
  std::vector<std::vector<std::int64_t>> durations;
  for (const auto& items : ranks) durations.emplace_back(items.size(), 1);
  return !omnibal::simulate_items({.devices = ranks.size(),
                                   .ranks = ranks,
                                   .durations = durations,
                                   .queues = omnibal::item_queues::two})
              .stuck.empty();
}

}  // namespace pipeline_checks
