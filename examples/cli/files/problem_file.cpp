// SPDX-License-Identifier: Apache-2.0
#include "files/problem_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/schedules.hpp>

#include "files/known_keys.hpp"
#include "options/units.hpp"

namespace omnibal::cli {
namespace {

std::int64_t as_integer(const json& value, const std::string& field) {
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    throw invalid_input(field, json_text(value), "must be less than 2^63");
  if (!value.is_number_integer())
    throw invalid_input(field, json_text(value), "must be an integer");
  return value.get<std::int64_t>();
}

std::vector<std::int64_t> as_integers(const json& value, const std::string& field) {
  if (!value.is_array()) throw invalid_input(field, json_text(value), "must be a list of integers");
  std::vector<std::int64_t> integers;
  for (const json& element : value)
    integers.push_back(as_integer(element, field + "[" + std::to_string(integers.size()) + "]"));
  return integers;
}

/// An integer of an object, with a default where the key is missing.
std::int64_t member(const json& object, const char* key, const std::string& field,
                    std::optional<std::int64_t> otherwise = std::nullopt) {
  const auto found = object.find(key);
  const std::string name = field + "." + key;
  if (found != object.end()) return as_integer(*found, name);
  if (otherwise) return *otherwise;
  throw invalid_input(name, "nothing", "is missing");
}

std::string name_of(const json& object, const std::string& otherwise) {
  const auto found = object.find("name");
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

recompute_mode as_mode(const json& value, const std::string& field) {
  if (!value.is_object()) throw invalid_input(field, json_text(value), "must be an object");
  expect_known_keys(value, field, {"extra", "act", "trans", "act_w"});
  const std::string name = name_of(value, "none");
  return {.name = name,
          .kind = recompute_kind_named(name),
          .extra_time = member(value, "extra", field),
          .saved_bytes = member(value, "act", field),
          .transient_bytes = member(value, "trans", field, 0),
          .saved_for_weight_gradient = member(value, "act_w", field, 0)};
}

bool as_truth(const json& value, const std::string& field) {
  if (!value.is_boolean()) throw invalid_input(field, json_text(value), "must be true or false");
  return value.get<bool>();
}

layer_training as_training(const json& value, const std::string& field) {
  layer_training training;
  if (const auto found = value.find("trainable"); found != value.end())
    training.trainable = as_truth(*found, field + ".trainable");
  if (const auto found = value.find("input_grad"); found != value.end() && !found->is_null())
    training.input_gradient = as_truth(*found, field + ".input_grad");
  training.zero_weight_gradient_known = value.contains("wgrad");
  return training;
}

/// {num, den}.
rational as_rational(const json& value, const std::string& field) {
  if (!value.is_object())
    throw invalid_input(field, json_text(value), "must be an object of num and den");
  expect_known_keys(value, field, {"num", "den"});
  const rational one{member(value, "num", field), member(value, "den", field, 1)};
  if (one.denominator < 1)
    throw invalid_input(field + ".den", one.denominator, "must be at least 1");
  return one;
}

std::size_t as_index(const json& value, const std::string& field) {
  const std::int64_t index = as_integer(value, field);
  if (index < 0) throw invalid_input(field, index, "must not be negative");
  return static_cast<std::size_t>(index);
}

std::vector<std::vector<std::int64_t>> as_table(const json& object, const char* key,
                                                const std::string& field) {
  const auto found = object.find(key);
  const std::string name = field + "." + key;
  if (found == object.end()) throw invalid_input(name, "nothing", "is missing");
  if (!found->is_array())
    throw invalid_input(name, json_text(*found), "must be a list of lists, [layer][micro-batch]");
  std::vector<std::vector<std::int64_t>> rows;
  for (const json& row : *found)
    rows.push_back(as_integers(row, name + "[" + std::to_string(rows.size()) + "]"));
  return rows;
}

/// The kind given, or else that of the name.
layer_kind as_layer_kind(const json& value, const std::string& field, const std::string& name) {
  const auto found = value.find("kind");
  if (found == value.end()) return layer_kind_named(name);
  std::vector<std::string> names;
  for (const auto kind : {layer_kind::custom, layer_kind::vision, layer_kind::projector,
                          layer_kind::embedding, layer_kind::language, layer_kind::head}) {
    names.emplace_back(to_string(kind));
    if (*found == names.back()) return kind;
  }
  throw_not_among(field + ".kind", json_text(*found), names);
}

pipeline_layer as_layer(const json& value, const std::string& field) {
  if (!value.is_object()) throw invalid_input(field, json_text(value), "must be an object");
  expect_known_keys(value, field,
                    {"fwd", "bwd", "wgrad", "static", "cf", "cb", "step", "reduction", "gather",
                     "trainable", "input_grad", "modes"});
  pipeline_layer one{.name = name_of(value, field),
                     .forward_time = member(value, "fwd", field),
                     .backward_time = member(value, "bwd", field),
                     .weight_gradient_time = member(value, "wgrad", field, 0),
                     .static_bytes = member(value, "static", field, 0),
                     .forward_latency = member(value, "cf", field, 0),
                     .backward_latency = member(value, "cb", field, 0),
                     .step_time = member(value, "step", field, 0),
                     .reduction_time = member(value, "reduction", field, 0),
                     .gather_time = member(value, "gather", field, 0)};
  one.kind = as_layer_kind(value, field, one.name);
  const auto modes = value.find("modes");
  if (modes == value.end()) return one;
  if (!modes->is_array())
    throw invalid_input(field + ".modes", json_text(*modes), "must be a list");
  one.modes.clear();
  for (const json& mode : *modes)
    one.modes.push_back(as_mode(mode, field + ".modes[" + std::to_string(one.modes.size()) + "]"));
  return one;
}

/// "F3.0" and its like.
pipeline_operation as_operation(const json& value, const std::string& field) {
  constexpr std::string_view letters = "FBW";
  pipeline_operation work;
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const std::size_t kind = text.empty() ? std::string_view::npos : letters.find(text[0]);
    const char* const end = text.data() + text.size();
    if (kind != std::string_view::npos) {
      work.kind = static_cast<operation_kind>(kind);
      const auto stage = std::from_chars(text.data() + 1, end, work.stage);
      if (stage.ec == std::errc{} && stage.ptr != end && *stage.ptr == '.') {
        const auto microbatch = std::from_chars(stage.ptr + 1, end, work.microbatch);
        if (microbatch.ec == std::errc{} && microbatch.ptr == end) return work;
      }
    }
  }
  throw invalid_input(field, json_text(value),
                      "must be F, B or W, the stage, a point and the micro-batch, as in \"F3.0\"");
}

}  // namespace

problem_file::problem_file(const std::string& path, const std::string& option)
    : path_(path), values_(read_json_file(option, path)) {
  if (!values_.is_object()) throw invalid_input(option, path, "must hold one JSON object");
}

void problem_file::expect_kind(const std::vector<std::string>& kinds,
                               const std::string& command) const {
  const auto found = values_.find("kind");
  if (found == values_.end()) return;
  if (found->is_string() && std::ranges::find(kinds, found->get<std::string>()) != kinds.end())
    return;
  std::string known;
  for (const std::string& kind : kinds) known += (known.empty() ? "" : ", ") + kind;
  throw invalid_input(named("kind"), json_text(*found),
                      "is not a problem for omnibal " + command + ", which takes " + known);
}

void problem_file::expect_keys(std::initializer_list<std::string_view> known) const {
  expect_known_keys(values_, path_, known);
}

bool problem_file::is_stochastic() const {
  const auto kind = values_.find("kind");
  return kind == values_.end() ? has("scenarios") : *kind == "stochastic";
}

bool problem_file::has(const std::string& key) const {
  const auto found = values_.find(key);
  return found != values_.end() && !found->is_null();
}

const json& problem_file::at(const std::string& key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) throw invalid_input(named(key), "nothing", "is missing");
  return *found;
}

