// SPDX-License-Identifier: Apache-2.0
// Four ranks are the stages of a pipeline under 1F1B. message_order puts all operations and
// messages into one order that cannot deadlock, even though a send here ends only when it is
// received; a pipeline_link carries out the messages. The model is one weight per stage, y = w · x;
// the loss is the sum of the last y. Ranks are threads here; over MPI the same calls take an
// mpi_channel.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include <omnibal/comm.hpp>
#include <omnibal/pipeline/message_order.hpp>
#include <omnibal/pipeline/schedules.hpp>

#include "claim.hpp"

using omnibal::item_kind;
using omnibal::examples::claim;

constexpr std::size_t stages = 4;
constexpr std::array<float, stages> weights = {0.5F, 2, 0.25F, 4};
constexpr std::array<std::size_t, 6> tokens = {3, 1, 4, 0, 5, 2};  // per micro-batch; one is empty

// What passes between stages has a size that both ends know: no header, no exchange of shapes.
std::int64_t bytes_of(const omnibal::execution_item& item) {
  return static_cast<std::int64_t>(tokens[item.microbatch] * sizeof(float));
}

std::span<float> floats(omnibal::tensor_view values) {
  return {reinterpret_cast<float*>(values.data), values.count};
}
std::span<const float> floats(omnibal::const_tensor_view values) {
  return {reinterpret_cast<const float*>(values.data), values.count};
}

// One step of one stage; returns the gradient of its weight.
float run_stage(omnibal::thread_channel& channel, std::span<const omnibal::execution_item> items) {
  const std::size_t stage = channel.rank();
  const bool is_last = stage + 1 == stages;
  std::array<std::vector<float>, tokens.size()> saved;
  float gradient = 0;
  omnibal::pipeline_link<omnibal::thread_channel> link(channel);
  for (const omnibal::execution_item& item : items) {
    if (omnibal::is_message(item.kind)) {
      link.issue(item, bytes_of(item));
      continue;
    }
    const std::size_t m = item.microbatch;
    const std::span<const float> read = floats(link.input(item));  // waits for its message
    if (item.kind == item_kind::forward) {
      saved[m].assign(read.begin(), read.end());
      if (stage == 0) saved[m].assign(tokens[m], 1.0F);
      const auto output = floats(link.output(item, is_last ? 0 : bytes_of(item)));
      for (std::size_t i = 0; i < output.size(); ++i) output[i] = weights[stage] * saved[m][i];
    } else {
      const auto slopes = floats(link.output(item, stage == 0 ? 0 : bytes_of(item)));
      for (std::size_t i = 0; i < tokens[m]; ++i) {
        const float slope = is_last ? 1.0F : read[i];
        gradient += slope * saved[m][i];
        if (stage > 0) slopes[i] = slope * weights[stage];
      }
    }
    link.release_input(item);
  }
  link.finish();
  return gradient;
}

struct equal_times {
  static std::int64_t duration(const omnibal::pipeline_operation& work) {
    return work.kind == omnibal::operation_kind::forward ? 1 : 2;
  }
  static std::int64_t latency(const omnibal::pipeline_operation&) { return 0; }
};

int main() {
  const omnibal::operation_graph graph({.stages = stages, .microbatches = tokens.size()});
  const auto order = omnibal::message_order(graph, equal_times{});
  std::array<float, stages> gradients{};
  omnibal::run_as_ranks(stages, [&](omnibal::thread_communicator& ranks) {
    auto channel = omnibal::open_thread_channel(ranks, {.rendezvous = true});
    gradients[ranks.rank()] = run_stage(channel, order[ranks.rank()]);
  });
  // y = w0 · w1 · w2 · w3 = 1 for each of the 15 tokens, so the slope of w is 15 / w.
  for (std::size_t j = 0; j < stages; ++j) {
    std::printf("stage %zu: %zu items, gradient %.2f\n", j, order[j].size(), double{gradients[j]});
    claim(gradients[j] == 15 / weights[j], "the gradient is that of the whole chain");
  }
}
