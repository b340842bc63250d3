// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/tensor_parallel.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline std::int64_t multiple_of(std::int64_t value, std::int64_t factor) {
  return divide_rounding_up(value, factor) * factor;
}

[[nodiscard]] inline std::string must_divide(const char* what, std::int64_t amount) {
  return std::string("must divide ") + what + ", " + std::to_string(amount);
}

/// "4", "4 or 7".
[[nodiscard]] inline std::string either_of(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values)
    text += (text.empty() ? "" : " or ") + std::to_string(value);
  return text;
}

}  // namespace detail

OMNIBAL_INLINE std::string why_indivisible(const model_shape& model, std::int64_t tensor_parallel) {
  const std::int64_t t = tensor_parallel;
  const language_shape& language = model.language;
  if (language.heads % t != 0)
    return detail::must_divide("the attention heads of the language model", language.heads);
  if (language.kv_heads % t != 0 && t % language.kv_heads != 0)
    return detail::must_divide("the key-value heads of the language model", language.kv_heads) +
           ", or be a multiple of them";
  if (language.ffn % t != 0)
    return detail::must_divide("the feed-forward width of the language model", language.ffn);
  if (model.vision.ffn % t != 0)
    return detail::must_divide("the feed-forward width of vision layers", model.vision.ffn);
  for (std::size_t i = 0; i + 1 < model.projector.size(); ++i)
    if (model.projector[i].second % t != 0)
      return detail::must_divide("the inner widths of the projector", model.projector[i].second);
  return "";
}

OMNIBAL_INLINE std::vector<std::int64_t> nearest_divisible(const model_shape& model,
                                                           std::int64_t tensor_parallel) {
  std::vector<std::int64_t> nearest;
  const auto divides = [&](std::int64_t t) { return why_indivisible(model, t).empty(); };
  for (std::int64_t t = tensor_parallel - 1; t >= 1; --t)
    if (divides(t)) {
      nearest.push_back(t);
      break;
    }
  for (std::int64_t t = tensor_parallel + 1; t <= most_tensor_parallel; ++t)
    if (divides(t)) {
      nearest.push_back(t);
      break;
    }
  return nearest;
}

OMNIBAL_INLINE void expect_divisible(const model_shape& model, std::int64_t tensor_parallel) {
  if (tensor_parallel < 1 || tensor_parallel > most_tensor_parallel)
    throw invalid_input("tensor_parallel", tensor_parallel, "must be between 1 and 1024");
  const std::string why = why_indivisible(model, tensor_parallel);
  if (why.empty()) return;
  throw invalid_input("tensor_parallel", tensor_parallel,
                      why + "; the nearest that works is " +
                          detail::either_of(nearest_divisible(model, tensor_parallel)));
}

OMNIBAL_INLINE model_shape padded_model(const model_shape& model, std::int64_t tensor_parallel) {
  if (tensor_parallel == 1) return model;
  model_shape padded = model;
  padded.vision.head_width = attention_width(model.vision) / model.vision.heads;
  padded.vision.heads = detail::multiple_of(model.vision.heads, tensor_parallel);
  padded.language.vocabulary =
      detail::multiple_of(model.language.vocabulary, 128 * tensor_parallel);
  return padded;
}

OMNIBAL_INLINE double tensor_parallel_bandwidth(const device_shape& device,
                                                std::int64_t tensor_parallel) {
  const double within = device.tensor_parallel_bandwidth;
  return spans_nodes(device, tensor_parallel) ? std::min(within, device.data_parallel_bandwidth)
                                              : within;
}

OMNIBAL_INLINE model_division divide_model(const model_shape& model, const device_shape& device,
                                           std::int64_t tensor_parallel) {
  expect_divisible(model, tensor_parallel);
  if (device.devices_per_node < 1)
    throw invalid_input("devices_per_node", device.devices_per_node, "must be at least 1");
  const bool across = spans_nodes(device, tensor_parallel);
  return {.padded = padded_model(model, tensor_parallel),
          .shares_key_heads = shares_key_heads(model.language, tensor_parallel),
          .spans_nodes = across,
          .bandwidth = tensor_parallel_bandwidth(device, tensor_parallel),
          .idle_devices = across ? 0 : device.devices_per_node % tensor_parallel};
}

}  // namespace omnibal::inline v0