std::int64_t problem_file::integer(const std::string& key) const {
  return as_integer(at(key), named(key));
}

std::int64_t problem_file::integer(const std::string& key, std::int64_t otherwise) const {
  return has(key) ? integer(key) : otherwise;
}

std::vector<std::int64_t> problem_file::integers(const std::string& key) const {
  return as_integers(at(key), named(key));
}

std::vector<std::int64_t> problem_file::optional_integers(const std::string& key) const {
  return has(key) ? integers(key) : std::vector<std::int64_t>{};
}

namespace {

std::string schedule_names() {
  std::string names;
  for (const any_schedule& one : all_schedules)
    names += (names.empty() ? "" : ", ") + std::string(one.name());
  return names;
}

}  // namespace

schedule_shape problem_file::schedule() const {
  const json& name = at("schedule");
  const auto kind = std::ranges::find_if(
      all_schedules, [&](const any_schedule& one) { return name == std::string(one.name()); });
  if (kind == all_schedules.end())
    throw invalid_input(named("schedule"), json_text(name), "must be one of " + schedule_names());
  const auto size = [&](const char* key, std::int64_t value) {
    if (value < 0) throw invalid_input(named(key), value, "must not be negative");
    return static_cast<std::size_t>(value);
  };
  const auto least_virtual = static_cast<std::int64_t>(kind->capabilities().least_virtual_stages);
  schedule_shape shape{.kind = *kind,
                       .stages = size("stages", integer("stages")),
                       .virtual_stages = size("virtual", integer("virtual", least_virtual)),
                       .microbatches = size("microbatches", integer("microbatches")),
                       .group_size = size("group_size", integer("group_size", 0))};
  validate(shape);
  // Simulations hold every operation, of 100 bytes and more; searches end them before they stop.
  const int exponent = has("layers") ? 20 : 22;
  if (std::uint64_t{shape.total_stages()} * shape.microbatches > std::uint64_t{1} << exponent)
    throw invalid_input(named("microbatches"), shape.microbatches,
                        "with " + std::to_string(shape.total_stages()) +
                            " (virtual) stages are too many: their product may be at most 2^" +
                            std::to_string(exponent));
  return shape;
}

