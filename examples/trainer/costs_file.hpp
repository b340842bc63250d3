// SPDX-License-Identifier: Apache-2.0
/// @file
/// The costs of a chain of layers as JSON: measured once, they plan a run again, here or after a
/// resumption.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

namespace omnibal::trainer {

/// `numbers` are what the layers compute with.
[[nodiscard]] nlohmann::json costs_to_json(const std::vector<layer_cost>& chain,
                                           element_type numbers);

/// Throws invalid_input, naming `source`, for JSON that is no chain and for costs of layers that
/// compute with other numbers.
[[nodiscard]] std::vector<layer_cost> costs_from_json(const nlohmann::json& json,
                                                      element_type numbers,
                                                      const std::string& source);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// In fixed point: constant, per tile, token and squared token.
[[nodiscard]] inline nlohmann::json cost_to_json(const linear_cost& cost) {
  return {cost.constant, cost.per_tile, cost.per_token, cost.per_squared_token};
}

[[nodiscard]] inline linear_cost cost_from_json(const nlohmann::json& json) {
  const auto parts = json.get<std::array<std::int64_t, 4>>();
  for (const std::int64_t part : parts)
    if (part < 0) throw invalid_input("cost", part, "must not be negative");
  return {parts[0], parts[1], parts[2], parts[3]};
}

[[nodiscard]] inline mode_cost mode_from_json(const nlohmann::json& json) {
  mode_cost mode{.name = json.at("name"),
                 .extra_time = cost_from_json(json.at("extra_time")),
                 .saved_bytes = cost_from_json(json.at("saved_bytes")),
                 .transient_bytes = cost_from_json(json.at("transient_bytes"))};
  mode.kind = recompute_kind_named(mode.name);
  if (json.contains("saved_for_weight_gradient"))
    mode.saved_for_weight_gradient = cost_from_json(json.at("saved_for_weight_gradient"));
  return mode;
}

inline void require_numbers(const nlohmann::json& json, element_type numbers,
                            const std::string& source) {
  const auto precision = json.at("precision").get<std::string>();
  if (precision != name_of(numbers))
    throw invalid_input(source, precision,
                        "is the precision of these costs, this run has " +
                            std::string(name_of(numbers)) + ": each needs a file of its own");
}

}  // namespace detail

inline nlohmann::json costs_to_json(const std::vector<layer_cost>& chain, element_type numbers) {
  nlohmann::json layers = nlohmann::json::array();
  for (const layer_cost& layer : chain) {
    nlohmann::json modes = nlohmann::json::array();
    for (const mode_cost& mode : layer.modes) {
      modes.push_back({{"name", mode.name},
                       {"extra_time", detail::cost_to_json(mode.extra_time)},
                       {"saved_bytes", detail::cost_to_json(mode.saved_bytes)},
                       {"transient_bytes", detail::cost_to_json(mode.transient_bytes)}});
      if (mode.saved_for_weight_gradient)
        modes.back()["saved_for_weight_gradient"] =
            detail::cost_to_json(*mode.saved_for_weight_gradient);
    }
    layers.push_back({{"name", layer.name},
                      {"parameters", layer.parameters},
                      {"static_bytes", layer.static_bytes},
                      {"step_time", layer.step_time},
                      {"forward_time", detail::cost_to_json(layer.forward_time)},
                      {"backward_time", detail::cost_to_json(layer.backward_time)},
                      {"weight_gradient_time", detail::cost_to_json(layer.weight_gradient_time)},
                      {"output_bytes", detail::cost_to_json(layer.output_bytes)},
                      {"modes", std::move(modes)}});
  }
  return {{"format", "omnibal-trainer-costs"},
          {"version", 3},
          {"precision", name_of(numbers)},
          {"layers", std::move(layers)}};
}

inline std::vector<layer_cost> costs_from_json(const nlohmann::json& json, element_type numbers,
                                               const std::string& source) {
  try {
    if (json.at("format") != "omnibal-trainer-costs" || json.at("version") != 3)
      throw invalid_input(source, json.at("format").dump(),
                          "is no file of costs of version 3: remove it to measure again");
    detail::require_numbers(json, numbers, source);
    std::vector<layer_cost> chain;
    for (const nlohmann::json& each : json.at("layers")) {
      layer_cost layer{
          .name = each.at("name"),
          .parameters = each.at("parameters"),
          .forward_time = detail::cost_from_json(each.at("forward_time")),
          .backward_time = detail::cost_from_json(each.at("backward_time")),
          .weight_gradient_time = detail::cost_from_json(each.at("weight_gradient_time")),
          .output_bytes = detail::cost_from_json(each.at("output_bytes")),
          .static_bytes = each.at("static_bytes"),
          .step_time = each.at("step_time")};
      for (const nlohmann::json& mode : each.at("modes"))
        layer.modes.push_back(detail::mode_from_json(mode));
      chain.push_back(std::move(layer));
    }
    return chain;
  } catch (const nlohmann::json::exception& error) {
    throw invalid_input(source, "other JSON", error.what());
  }
}

}  // namespace omnibal::trainer
