// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/detail/share_of_cost.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/linear_fit.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE linear_cost cost_per(const unit_costs& units) {
  return {.constant = to_fixed_point(units.constant, "constant"),
          .per_tile = to_fixed_point(units.tile, "tile"),
          .per_token = to_fixed_point(units.token, "token"),
          .per_squared_token = to_fixed_point(units.squared_token, "squared_token")};
}

namespace detail {

/// Makes the costs of one layer of a chain of one's own.
class own_layer_builder {
 public:
  own_layer_builder(const own_layer& layer, std::size_t index) : layer_(layer), index_(index) {}

  [[nodiscard]] layer_cost costs(std::span<const layer_fit> fits,
                                 std::int64_t bytes_per_parameter) const {
    expect_not_negative("layers[].parameters", layer_.parameters);
    expect_not_negative("layers[].step_time", layer_.step_time);
    const auto fit = std::ranges::find(fits, layer_.name, &layer_fit::name);
    if (fit == fits.end()) throw invalid_input("layers", index_, layer_.name, "has no fit");
    layer_cost result{
        .name = layer_.name,
        .kind = layer_.kind,
        .parameters = layer_.parameters,
        .trainable = layer_.trainable,
        .forward_time = measured(fit->forward_time, "forward"),
        .backward_time = measured(fit->backward_time, "backward"),
        .forward_latency = layer_.latency,
        .backward_latency = layer_.latency,
        .output_bytes = layer_.output_bytes,
        .static_bytes = checked_multiply(
            layer_.parameters, layer_.trainable ? bytes_per_parameter : 2, "layers[].parameters"),
        .step_time = layer_.step_time};
    if (fit->weight_gradient_share)
      result.weight_gradient_time = share_of(result.backward_time, *fit->weight_gradient_share);
    for (const mode_fit& mode : fit->modes) result.modes.push_back(mode_of(mode));
    if (result.modes.empty()) throw invalid_input("layers", index_, layer_.name, "has no mode");
    return result;
  }

 private:
  void expect_not_negative(const char* field, std::int64_t value) const {
    if (value < 0) throw invalid_input(field, index_, value, "must not be negative");
  }

  [[nodiscard]] linear_cost measured(const std::optional<linear_fit>& fit,
                                     const std::string& what) const {
    if (!fit) throw invalid_input("layers", index_, layer_.name, "has no measured " + what);
    return fit->cost();
  }

  [[nodiscard]] mode_cost mode_of(const mode_fit& mode) const {
    mode_cost cost{.name = mode.name,
                   .kind = recompute_kind_named(mode.name),
                   .saved_bytes = measured(mode.saved_bytes, "saved bytes in mode " + mode.name)};
    const bool recomputes = cost.kind != recompute_kind::none;
    if (recomputes) cost.extra_time = measured(mode.extra_time, "backward in mode " + mode.name);
    if (recomputes || mode.transient_bytes)
      cost.transient_bytes = measured(mode.transient_bytes, "transient bytes in mode " + mode.name);
    if (mode.saved_for_weight_gradient)
      cost.saved_for_weight_gradient = mode.saved_for_weight_gradient->cost();
    return cost;
  }

  const own_layer& layer_;
  std::size_t index_;
};

}  // namespace detail

OMNIBAL_INLINE std::vector<layer_cost> chain_from(std::span<const layer_fit> fits,
                                                  const std::vector<own_layer>& layers,
                                                  std::int64_t bytes_per_parameter) {
  if (layers.empty()) throw invalid_input("layers", 0, "layers: a chain needs at least one");
  if (bytes_per_parameter < 0)
    throw invalid_input("bytes_per_parameter", bytes_per_parameter, "must not be negative");
  std::vector<layer_cost> chain;
  for (std::size_t l = 0; l < layers.size(); ++l)
    chain.push_back(detail::own_layer_builder(layers[l], l).costs(fits, bytes_per_parameter));
  return chain;
}

}  // namespace omnibal::inline v0
