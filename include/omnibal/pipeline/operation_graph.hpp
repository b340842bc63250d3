// SPDX-License-Identifier: Apache-2.0
/// @file
/// The operations of all devices as one acyclic graph, in an order in which each comes after all
/// it waits for. Built once for a schedule; each simulation is then a single pass over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

/// "F3.0": the forward of micro-batch 0 through virtual stage 3; B and W likewise.
[[nodiscard]] std::string to_string(const pipeline_operation& work);

/// What waits for what:
/// - an operation for the one before it on its device;
/// - F of stage j for F of stage j − 1 and B of stage j for B of stage j + 1, each after the
///   latency of the edge between;
/// - B of the last stage for its F, W for its B.
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

  /// The graph of explicit orders, one per device. Throws invalid_input when an operation is
  /// missing, twice, out of range or waits for itself in a circle. O(operations).
  operation_graph(std::span<const std::vector<pipeline_operation>> orders, std::size_t total_stages,
                  std::size_t microbatches);

  [[nodiscard]] std::span<const node> nodes() const noexcept { return nodes_; }
  [[nodiscard]] std::size_t devices() const noexcept { return devices_; }
  [[nodiscard]] std::size_t stages() const noexcept { return stages_; }
  [[nodiscard]] std::size_t microbatches() const noexcept { return microbatches_; }
  /// Whether weight gradients are operations of their own.
  [[nodiscard]] bool splits_backward() const noexcept { return splits_backward_; }

  /// The operation whose output `work` needs, if it needs any.
  [[nodiscard]] bool waits_for(const pipeline_operation& work,
                               pipeline_operation& producer) const noexcept;

 private:
  [[nodiscard]] std::size_t slot(const pipeline_operation& work) const noexcept;

  void check(std::span<const std::vector<pipeline_operation>> orders);

  /// Lets every device run ahead until it must wait, and wakes it when what it waits for is done.
  void sort(std::span<const std::vector<pipeline_operation>> orders);

  std::size_t devices_;
  std::size_t stages_;
  std::size_t microbatches_;
  bool splits_backward_ = false;
  std::vector<node> nodes_;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/operation_graph.ipp>
#endif
