// SPDX-License-Identifier: Apache-2.0
/// @file
/// The operations of a schedule on all devices as one acyclic graph in topological order. Built
/// once per schedule; each simulation (pipeline/simulate.hpp) is then a single pass over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/emptied_when_moved.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

/// "F3.0" for the forward of micro-batch 0 through virtual stage 3; B and W likewise.
[[nodiscard]] std::string to_string(const pipeline_operation& work);

/// Dependencies:
/// - of an operation on the one before it on its device;
/// - of F of stage j on F of stage j − 1, and of B of stage j on B of stage j + 1, each with the
///   latency of the edge between;
/// - of B of the last stage on its F, and of W on its B.
///
/// A graph that was moved from has no operations and no devices.
class operation_graph {
 public:
  static constexpr std::uint32_t nothing = std::numeric_limits<std::uint32_t>::max();

  struct node {
    pipeline_operation work;
    std::uint32_t device;
    std::uint32_t producer;  ///< Position of the node whose output this one needs, or `nothing`.
  };

  /// The graph of a schedule. O(p·m·v).
  explicit operation_graph(const schedule_shape& shape)
      : operation_graph(device_orders(shape), shape.total_stages(), shape.microbatches) {}

  /// The graph of explicit orders, one per device. A stage may be on any device. Throws
  /// invalid_input if an operation is missing, appears twice, is out of range, is part of a cycle
  /// or not on the device of its stage's other operations. O(operations).
  operation_graph(std::span<const std::vector<pipeline_operation>> orders, std::size_t total_stages,
                  std::size_t microbatches);

  [[nodiscard]] std::span<const node> nodes() const noexcept { return nodes_; }
  [[nodiscard]] std::size_t devices() const noexcept { return devices_; }
  [[nodiscard]] std::size_t stages() const noexcept { return stages_; }
  [[nodiscard]] std::size_t microbatches() const noexcept { return microbatches_; }
  /// Whether weight gradients are operations of their own.
  [[nodiscard]] bool splits_backward() const noexcept { return splits_backward_; }

  /// Whether `work` needs the output of another operation, which `producer` receives.
  [[nodiscard]] bool waits_for(const pipeline_operation& work,
                               pipeline_operation& producer) const noexcept;

 private:
  [[nodiscard]] std::size_t slot(const pipeline_operation& work) const noexcept;

  void check(std::span<const std::vector<pipeline_operation>> orders);

  /// Topological sort: every device runs ahead until it must wait for an operation of another, and
  /// goes on when that is done.
  void sort(std::span<const std::vector<pipeline_operation>> orders);

  // First, so that a copy that fails for lack of memory changes nothing.
  std::vector<node> nodes_;
  emptied_when_moved<std::size_t> devices_;
  emptied_when_moved<std::size_t> stages_;
  emptied_when_moved<std::size_t> microbatches_;
  bool splits_backward_ = false;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/operation_graph.ipp>
#endif
