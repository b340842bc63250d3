// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/device.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE void validate(const device_shape& device) {
  const auto positive = [](const char* field, double value) {
    if (!(value > 0.0) || value > 1e24)
      throw invalid_input(field, std::to_string(value), "must be positive and finite");
  };
  if (device.memory_bytes <= 0)
    throw invalid_input("memory_bytes", device.memory_bytes, "must be positive");
  if (device.devices_per_node < 1 || device.devices_per_node > (std::int64_t{1} << 20))
    throw invalid_input("devices_per_node", device.devices_per_node, "must be between 1 and 2^20");
  positive("matrix_flops", device.matrix_flops);
  positive("attention_flops", device.attention_flops);
  positive("memory_bandwidth", device.memory_bandwidth);
  positive("tensor_parallel_bandwidth", device.tensor_parallel_bandwidth);
  positive("pipeline_bandwidth", device.pipeline_bandwidth);
  positive("data_parallel_bandwidth", device.data_parallel_bandwidth);
  if (!(device.latency_seconds >= 0.0) || device.latency_seconds > 1.0)
    throw invalid_input("latency_seconds", std::to_string(device.latency_seconds),
                        "must be between 0 and 1 second");
  if (!(device.layer_overhead_seconds >= 0.0) || device.layer_overhead_seconds > 1.0)
    throw invalid_input("layer_overhead_seconds", std::to_string(device.layer_overhead_seconds),
                        "must be between 0 and 1 second");
}

OMNIBAL_INLINE std::array<device_shape, 3> device_presets() {
  constexpr std::int64_t gibibyte = std::int64_t{1} << 30;
  return {{
      {.id = "a100",
       .memory_bytes = 80 * gibibyte,
       .matrix_flops = 0.62 * 312e12,
       .attention_flops = 0.45 * 312e12,
       .memory_bandwidth = 0.85 * 2.039e12,
       .tensor_parallel_bandwidth = 0.8 * 300e9,
       .pipeline_bandwidth = 0.85 * 25e9,
       .data_parallel_bandwidth = 0.85 * 25e9,
       .latency_seconds = 10e-6,
       .layer_overhead_seconds = 50e-6},
      {.id = "h100",
       .memory_bytes = 80 * gibibyte,
       .matrix_flops = 0.62 * 989e12,
       .attention_flops = 0.45 * 989e12,
       .memory_bandwidth = 0.85 * 3.35e12,
       .tensor_parallel_bandwidth = 0.8 * 450e9,
       .pipeline_bandwidth = 0.85 * 50e9,
       .data_parallel_bandwidth = 0.85 * 50e9,
       .latency_seconds = 10e-6,
       .layer_overhead_seconds = 50e-6},
      {.id = "h200",
       .memory_bytes = 141'000'000'000,
       .matrix_flops = 0.62 * 989e12,
       .attention_flops = 0.45 * 989e12,
       .memory_bandwidth = 0.85 * 4.8e12,
       .tensor_parallel_bandwidth = 0.8 * 450e9,
       .pipeline_bandwidth = 0.85 * 50e9,
       .data_parallel_bandwidth = 0.85 * 50e9,
       .latency_seconds = 10e-6,
       .layer_overhead_seconds = 50e-6},
  }};
}

}  // namespace omnibal::inline v0
