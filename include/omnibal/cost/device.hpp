// SPDX-License-Identifier: Apache-2.0
/// @file
/// Devices: the compute rate, memory and bandwidths that a GPU and its links achieve in training,
/// with presets by name. Peaks are from the vendors' data sheets; the shares of peak that training
/// reaches are assumptions, which measurements should replace (cost/calibration.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// A device with its links to others.
struct device_shape {
  std::string id = {};
  std::int64_t memory_bytes = 0;
  double matrix_flops = 0;      ///< Dense bf16 FLOP/s of matrix products, achieved.
  double attention_flops = 0;   ///< FLOP/s of fused attention, achieved.
  double memory_bandwidth = 0;  ///< Bytes/s of device memory, achieved.
  std::int64_t devices_per_node = 8;
  double tensor_parallel_bandwidth = 0;  ///< Bytes/s one device sends within its node, achieved.
  double pipeline_bandwidth = 0;         ///< Bytes/s between stages, achieved.
  double data_parallel_bandwidth = 0;    ///< Bytes/s one device sends in a gradient reduction.
  double latency_seconds = 0;            ///< Per message between stages.
  double layer_overhead_seconds = 0;     ///< Per pass through a layer, regardless of its size.

  friend bool operator==(const device_shape&, const device_shape&) = default;
};

/// Throws invalid_input naming the field unless every rate is positive and finite, and a node has
/// between 1 and 2^20 devices.
void validate(const device_shape& device);

/// The presets: 62 % of peak for matrix products, 45 % for attention, 85 % of memory bandwidth;
/// 80 % of NVLink within a node, 85 % of one InfiniBand port per GPU between nodes; 50 µs per pass
/// through a layer for starting and ending its kernels.
[[nodiscard]] std::array<device_shape, 3> device_presets();

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/device.ipp>
#endif
