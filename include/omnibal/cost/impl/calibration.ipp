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
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Measured values of one kind, as rows to fit.
template <typename Filter>
[[nodiscard]] std::optional<linear_fit> fit_where(std::span<const measured_layer> rows,
                                                  std::optional<double> measured_layer::*value,
                                                  const Filter& filter) {
  std::vector<measurement> chosen;
  for (const measured_layer& row : rows)
    if (row.*value && filter(row)) chosen.push_back({.work = row.work, .value = *(row.*value)});
  if (chosen.empty()) return std::nullopt;
  return fit_linear_cost(chosen);
}

/// The mean backward of a layer without recomputation at a workload, if it was measured.
[[nodiscard]] inline std::optional<double> plain_backward(std::span<const measured_layer> rows,
                                                          const measured_layer& other) {
  double sum = 0.0;
  std::size_t count = 0;
  for (const measured_layer& row : rows)
    if (row.name == other.name && row.mode == "none" && row.work == other.work &&
        row.backward_time) {
      sum += *row.backward_time;
      ++count;
    }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

/// The mean of W over B where both were measured without recomputation.
[[nodiscard]] inline std::optional<double> fit_weight_gradient_share(
    std::span<const measured_layer> rows, const std::string& name) {
  double sum = 0.0;
  std::size_t count = 0;
  for (const measured_layer& row : rows) {
    if (row.name != name || row.mode != "none" || !row.weight_gradient_time) continue;
    sum += *row.backward_time > 0.0 ? *row.weight_gradient_time / *row.backward_time : 0.0;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

/// What a mode adds to the backward of its layer.
inline void fit_extra_time(std::span<const measured_layer> rows, const layer_fit& layer,
                           mode_fit& mode) {
  std::vector<measurement> extra;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const measured_layer& row = rows[k];
    if (row.name != layer.name || row.mode != mode.name || !row.backward_time) continue;
    if (!layer.backward_time)
      throw invalid_input("rows[].backward_time", k, std::to_string(*row.backward_time),
                          "needs a measured backward of " + layer.name +
                              " in mode none as well, to know what mode " + mode.name + " adds");
    const std::optional<double> plain = plain_backward(rows, row);
    if (!plain) ++mode.extra_over_fitted;
    const double without = plain ? *plain : layer.backward_time->of(row.work);
    extra.push_back({.work = row.work,
                     .value = *row.backward_time - without,
                     .scale = std::max(*row.backward_time, least_measurable)});
  }
  if (!extra.empty()) mode.extra_time = fit_linear_cost(extra);
}

[[nodiscard]] inline mode_fit fit_mode(std::span<const measured_layer> rows, const layer_fit& layer,
                                       const std::string& name) {
  const auto in_mode = [&](const measured_layer& row) {
    return row.name == layer.name && row.mode == name;
  };
  mode_fit mode{.name = name,
                .saved_bytes = fit_where(rows, &measured_layer::saved_bytes, in_mode),
                .transient_bytes = fit_where(rows, &measured_layer::transient_bytes, in_mode),
                .saved_for_weight_gradient =
                    fit_where(rows, &measured_layer::saved_for_weight_gradient, in_mode)};
  if (name != "none") fit_extra_time(rows, layer, mode);
  return mode;
}

[[nodiscard]] inline layer_fit fit_layer(std::span<const measured_layer> rows,
                                         const std::string& name) {
  const auto of_layer = [&](const measured_layer& row) { return row.name == name; };
  const auto plain = [&](const measured_layer& row) {
    return row.name == name && row.mode == "none";
  };
  layer_fit layer{.name = name,
                  .forward_time = fit_where(rows, &measured_layer::forward_time, of_layer),
                  .backward_time = fit_where(rows, &measured_layer::backward_time, plain),
                  .weight_gradient_share = fit_weight_gradient_share(rows, name)};
  std::vector<std::string> modes;
  for (const measured_layer& row : rows)
    if (of_layer(row) && std::ranges::find(modes, row.mode) == modes.end())
      modes.push_back(row.mode);
  for (const std::string& mode : modes) layer.modes.push_back(fit_mode(rows, layer, mode));
  return layer;
}

/// Throws invalid_input unless the weight gradient is part of a backward.
inline void expect_part_of_backward(const measured_layer& row, std::size_t index) {
  if (!row.weight_gradient_time) return;
  const std::string value = std::to_string(*row.weight_gradient_time);
  if (!row.backward_time)
    throw invalid_input("rows[].weight_gradient_time", index, value,
                        "is part of a backward, whose time is missing");
  if (*row.weight_gradient_time > *row.backward_time)
    throw invalid_input("rows[].weight_gradient_time", index, value,
                        "must not be more than the backward, of which it is a part");
}

/// Throws invalid_input naming field and row unless every measured value can be fitted.
inline void expect_measurable(std::span<const measured_layer> rows) {
  const auto check = [&](const char* field, std::optional<double> measured_layer::*value) {
    for (std::size_t k = 0; k < rows.size(); ++k)
      if (rows[k].*value)
        omnibal::validate(measurement{.work = rows[k].work, .value = *(rows[k].*value)}, k, field);
  };
  check("rows[].forward_time", &measured_layer::forward_time);
  check("rows[].backward_time", &measured_layer::backward_time);
  check("rows[].weight_gradient_time", &measured_layer::weight_gradient_time);
  check("rows[].saved_bytes", &measured_layer::saved_bytes);
  check("rows[].transient_bytes", &measured_layer::transient_bytes);
  check("rows[].saved_for_weight_gradient", &measured_layer::saved_for_weight_gradient);
  for (std::size_t k = 0; k < rows.size(); ++k) expect_part_of_backward(rows[k], k);
}

}  // namespace detail

OMNIBAL_INLINE std::vector<layer_fit> fit_layers(std::span<const measured_layer> rows) {
  if (rows.empty()) throw invalid_input("rows", "nothing", "needs at least one measurement");
  detail::expect_measurable(rows);
  std::vector<layer_fit> fits;
  for (const measured_layer& row : rows)
    if (std::ranges::find(fits, row.name, &layer_fit::name) == fits.end())
      fits.push_back(detail::fit_layer(rows, row.name));
  return fits;
}

OMNIBAL_INLINE layer_profile fit_profile(std::span<const measured_layer> rows,
                                         std::optional<std::int64_t> tensor_parallel) {
  layer_profile profile{
      .measurements = rows.size(), .tensor_parallel = tensor_parallel, .fits = fit_layers(rows)};
  for (const measured_layer& row : rows) {
    profile.largest.tiles = std::max(profile.largest.tiles, row.work.tiles);
    profile.largest.tokens = std::max(profile.largest.tokens, row.work.tokens);
  }
  return profile;
}

OMNIBAL_INLINE double suggested_margin(std::span<const layer_fit> fits) {
  double margin = 0.0;
  for (const layer_fit& layer : fits)
    for (const mode_fit& mode : layer.modes)
      for (const auto& bytes :
           {mode.saved_bytes, mode.transient_bytes, mode.saved_for_weight_gradient})
        if (bytes) margin = std::max(margin, bytes->margin);
  return margin;
}

namespace detail {

/// Whether the layer is one of several of this name, numbered from 0: `conv2` beside `conv1` alone
/// is not one of `conv`.
[[nodiscard]] inline bool is_one_of(std::span<const layer_cost> chain, const std::string& layer,
                                    const std::string& name) {
  return layer != name && name_without_number(layer) == name &&
         std::ranges::find(chain, name + "0", &layer_cost::name) != chain.end();
}

[[nodiscard]] inline std::string listed(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Throws unless the chain has layers of this name, with or without a number.
inline void expect_known(std::span<const layer_cost> chain, const layer_fit& fit,
                         std::size_t index) {
  std::vector<std::string> known;
  for (const layer_cost& layer : chain) {
    if (layer.name == fit.name || is_one_of(chain, layer.name, fit.name)) return;
    if (std::string name(name_without_number(layer.name));
        std::ranges::find(known, name) == known.end())
      known.push_back(std::move(name));
  }
  throw invalid_input("fits", index, fit.name,
                      "is no layer of the model, which has " + listed(known));
}

/// Which costs of a layer were measured.
struct measured_parts {
  bool forward = false;
  bool backward = false;
  std::vector<bool> extra, saved, transient;  ///< Of each mode.
};

/// Replaces a cost by a fit if there is one; returns whether there is.
inline bool replace(linear_cost& cost, const std::optional<linear_fit>& fit) {
  if (fit) cost = fit->cost();
  return fit.has_value();
}

inline void apply_mode(const mode_fit& fit, std::size_t index, layer_cost& layer,
                       measured_parts& parts) {
  const auto mode = std::ranges::find(layer.modes, fit.name, &mode_cost::name);
  if (mode == layer.modes.end()) {
    std::vector<std::string> known;
    for (const mode_cost& one : layer.modes) known.push_back(one.name);
    throw invalid_input("fits", index, fit.name,
                        "is no mode of layer " + layer.name + ", which has " + listed(known));
  }
  const auto m = static_cast<std::size_t>(mode - layer.modes.begin());
  if (replace(mode->extra_time, fit.extra_time)) parts.extra[m] = true;
  if (replace(mode->saved_bytes, fit.saved_bytes)) parts.saved[m] = true;
  if (replace(mode->transient_bytes, fit.transient_bytes)) parts.transient[m] = true;
  if (fit.saved_for_weight_gradient)
    mode->saved_for_weight_gradient = fit.saved_for_weight_gradient->cost();
}

/// `part` of `before`, scaled to be the same part of each coefficient of `now`: never more than it.
[[nodiscard]] inline linear_cost same_part(const linear_cost& part, const linear_cost& before,
                                           const linear_cost& now) {
  const auto scaled = [](std::int64_t piece, std::int64_t old_whole, std::int64_t new_whole) {
    if (old_whole == 0) return std::int64_t{0};
    return static_cast<std::int64_t>(wide_integer{new_whole} * std::min(piece, old_whole) /
                                     old_whole);
  };
  return {scaled(part.constant, before.constant, now.constant),
          scaled(part.per_tile, before.per_tile, now.per_tile),
          scaled(part.per_token, before.per_token, now.per_token),
          scaled(part.per_squared_token, before.per_squared_token, now.per_squared_token)};
}

/// The weight gradient is part of the backward: a measured share of it, or the share it had.
inline void apply_backward(const layer_fit& fit, layer_cost& layer, measured_parts& parts) {
  const linear_cost predicted = layer.backward_time;
  if (replace(layer.backward_time, fit.backward_time)) {
    parts.backward = true;
    layer.weight_gradient_time =
        same_part(layer.weight_gradient_time, predicted, layer.backward_time);
  }
  if (fit.weight_gradient_share)
    layer.weight_gradient_time = share_of(layer.backward_time, *fit.weight_gradient_share);
}

inline void apply_fit(const layer_fit& fit, std::size_t index, layer_cost& layer,
                      measured_parts& parts) {
  if (replace(layer.forward_time, fit.forward_time)) parts.forward = true;
  apply_backward(fit, layer, parts);
  for (const mode_fit& mode : fit.modes) apply_mode(mode, index, layer, parts);
}

/// Whether every cost of the layer was measured.
[[nodiscard]] inline bool is_whole(const layer_cost& layer, const measured_parts& parts) {
  bool whole = parts.forward && parts.backward;
  for (std::size_t m = 0; m < layer.modes.size(); ++m)
    whole = whole && parts.saved[m] &&
            (layer.modes[m].name == "none" || (parts.extra[m] && parts.transient[m]));
  return whole;
}

}  // namespace detail

OMNIBAL_INLINE calibration calibrated_chain(std::vector<layer_cost> chain,
                                            std::span<const layer_fit> fits) {
  for (std::size_t k = 0; k < fits.size(); ++k) detail::expect_known(chain, fits[k], k);
  calibration result;
  for (layer_cost& layer : chain) {
    const std::vector<bool> none(layer.modes.size(), false);
    detail::measured_parts parts{.extra = none, .saved = none, .transient = none};
    bool named = false;
    for (const bool exact : {false, true})
      for (std::size_t k = 0; k < fits.size(); ++k) {
        if (!(exact ? layer.name == fits[k].name
                    : detail::is_one_of(chain, layer.name, fits[k].name)))
          continue;
        detail::apply_fit(fits[k], k, layer, parts);
        named = true;
      }
    if (!named)
      result.analytic.push_back(layer.name);
    else if (!detail::is_whole(layer, parts))
      result.partly.push_back(layer.name);
  }
  result.chain = std::move(chain);
  return result;
}

}  // namespace omnibal::inline v0
