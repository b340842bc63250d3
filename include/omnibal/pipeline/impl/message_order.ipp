// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/message_order.hpp>
#include <omnibal/pipeline/operation_graph.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// An operation, or the message that its output is for another device.
struct ordered_item {
  std::int64_t time;
  std::uint32_t position;  ///< Of the operation, or of the one that produces the message.
  std::uint32_t consumer;  ///< Position of the operation that needs the message; or `nothing`.

  [[nodiscard]] bool is_message() const noexcept { return consumer != operation_graph::nothing; }
  friend bool operator<(const ordered_item& left, const ordered_item& right) noexcept {
    return std::tuple(left.time, left.position, left.is_message()) <
           std::tuple(right.time, right.position, right.is_message());
  }
};

inline void expect_simulated(const operation_graph& graph, std::span<const std::int64_t> starts,
                             std::span<const std::int64_t> ends) {
  const auto nodes = graph.nodes();
  if (starts.size() != nodes.size() || ends.size() != nodes.size())
    throw invalid_input("times", std::min(starts.size(), ends.size()),
                        "must be one per operation, " + std::to_string(nodes.size()));
  std::vector<std::int64_t> device_end(graph.devices(), 0);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::uint32_t producer = nodes[i].producer;
    if (starts[i] < device_end[nodes[i].device] ||
        (producer != operation_graph::nothing && starts[i] < ends[producer]))
      throw invalid_input("starts", i, starts[i],
                          "is before " + to_string(nodes[i].work) + " can start");
    if (ends[i] < starts[i])
      throw invalid_input("ends", i, ends[i], "must not be before the start");
    device_end[nodes[i].device] = ends[i];
  }
}

[[nodiscard]] inline item_kind kind_of(operation_kind kind) noexcept {
  switch (kind) {
    case operation_kind::forward: return item_kind::forward;
    case operation_kind::backward: return item_kind::backward;
    case operation_kind::weight_gradient: return item_kind::weight_gradient;
  }
  return item_kind::forward;
}

}  // namespace detail

OMNIBAL_INLINE std::vector<std::vector<execution_item>> message_order(
    const operation_graph& graph, std::span<const std::int64_t> starts,
    std::span<const std::int64_t> ends) {
  detail::expect_simulated(graph, starts, ends);
  const auto nodes = graph.nodes();
  std::vector<detail::ordered_item> order;
  order.reserve(2 * nodes.size());
  for (std::uint32_t i = 0; i < nodes.size(); ++i) {
    order.push_back({starts[i], i, operation_graph::nothing});
    const std::uint32_t producer = nodes[i].producer;
    if (producer != operation_graph::nothing && nodes[producer].device != nodes[i].device)
      order.push_back({ends[producer], producer, i});
  }
  std::sort(order.begin(), order.end());

  std::vector<std::vector<execution_item>> devices(graph.devices());
  for (const detail::ordered_item& item : order) {
    const operation_graph::node& node = nodes[item.position];
    const pipeline_operation& work = node.work;
    if (!item.is_message()) {
      devices[node.device].push_back(
          {.kind = detail::kind_of(work.kind), .stage = work.stage, .microbatch = work.microbatch});
      continue;
    }
    const std::uint32_t receiver = nodes[item.consumer].device;
    const execution_item sent{.kind = work.kind == operation_kind::forward
                                          ? item_kind::send_activation
                                          : item_kind::send_gradient,
                              .stage = work.stage,
                              .microbatch = work.microbatch,
                              .peer = receiver};
    devices[node.device].push_back(sent);
    devices[receiver].push_back(other_end(sent, node.device));
  }
  return devices;
}

}  // namespace omnibal::inline v0
