// SPDX-License-Identifier: Apache-2.0
#include "files/profile_file.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <omnibal/core/error.hpp>
#include <omnibal/version.hpp>

#include "errors.hpp"
#include "files/files.hpp"
#include "files/given_names.hpp"
#include "files/object_reader.hpp"

namespace omnibal::cli {
namespace {

// ---- profiles -----------------------------------------------------------------------------------

std::optional<double> amount(const object_reader& row, const char* key, double unit) {
  const std::optional<double> value = row.optional_number(key);
  if (!value) return std::nullopt;
  const double amount = *value * unit;
  if (!(amount >= 0.0) || amount > most_measurable)
    throw invalid_input(row.where() + "." + key, json_text(row.at(key)),
                        "must not be negative, and at most 500 seconds or 5e11 bytes");
  return amount;
}

workload read_workload(const object_reader& row) {
  workload work{.tiles = row.integer("tiles", 0), .tokens = row.integer("tokens", 0)};
  constexpr std::int64_t most = std::int64_t{1} << 31;
  for (const auto& [key, value] : {std::pair{"tiles", work.tiles}, {"tokens", work.tokens}})
    if (value < 0 || value >= most)
      throw invalid_input(row.where() + "." + key, value, "must be between 0 and 2^31 - 1");
  work.squared_tokens = row.integer("squared_tokens", work.tokens * work.tokens);
  if (work.squared_tokens < work.tokens || work.squared_tokens > work.tokens * work.tokens)
    throw invalid_input(row.where() + ".squared_tokens", work.squared_tokens,
                        "must be between tokens and tokens squared: it is the sum, over the "
                        "sequences of a micro-batch, of their length squared");
  return work;
}

measured_layer read_row(const object_reader& row) {
  row.expect_known_keys({"name", "mode", "tiles", "tokens", "squared_tokens", "forward_seconds",
                         "backward_seconds", "weight_gradient_seconds", "kept_bytes",
                         "transient_bytes", "kept_for_w_bytes"});
  constexpr double nanoseconds = 1e9;
  if (!row.at("name").is_string() || row.at("name") == "")
    throw invalid_input(row.where() + ".name", json_text(row.at("name")), "must name a layer");
  if (row.find("mode") != nullptr && !row.at("mode").is_string())
    throw invalid_input(row.where() + ".mode", json_text(row.at("mode")), "must be text");
  return {.name = row.text("name", ""),
          .mode = row.text("mode", "none"),
          .work = read_workload(row),
          .forward_time = amount(row, "forward_seconds", nanoseconds),
          .backward_time = amount(row, "backward_seconds", nanoseconds),
          .weight_gradient_time = amount(row, "weight_gradient_seconds", nanoseconds),
          .saved_bytes = amount(row, "kept_bytes", 1),
          .transient_bytes = amount(row, "transient_bytes", 1),
          .saved_for_weight_gradient = amount(row, "kept_for_w_bytes", 1)};
}

layer_profile read_measurements(const object_reader& file, const std::string& name,
                                std::optional<std::int64_t> tensor_parallel) {
  std::vector<measured_layer> rows;
  for (const object_reader& row : file.objects("layers")) rows.push_back(read_row(row));
  return with_given_names(profile_keys(), name + ": ",
                          [&] { return fit_profile(rows, tensor_parallel); });
}

// ---- calibrations -------------------------------------------------------------------------------

constexpr double not_determined = std::numeric_limits<double>::quiet_NaN();

std::int64_t read_count(const object_reader& object, const char* key,
                        std::optional<std::int64_t> otherwise = std::nullopt) {
  const std::int64_t count = otherwise ? object.integer(key, *otherwise) : object.integer(key);
  if (count < 0) throw invalid_input(object.where() + "." + key, count, "must not be negative");
  return count;
}

double at_least_zero(const object_reader& object, const char* key, double value) {
  if (value < 0.0)
    throw invalid_input(object.where() + "." + key, json_text(object.at(key)),
                        "must not be negative");
  return value;
}

std::string read_name(const object_reader& object) {
  const json& name = object.at("name");
  if (!name.is_string() || name == "")
    throw invalid_input(object.where() + ".name", json_text(name), "must be a text");
  return name.get<std::string>();
}

/// Throws where one before it has its name.
template <typename Named>
void expect_new(const object_reader& object, const std::vector<Named>& before,
                const std::string& name) {
  if (std::ranges::find(before, name, &Named::name) != before.end())
    throw invalid_input(object.where() + ".name", name, "is given twice");
}

std::vector<std::string> read_undetermined(const object_reader& object) {
  const json& list = object.at("undetermined");
  const std::string where = object.where() + ".undetermined";
  if (!list.is_array()) throw invalid_input(where, json_text(list), "must be a list");
  std::vector<std::string> names;
  for (const json& name : list) {
    if (std::ranges::none_of(coefficient_names, [&](const auto& known) { return name == known; }))
      throw invalid_input(where, names.size(), json_text(name), "is no coefficient");
    names.push_back(name.get<std::string>());
  }
  return names;
}

linear_fit read_fit(const object_reader& object) {
  object.expect_known_keys({"constant", "per_tile", "per_token", "per_squared_token",
                            "standard_errors", "undetermined", "measurements", "largest_residual",
                            "rms_residual", "margin"});
  linear_fit fit{
      .measurements = static_cast<std::size_t>(read_count(object, "measurements", 0)),
      .largest_residual =
          at_least_zero(object, "largest_residual", object.number("largest_residual")),
      .rms_residual = at_least_zero(object, "rms_residual", object.number("rms_residual")),
      .margin = object.optional_number("margin").value_or(std::numeric_limits<double>::infinity())};
  const object_reader errors = object.object("standard_errors");
  errors.expect_known_keys({"constant", "per_tile", "per_token", "per_squared_token"});
  for (std::size_t c = 0; c < coefficient_names.size(); ++c) {
    const std::string name(coefficient_names[c]);
    fit.coefficients[c] = object.number(name.c_str());
    if (!(fit.coefficients[c] >= 0.0) || fit.coefficients[c] > most_measurable)
      throw invalid_input(object.where() + "." + name, json_text(object.at(name.c_str())),
                          "must be between 0 and 5e11");
    fit.standard_errors[c] = at_least_zero(
        errors, name.c_str(), errors.optional_number(name.c_str()).value_or(not_determined));
  }
  if (!(fit.margin >= 0.0))
    throw invalid_input(object.where() + ".margin", json_text(object.at("margin")),
                        "must not be negative");
  fit.undetermined = read_undetermined(object);
  return fit;
}

std::optional<linear_fit> read_fit(const object_reader& object, const char* key) {
  const json* const value = object.find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  return read_fit(object.object(key));
}

mode_fit read_mode_fit(const object_reader& mode) {
  mode.expect_known_keys({"name", "extra_nanoseconds", "kept_bytes", "transient_bytes",
                          "kept_for_w_bytes", "extra_over_fitted"});
  return {.name = mode.find("name") == nullptr ? "none" : read_name(mode),
          .extra_time = read_fit(mode, "extra_nanoseconds"),
          .saved_bytes = read_fit(mode, "kept_bytes"),
          .transient_bytes = read_fit(mode, "transient_bytes"),
          .saved_for_weight_gradient = read_fit(mode, "kept_for_w_bytes"),
          .extra_over_fitted = static_cast<std::size_t>(read_count(mode, "extra_over_fitted", 0))};
}

layer_fit read_layer_fit(const object_reader& object) {
  object.expect_known_keys(
      {"name", "forward_nanoseconds", "backward_nanoseconds", "weight_gradient_share", "modes"});
  layer_fit layer{.name = read_name(object),
                  .forward_time = read_fit(object, "forward_nanoseconds"),
                  .backward_time = read_fit(object, "backward_nanoseconds"),
                  .weight_gradient_share = object.optional_number("weight_gradient_share")};
  if (const auto share = layer.weight_gradient_share; share && !(*share >= 0.0 && *share <= 1.0))
    throw invalid_input(object.where() + ".weight_gradient_share", std::to_string(*share),
                        "must be between 0 and 1");
  for (const object_reader& mode : object.objects("modes")) {
    mode_fit fit = read_mode_fit(mode);
    expect_new(mode, layer.modes, fit.name);
    layer.modes.push_back(std::move(fit));
  }
  return layer;
}

layer_profile read_fits(const object_reader& file, std::optional<std::int64_t> tensor_parallel) {
  file.expect_known_keys({"version", "inputs", "tp", "measurements", "largest", "margin", "fits"});
  layer_profile profile{.measurements = static_cast<std::size_t>(read_count(file, "measurements")),
                        .tensor_parallel = tensor_parallel};
  const object_reader largest = file.object("largest");
  largest.expect_known_keys({"tiles", "tokens"});
  profile.largest = {.tiles = read_count(largest, "tiles"),
                     .tokens = read_count(largest, "tokens")};
  for (const object_reader& layer : file.objects("fits")) {
    layer_fit fit = read_layer_fit(layer);
    expect_new(layer, profile.fits, fit.name);
    profile.fits.push_back(std::move(fit));
  }
  return profile;
}

std::optional<std::int64_t> read_tensor_parallel(const object_reader& file) {
  if (file.find("tp") == nullptr) return std::nullopt;
  const std::int64_t tensor_parallel = file.integer("tp");
  if (tensor_parallel < 1)
    throw invalid_input(file.where() + ".tp", tensor_parallel, "must be at least 1");
  return tensor_parallel;
}

json finite_or_null(double value) { return std::isfinite(value) ? json(value) : json(); }

json to_json(const linear_fit& fit) {
  json object = json::object();
  json errors = json::object();
  for (std::size_t c = 0; c < coefficient_names.size(); ++c) {
    object[coefficient_names[c]] = fit.coefficients[c];
    errors[coefficient_names[c]] = finite_or_null(fit.standard_errors[c]);
  }
  object["standard_errors"] = errors;
  object["undetermined"] = fit.undetermined;
  object["measurements"] = fit.measurements;
  object["largest_residual"] = fit.largest_residual;
  object["rms_residual"] = fit.rms_residual;
  object["margin"] = finite_or_null(fit.margin);
  return object;
}

void add(json& object, const char* key, const std::optional<linear_fit>& fit) {
  if (fit) object[key] = to_json(*fit);
}

json to_json(const mode_fit& mode) {
  json object = {{"name", mode.name}};
  add(object, "extra_nanoseconds", mode.extra_time);
  add(object, "kept_bytes", mode.saved_bytes);
  add(object, "transient_bytes", mode.transient_bytes);
  add(object, "kept_for_w_bytes", mode.saved_for_weight_gradient);
  if (mode.extra_over_fitted > 0) object["extra_over_fitted"] = mode.extra_over_fitted;
  return object;
}

json to_json(const layer_fit& layer) {
  json object = {{"name", layer.name}};
  add(object, "forward_nanoseconds", layer.forward_time);
  add(object, "backward_nanoseconds", layer.backward_time);
  if (layer.weight_gradient_share) object["weight_gradient_share"] = *layer.weight_gradient_share;
  object["modes"] = json::array();
  for (const mode_fit& mode : layer.modes) object["modes"].push_back(to_json(mode));
  return object;
}

}  // namespace

profile_file read_profile(const std::string& path) {
  const file_bytes bytes("--profile", path);
  const json content = parse_json("--profile", path, bytes.view());
  const object_reader file(content, path);
  const std::optional<std::int64_t> tensor_parallel = read_tensor_parallel(file);
  profile_file read{.name = path, .sha256 = sha256(bytes.view())};
  if (file.find("fits") != nullptr) {
    read.profile = read_fits(file, tensor_parallel);
  } else {
    file.expect_known_keys({"version", "tp", "layers"});
    read.profile = read_measurements(file, path, tensor_parallel);
  }
  return read;
}

json to_json(const profile_file& file) {
  const layer_profile& profile = file.profile;
  json report = {
      {"version", std::string(version)},
      {"inputs", {{{"name", file.name}, {"sha256", file.sha256}}}},
      {"measurements", profile.measurements},
      {"largest", {{"tiles", profile.largest.tiles}, {"tokens", profile.largest.tokens}}}};
  if (profile.tensor_parallel) report["tp"] = *profile.tensor_parallel;
  report["margin"] = finite_or_null(suggested_margin(profile.fits));
  report["fits"] = json::array();
  for (const layer_fit& layer : profile.fits) report["fits"].push_back(to_json(layer));
  return report;
}

}  // namespace omnibal::cli
