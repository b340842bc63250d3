// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::string to_string(const pipeline_operation& work) {
  constexpr char letters[] = {'F', 'B', 'W'};
  return letters[static_cast<std::size_t>(work.kind)] + std::to_string(work.stage) + "." +
         std::to_string(work.microbatch);
}

OMNIBAL_INLINE operation_graph::operation_graph(
    std::span<const std::vector<pipeline_operation>> orders, std::size_t total_stages,
    std::size_t microbatches)
    : devices_(orders.size()), stages_(total_stages), microbatches_(microbatches) {
  check(orders);
  sort(orders);
}

OMNIBAL_INLINE bool operation_graph::waits_for(const pipeline_operation& work,
                                               pipeline_operation& producer) const noexcept {
  producer = work;
  switch (work.kind) {
    case operation_kind::forward:
      if (work.stage == 0) return false;
      --producer.stage;
      return true;
    case operation_kind::backward:
      if (work.stage + 1 == stages_)
        producer.kind = operation_kind::forward;
      else
        ++producer.stage;
      return true;
    case operation_kind::weight_gradient: producer.kind = operation_kind::backward; return true;
  }
  return false;
}

OMNIBAL_INLINE std::size_t operation_graph::slot(const pipeline_operation& work) const noexcept {
  return (static_cast<std::size_t>(work.kind) * stages_ + work.stage) * microbatches_ +
         work.microbatch;
}

OMNIBAL_INLINE void operation_graph::check(
    std::span<const std::vector<pipeline_operation>> orders) {
  if (orders.empty()) throw invalid_input("orders", "nothing", "needs at least one device");
  std::vector<char> seen(3 * stages_ * microbatches_, 0);
  std::vector<std::uint32_t> device_of(stages_, nothing);
  std::size_t weight_gradients = 0;
  std::size_t operations = 0;
  for (std::size_t device = 0; device < orders.size(); ++device)
    for (const pipeline_operation& work : orders[device]) {
      if (work.stage >= stages_ || work.microbatch >= microbatches_)
        throw invalid_input("orders", device, to_string(work),
                            "names a stage or micro-batch that does not exist");
      if (device_of[work.stage] == nothing)
        device_of[work.stage] = static_cast<std::uint32_t>(device);
      if (device_of[work.stage] != device)
        throw invalid_input("orders", device, to_string(work),
                            "belongs to device " + std::to_string(device_of[work.stage]) +
                                ", which runs other operations of its stage");
      if (std::exchange(seen[slot(work)], char{1}) != 0)
        throw invalid_input("orders", device, to_string(work), "appears twice");
      weight_gradients += work.kind == operation_kind::weight_gradient;
      ++operations;
    }
  splits_backward_ = weight_gradients > 0;
  const std::size_t kinds = splits_backward_ ? 3 : 2;
  if (operations == kinds * stages_ * microbatches_) return;
  for (std::size_t kind = 0; kind < kinds; ++kind)
    for (std::uint32_t stage = 0; stage < stages_; ++stage)
      for (std::uint32_t microbatch = 0; microbatch < microbatches_; ++microbatch) {
        const pipeline_operation work{static_cast<operation_kind>(kind), stage, microbatch};
        if (seen[slot(work)] == 0) throw invalid_input("orders", to_string(work), "is missing");
      }
}

OMNIBAL_INLINE void operation_graph::sort(std::span<const std::vector<pipeline_operation>> orders) {
  std::vector<std::uint32_t> position(3 * stages_ * microbatches_, nothing);
  std::vector<std::size_t> next(orders.size(), 0);
  std::vector<std::size_t> ready;
  for (std::size_t device = orders.size(); device-- > 0;) ready.push_back(device);
  std::vector<std::uint32_t> sleeper(3 * stages_ * microbatches_, nothing);

  while (!ready.empty()) {
    const std::size_t device = ready.back();
    ready.pop_back();
    for (; next[device] < orders[device].size(); ++next[device]) {
      const pipeline_operation& work = orders[device][next[device]];
      pipeline_operation producer;
      const bool waits = waits_for(work, producer);
      if (waits && position[slot(producer)] == nothing) {
        sleeper[slot(producer)] = static_cast<std::uint32_t>(device);
        break;
      }
      if (work.kind == operation_kind::backward &&
          position[slot({operation_kind::forward, work.stage, work.microbatch})] == nothing)
        throw invalid_input("orders", device, to_string(work), "comes before its forward");
      position[slot(work)] = static_cast<std::uint32_t>(nodes_.size());
      nodes_.push_back({.work = work,
                        .device = static_cast<std::uint32_t>(device),
                        .producer = waits ? position[slot(producer)] : nothing});
      const std::uint32_t woken = std::exchange(sleeper[slot(work)], nothing);
      if (woken != nothing) ready.push_back(woken);
    }
  }
  for (std::size_t device = 0; device < orders.size(); ++device)
    if (next[device] < orders[device].size())
      throw invalid_input("orders", device, to_string(orders[device][next[device]]),
                          "waits for itself: the devices' orders form a cycle");
}

}  // namespace omnibal::inline v0