std::vector<pipeline_layer> problem_file::layers() const {
  const json& list = at("layers");
  if (!list.is_array()) throw invalid_input(named("layers"), json_text(list), "must be a list");
  std::vector<pipeline_layer> layers;
  for (const json& one : list)
    layers.push_back(as_layer(one, named("layers[") + std::to_string(layers.size()) + "]"));
  return layers;
}

std::vector<gradient_needs> problem_file::gradients() const {
  std::vector<layer_training> training;
  for (const json& one : at("layers"))
    training.push_back(as_training(one, named("layers[") + std::to_string(training.size()) + "]"));
  return gradients_of(training);
}

std::vector<layer_pair> problem_file::pairs(const std::string& key) const {
  std::vector<layer_pair> pairs;
  if (!has(key)) return pairs;
  const json& list = at(key);
  if (!list.is_array())
    throw invalid_input(named(key), json_text(list), "must be a list of pairs of layers");
  for (const json& pair : list) {
    const std::string field = named(key) + "[" + std::to_string(pairs.size()) + "]";
    if (!pair.is_array() || pair.size() != 2)
      throw invalid_input(field, json_text(pair), "must be two layers, as in [0, 31]");
    pairs.push_back({as_index(pair[0], field), as_index(pair[1], field)});
  }
  return pairs;
}

std::vector<rational> problem_file::speeds(std::size_t devices) const {
  if (!has("devices")) return {};
  const json& list = at("devices");
  if (!list.is_array()) throw invalid_input(named("devices"), json_text(list), "must be a list");
  if (list.size() != devices)
    throw invalid_input(named("devices"), list.size(),
                        "must have one entry per device, " + std::to_string(devices));
  std::vector<rational> factors;
  for (const json& device : list) {
    const std::string field = named("devices[") + std::to_string(factors.size()) + "]";
    if (!device.is_object()) throw invalid_input(field, json_text(device), "must be an object");
    expect_known_keys(device, field, {"speed"});
    const auto speed = device.find("speed");
    factors.push_back(speed == device.end() ? rational{1} : as_rational(*speed, field + ".speed"));
  }
  return factors;
}

