// SPDX-License-Identifier: Apache-2.0
#include "files/model_file.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/presets.hpp>

#include "files/given_files.hpp"
#include "files/given_names.hpp"
#include "files/json.hpp"
#include "files/known_keys.hpp"
#include "files/object_reader.hpp"
#include "options/units.hpp"

namespace omnibal::cli {
namespace {

template <typename Presets>
std::vector<std::string> ids_of(const Presets& presets) {
  std::vector<std::string> ids;
  for (const auto& preset : presets) ids.push_back(preset.id);
  return ids;
}

std::vector<std::pair<std::int64_t, std::int64_t>> read_projector(const object_reader& model,
                                                                  const std::string& where) {
  std::vector<std::pair<std::int64_t, std::int64_t>> projector;
  const json& list = model.at("projector_mlp");
  const auto is_pair = [](const json& one) {
    return one.is_array() && one.size() == 2 && one[0].is_number_integer() &&
           one[1].is_number_integer();
  };
  if (!list.is_array() || !std::ranges::all_of(list, is_pair))
    throw invalid_input(where + ".projector_mlp", json_text(list),
                        "must be a list of pairs of integers");
  for (const json& one : list)
    projector.emplace_back(one[0].get<std::int64_t>(), one[1].get<std::int64_t>());
  return projector;
}

model_shape read_model(const json& value, const std::string& where) {
  const object_reader model(value, where);
  const object_reader vision = model.object("vision");
  const object_reader language = model.object("llm");
  model.expect_known_keys(
      {"vision", "llm", "projector_mlp", "vit_tokens_per_tile", "llm_tokens_per_tile", "params"});
  vision.expect_known_keys({"layers", "hidden", "a", "ffn", "glu", "bias", "qkv_bias", "rms", "ls",
                            "qknorm", "full_attention_layers", "window_tokens"});
  language.expect_known_keys({"layers", "hidden", "a", "kv", "ffn", "vocab", "qkv_bias"});
  model_shape shape{.id = model.text("id", where),
                    .name = model.text("name", model.text("id", where)),
                    .vision = {.layers = vision.integer("layers"),
                               .hidden = vision.integer("hidden"),
                               .heads = vision.integer("a"),
                               .ffn = vision.integer("ffn"),
                               .tokens_per_tile = model.integer("vit_tokens_per_tile"),
                               .gated = vision.flag("glu", false),
                               .bias = vision.flag("bias", true),
                               .qkv_bias = vision.flag("qkv_bias", true),
                               .rms_norm = vision.flag("rms", false),
                               .layer_scale = vision.flag("ls", false),
                               .qk_norm = vision.flag("qknorm", false),
                               .full_attention_layers = vision.integer("full_attention_layers", -1),
                               .window_tokens = vision.integer("window_tokens", 0)},
                    .projector = read_projector(model, where),
                    .language = {.layers = language.integer("layers"),
                                 .hidden = language.integer("hidden"),
                                 .heads = language.integer("a"),
                                 .kv_heads = language.integer("kv"),
                                 .ffn = language.integer("ffn"),
                                 .vocabulary = language.integer("vocab"),
                                 .qkv_bias = language.flag("qkv_bias", false)},
                    .language_tokens_per_tile = model.integer("llm_tokens_per_tile")};
  with_given_names(model_keys(), where + ".", [&] { validate(shape); });
  return shape;
}

/// The model called `id` of a file, or its only one.
model_shape read_model_file(const std::string& path, const std::string& id) {
  const json file = read_json_file("--model", path);
  if (!file.is_object() || !file.contains("models")) return read_model(file, path);
  const json& models = file.at("models");
  expect_known_keys(file, path, {"models", "formulas", "units"});
  if (!models.is_array())
    throw invalid_input(path + ": models", json_text(models), "must be a list");
  std::vector<std::string> ids;
  for (const json& one : models) {
    ids.push_back(one.is_object() && one.contains("id") && one.at("id").is_string()
                      ? one.at("id").get<std::string>()
                      : "");
    if (ids.back() == id || (id.empty() && models.size() == 1))
      return read_model(one, path + ": models[" + std::to_string(ids.size() - 1) + "]");
  }
  if (id.empty()) throw invalid_input("--model", path, "holds several models; name one as FILE#ID");
  throw_not_among("--model", id, ids);
}

}  // namespace

model_shape find_model(const std::string& name) {
  for (const model_shape& preset : model_presets())
    if (preset.id == name) return preset;
  const std::size_t mark = name.rfind('#');
  const std::string path = name.substr(0, mark);
  if (path == standard_stream || std::filesystem::exists(path))
    return read_model_file(path, mark == std::string::npos ? "" : name.substr(mark + 1));
  throw_not_among("--model", name, ids_of(model_presets()));
}

device_shape find_device(const std::string& name) {
  for (const device_shape& preset : device_presets())
    if (preset.id == name) return preset;
  if (name != standard_stream && !std::filesystem::exists(name))
    throw_not_among("--device", name, ids_of(device_presets()));
  const json file = read_json_file("--device", name);
  const object_reader device(file, name);
  device.expect_known_keys({"memory_bytes", "matrix_flops", "attention_flops", "memory_bandwidth",
                            "devices_per_node", "tensor_parallel_bandwidth", "pipeline_bandwidth",
                            "data_parallel_bandwidth", "latency_seconds",
                            "layer_overhead_seconds"});
  device_shape shape{.id = device.text("id", name),
                     .memory_bytes = device.integer("memory_bytes"),
                     .matrix_flops = device.number("matrix_flops"),
                     .attention_flops = device.number("attention_flops"),
                     .memory_bandwidth = device.number("memory_bandwidth"),
                     .devices_per_node = device.integer("devices_per_node", 8),
                     .tensor_parallel_bandwidth = device.number("tensor_parallel_bandwidth"),
                     .pipeline_bandwidth = device.number("pipeline_bandwidth"),
                     .data_parallel_bandwidth = device.number("data_parallel_bandwidth"),
                     .latency_seconds = device.number("latency_seconds"),
                     .layer_overhead_seconds = device.number("layer_overhead_seconds")};
  validate(shape);
  return shape;
}

}  // namespace omnibal::cli
