// SPDX-License-Identifier: Apache-2.0
#include "problem_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <omnibal/core/error.hpp>
#include <string_view>
#include <utility>

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
  return {.name = name_of(value, "none"),
          .extra_time = member(value, "extra", field),
          .kept_bytes = member(value, "act", field),
          .transient_bytes = member(value, "trans", field, 0),
          .kept_for_weight_gradient = member(value, "act_w", field, 0)};
}

layer as_layer(const json& value, const std::string& field) {
  if (!value.is_object()) throw invalid_input(field, json_text(value), "must be an object");
  layer one{.name = name_of(value, field),
            .forward_time = member(value, "fwd", field),
            .backward_time = member(value, "bwd", field),
            .weight_gradient_time = member(value, "wgrad", field, 0),
            .static_bytes = member(value, "static", field, 0),
            .forward_latency = member(value, "cf", field, 0),
            .backward_latency = member(value, "cb", field, 0)};
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
operation as_operation(const json& value, const std::string& field) {
  constexpr std::string_view letters = "FBW";
  operation work;
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

problem_file::problem_file(const std::string& path)
    : path_(path), values_(read_json_file("--problem", path)) {
  if (!values_.is_object()) throw invalid_input("--problem", path, "must hold one JSON object");
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

schedule_shape problem_file::schedule() const {
  constexpr std::array kinds = {schedule_kind::gpipe, schedule_kind::one_forward_one_backward,
                                schedule_kind::interleaved, schedule_kind::zero_bubble_h1};
  const json& name = at("schedule");
  const auto kind = std::ranges::find_if(
      kinds, [&](schedule_kind one) { return name == std::string(to_string(one)); });
  if (kind == kinds.end())
    throw invalid_input(named("schedule"), json_text(name),
                        "must be one of gpipe, 1f1b, interleaved, zbh1");
  const auto size = [&](const char* key, std::int64_t value) {
    if (value < 0) throw invalid_input(named(key), value, "must not be negative");
    return static_cast<std::size_t>(value);
  };
  schedule_shape shape{.kind = *kind,
                       .stages = size("stages", integer("stages")),
                       .virtual_stages = size("virtual", integer("virtual", 1)),
                       .microbatches = size("microbatches", integer("microbatches")),
                       .group_size = size("group_size", integer("group_size", 0))};
  validate(shape);
  return shape;
}

std::vector<layer> problem_file::layers() const {
  const json& list = at("layers");
  if (!list.is_array()) throw invalid_input(named("layers"), json_text(list), "must be a list");
  std::vector<layer> layers;
  for (const json& one : list)
    layers.push_back(as_layer(one, named("layers[") + std::to_string(layers.size()) + "]"));
  return layers;
}

std::vector<std::int64_t> problem_file::per_device(const std::string& key,
                                                   std::size_t devices) const {
  if (!has(key)) return {};
  if (at(key).is_number()) return std::vector(devices, integer(key));
  return integers(key);
}

std::vector<std::vector<operation>> problem_file::device_order() const {
  std::vector<std::vector<operation>> orders;
  if (!has("device_order")) return orders;
  const json& list = at("device_order");
  if (!list.is_array())
    throw invalid_input(named("device_order"), json_text(list), "must be a list of lists");
  for (const json& order : list) {
    const std::string field = named("device_order[") + std::to_string(orders.size()) + "]";
    if (!order.is_array()) throw invalid_input(field, json_text(order), "must be a list");
    std::vector<operation> operations;
    for (const json& work : order) operations.push_back(as_operation(work, field));
    orders.push_back(std::move(operations));
  }
  return orders;
}

pipeline_problem problem_file::pipeline() const {
  // What this version cannot plan with is refused rather than left out of the account.
  for (const char* key : {"devices", "tied", "together", "apart", "memory_margin"})
    if (has(key)) throw invalid_input(named(key), "given", "is not supported yet");
  const schedule_shape shape = schedule();
  return {.schedule = shape,
          .layers = layers(),
          .memory_limit = per_device("mem_limit", shape.stages),
          .reserved = per_device("reserved", shape.stages)};
}

recompute_problem problem_file::recompute() const {
  const std::int64_t in_flight = integer("inflight");
  if (in_flight < 1) throw invalid_input(named("inflight"), in_flight, "must be at least 1");
  return {.layers = layers(),
          .in_flight = static_cast<std::size_t>(in_flight),
          .budget = integer("budget")};
}

}  // namespace omnibal::cli
