// SPDX-License-Identifier: Apache-2.0
/// @file
/// What tensor parallelism makes of a model: which numbers of devices can share it, what is padded
/// so that they can, and the rate at which they exchange activations.
///
///     const model_shape padded = omnibal::padded_model(model, 8);   // 25 heads of InternViT: 32
///
/// Trainers pad, and so pay for, the heads of vision layers (25 of InternViT become 26 with 2
/// devices, 32 with 8) and the vocabulary (a multiple of 128 on every device). They share a
/// key-value head among devices where there are fewer heads than devices: projections stay divided,
/// every device gathers queries, keys and values, and keeps one head of keys. All else must divide.
///
/// Source: Megatron-LM, its attention, its vocabulary padding and its multimodal example.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/model.hpp>

namespace omnibal::inline v0 {

/// The most devices that may share a layer.
inline constexpr std::int64_t most_tensor_parallel = 1024;

/// Why this many devices cannot share the model, as "must divide ..."; empty where they can. O(1).
[[nodiscard]] std::string why_indivisible(const model_shape& model, std::int64_t tensor_parallel);

/// The numbers of devices next to this one that can share the model: at most one below, one above.
[[nodiscard]] std::vector<std::int64_t> nearest_divisible(const model_shape& model,
                                                          std::int64_t tensor_parallel);

/// Throws invalid_input for `tp`, naming the nearest that works, unless this many devices can share
/// the model.
void expect_divisible(const model_shape& model, std::int64_t tensor_parallel);

/// The model that is run on this many devices: heads of vision layers and vocabulary padded. On one
/// device nothing is. Precondition: they can share the model.
[[nodiscard]] model_shape padded_model(const model_shape& model, std::int64_t tensor_parallel);

/// Whether several devices share a key-value head.
[[nodiscard]] constexpr bool shares_key_heads(const language_shape& language,
                                              std::int64_t tensor_parallel) noexcept {
  return tensor_parallel > language.kv_heads;
}

/// Whether the devices that share a layer are on several nodes.
[[nodiscard]] constexpr bool spans_nodes(const device_shape& device,
                                         std::int64_t tensor_parallel) noexcept {
  return tensor_parallel > device.devices_per_node;
}

/// Bytes/s that a device sends to others that share its layers: across nodes, at most as fast as in
/// a gradient reduction.
[[nodiscard]] double tensor_parallel_bandwidth(const device_shape& device,
                                               std::int64_t tensor_parallel);

/// What it takes to divide a model over the devices that share a layer.
struct model_division {
  model_shape padded = {};        ///< The model that is run (padded_model).
  bool shares_key_heads = false;  ///< Several devices share a key-value head.
  bool spans_nodes = false;       ///< The devices that share a layer are on several nodes.
  double bandwidth = 0;           ///< Bytes/s that a device sends to them.
  std::int64_t idle_devices = 0;  ///< Of each node, that groups within nodes leave without work.
};

/// Divides the layers over this many devices. Throws invalid_input as expect_divisible() does, and
/// for a node without devices. O(layers of the projector).
[[nodiscard]] model_division divide_model(const model_shape& model, const device_shape& device,
                                          std::int64_t tensor_parallel);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/tensor_parallel.ipp>
#endif