std::optional<rational> problem_file::alpha() const {
  if (!has("alpha")) return std::nullopt;
  const json& value = at("alpha");
  if (value.is_object()) return as_rational(value, named("alpha"));
  const fraction share = parse_fraction(named("alpha"), json_text(value));
  return rational{share.numerator, share.denominator};
}

std::vector<scenario> problem_file::scenarios() const {
  const json& list = at("scenarios");
  if (!list.is_array()) throw invalid_input(named("scenarios"), json_text(list), "must be a list");
  std::vector<gradient_needs> needs = gradients();
  std::vector<scenario> scenarios;
  for (const json& value : list) {
    const std::string field = named("scenarios[") + std::to_string(scenarios.size()) + "]";
    if (!value.is_object()) throw invalid_input(field, json_text(value), "must be an object");
    expect_known_keys(value, field, {"fwd", "bwd", "wgrad", "mbs"});
    scenario one{.forward = as_table(value, "fwd", field),
                 .backward = as_table(value, "bwd", field)};
    if (value.contains("wgrad")) one.weight_gradient = as_table(value, "wgrad", field);
    scenarios.push_back(std::move(one));
  }
  validate(pipeline(), scenarios);
  for (scenario& one : scenarios)
    for (std::size_t l = 0; l < needs.size(); ++l) {
      needs[l].zero_weight_gradient_known = !one.weight_gradient.empty();
      for (std::size_t k = 0; k < one.backward[l].size(); ++k) {
        std::int64_t unknown = 0;
        leave_out_gradients(one.backward[l][k],
                            one.weight_gradient.empty() ? unknown : one.weight_gradient[l][k],
                            needs[l]);
      }
    }
  return scenarios;
}

std::vector<std::int64_t> problem_file::per_device(const std::string& key,
                                                   std::size_t devices) const {
  if (!has(key)) return {};
  if (at(key).is_number()) return std::vector(devices, integer(key));
  return integers(key);
}

std::vector<std::vector<pipeline_operation>> problem_file::device_order() const {
  std::vector<std::vector<pipeline_operation>> orders;
  if (!has("device_order")) return orders;
  const json& list = at("device_order");
  if (!list.is_array())
    throw invalid_input(named("device_order"), json_text(list), "must be a list of lists");
  for (const json& order : list) {
    const std::string field = named("device_order[") + std::to_string(orders.size()) + "]";
    if (!order.is_array()) throw invalid_input(field, json_text(order), "must be a list");
    std::vector<pipeline_operation> operations;
    for (const json& work : order) operations.push_back(as_operation(work, field));
    orders.push_back(std::move(operations));
  }
  return orders;
}

pipeline_problem problem_file::pipeline() const {
  const schedule_shape shape = schedule();
  pipeline_problem problem{.schedule = shape,
                           .layers = layers(),
                           .memory_limit = per_device("mem_limit", shape.stages),
                           .reserved = per_device("reserved", shape.stages),
                           .memory_margin = integer("memory_margin", 0),
                           .time_factor = speeds(shape.stages),
                           .tied = pairs("tied"),
                           .together = pairs("together"),
                           .apart = pairs("apart")};
  // Checked as given: leaving out the work of frozen layers could hide bad values.
  validate(problem);
  leave_out_gradients(problem.layers, gradients());
  return problem;
}

pipeline_plan problem_file::plan() const {
  const auto indices = [&](const char* key) {
    std::vector<std::size_t> values;
    for (const std::int64_t value : integers(key)) {
      if (value < 0) throw invalid_input(named(key), value, "must not be negative");
      values.push_back(static_cast<std::size_t>(value));
    }
    return values;
  };
  return {.cuts = indices("cuts"), .modes = indices("modes")};
}

recompute_problem problem_file::recompute() const {
  const std::int64_t in_flight = integer("inflight");
  if (in_flight < 1) throw invalid_input(named("inflight"), in_flight, "must be at least 1");
  return {.layers = layers(),
          .in_flight = static_cast<std::size_t>(in_flight),
          .budget = integer("budget")};
}

}  // namespace omnibal::cli
