// SPDX-License-Identifier: Apache-2.0
// What tensor parallelism makes of a model: padding, sharing, refusals, and what they cost.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/cost/tensor_parallel.hpp>

#include "../catch.hpp"
#include "preset.hpp"

using namespace omnibal;
using omnibal::test::preset;

namespace {

/// Rates of 1 and no overheads: times are amounts.
device_shape unit_device() {
  device_shape device = device_presets()[0];
  device.matrix_flops = device.attention_flops = device.memory_bandwidth = 1e9;
  device.tensor_parallel_bandwidth = device.data_parallel_bandwidth = 1e9;
  device.layer_overhead_seconds = device.latency_seconds = 0;
  return device;
}

layer_cost layer_of(const model_shape& model, const device_shape& device, std::int64_t tp,
                    const std::string& name) {
  const auto chain = cost_layers(model, device, {.tensor_parallel = tp});
  return *std::ranges::find(chain, name, &layer_cost::name);
}

std::vector<std::int64_t> working(const model_shape& model, std::int64_t most) {
  std::vector<std::int64_t> values;
  for (std::int64_t t = 1; t <= most; ++t)
    if (why_indivisible(model, t).empty()) values.push_back(t);
  return values;
}

std::string refusal(const model_shape& model, std::int64_t tp) {
  try {
    expect_divisible(model, tp);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Heads of vision layers and the vocabulary are padded as Megatron-LM pads them") {
  const model_shape model = preset("internvl-chat-1.5");
  CHECK(padded_model(model, 1) == model);
  for (const auto& [tp, heads] : {std::pair{2, 26}, {4, 28}, {8, 32}, {16, 32}}) {
    INFO(tp);
    const model_shape padded = padded_model(model, tp);
    CHECK(padded.vision.heads == heads);
    CHECK(attention_width(padded.vision) == 128 * heads);
    CHECK(padded.language.vocabulary % (128 * tp) == 0);
    CHECK(padded.language.vocabulary >= 92553);
    CHECK(padded.language.vocabulary < 92553 + 128 * tp);
    CHECK(padded.language.heads == model.language.heads);
  }
  for (const model_shape& one : model_presets()) CHECK(padded_model(one, 1) == one);
}

TEST_CASE("Padding a model again changes nothing") {
  for (const model_shape& model : model_presets())
    for (const std::int64_t tp : working(model, 64)) {
      const model_shape once = padded_model(model, tp);
      CHECK(padded_model(once, tp) == once);
    }
}

TEST_CASE("The numbers of devices that can share a model") {
  using list = std::vector<std::int64_t>;
  CHECK(working(preset("internvl-chat-1.5"), 64) == list{1, 2, 4, 8, 16});
  CHECK(working(preset("internvl2-40b"), 64) == list{1, 2, 4, 8});  // 56 heads, not for 16
  CHECK(working(preset("qwen2-vl-7b"), 64) == list{1, 2, 4});       // 18,944 = 2^9 · 37
  CHECK(working(preset("qwen2.5-vl-7b"), 64) == list{1, 2, 4});
  CHECK(working(preset("llava-1.5-7b"), 64) == list{1, 2, 4, 8, 16, 32});
}

TEST_CASE("What cannot be divided is refused, naming the nearest that works") {
  using Catch::Contains;
  const model_shape intern = preset("internvl-chat-1.5");
  CHECK(refusal(intern, 8).empty());
  CHECK_THAT(refusal(intern, 5), Contains("tensor_parallel") && Contains("attention heads") &&
                                     Contains("48") && Contains("nearest that works is 4 or 8"));
  CHECK_THAT(refusal(intern, 3), Contains("key-value heads") && Contains("2 or 4"));
  CHECK_THAT(refusal(intern, 24), Contains("feed-forward width of the language model") &&
                                      Contains("nearest that works is 16"));
  CHECK_THAT(refusal(intern, 0), Contains("between 1 and 1024"));
  model_shape narrow = intern;
  narrow.vision.ffn = 12804;
  CHECK_THAT(refusal(narrow, 8), Contains("vision layers") && Contains("12804"));
  model_shape odd = intern;
  odd.projector[0].second = 6146;
  CHECK_THAT(refusal(odd, 4), Contains("projector") && Contains("6146"));
}

TEST_CASE("A vision layer costs what its padded heads cost") {
  const model_shape model = preset("internvl-chat-1.5");
  model_shape wide = model;  // what a trainer of 8 devices runs, written by hand
  wide.vision.heads = 32;
  wide.vision.head_width = 128;
  const layer_cost padded = layer_of(model, unit_device(), 8, "vision3");
  CHECK(padded == layer_of(wide, unit_device(), 8, "vision3"));
  const std::int64_t extra = (32 - 25) * 128 * (4 * 3200 + 2);  // two norms of queries and keys
  CHECK(padded.parameters == vision_layer_parameters(model.vision) + extra);
  CHECK(padded.static_bytes == 18 * padded.parameters / 8);
  const std::int64_t unpadded = layer_of(model, unit_device(), 1, "vision3").parameters;
  CHECK(padded.parameters > unpadded);
  // Queries, keys, values, the output of attention and its statistics are saved.
  const std::int64_t saved = 1025 * (8 * 3200 + (8 * 32 * 128 + 4 * 32 + 4 * 12800) / 8);
  CHECK(padded.modes.front().saved_bytes.of({.tiles = 1}) == saved);
}

TEST_CASE("Embedding and head cost what the padded vocabulary costs") {
  const model_shape model = preset("internvl-chat-1.5");
  for (const char* name : {"embedding", "head"}) {
    CHECK(layer_of(model, unit_device(), 1, name).parameters == 92553 * 6144);
    CHECK(layer_of(model, unit_device(), 8, name).parameters == 93184 * 6144);
  }
}

TEST_CASE("Fewer key-value heads than devices: one head each, gathered, parameters still divided") {
  const model_shape model = preset("internvl-chat-1.5");  // 8 key-value heads of width 128
  CHECK_FALSE(shares_key_heads(model.language, 8));
  CHECK(shares_key_heads(model.language, 16));
  const layer_cost shared = layer_of(model, unit_device(), 16, "language0");
  CHECK(shared.parameters == language_layer_parameters(model.language));
  const std::int64_t own = (4 * 6144 + 4 * 48 + 6 * 16384) / 16 + 4 * 128;
  CHECK(shared.modes.front().saved_bytes.of({.tokens = 1}) == 8 * 6144 + own);

  // As many heads as devices save what sharing does; sharing gathers queries, keys and values once
  // more in each direction, while their projections are smaller.
  model_shape enough = model;
  enough.language.kv_heads = 16;
  const layer_cost divided = layer_of(enough, unit_device(), 16, "language0");
  CHECK(shared.modes.front().saved_bytes == divided.modes.front().saved_bytes);
  const double gathered = 15.0 / 16 * 2 * (6144 + 2 * 8 * 128);
  const double smaller = 2.0 * (2 * 6144 * 8 * 128) / 16;
  const auto seconds = [](const linear_cost& cost) {
    return static_cast<double>(cost.of({.tokens = 1'000'000})) / 1e6;
  };
  CHECK(seconds(shared.forward_time) - seconds(divided.forward_time) ==
        Approx(gathered - smaller).epsilon(1e-6));
  CHECK(seconds(shared.backward_time) - seconds(divided.backward_time) ==
        Approx(gathered - 2 * smaller).epsilon(1e-6));
}

TEST_CASE("Beyond a node activations are reduced at the network's rate") {
  device_shape device = unit_device();
  device.tensor_parallel_bandwidth = 4e9;
  CHECK(tensor_parallel_bandwidth(device, 8) == 4e9);
  CHECK(tensor_parallel_bandwidth(device, 16) == 1e9);
  device.devices_per_node = 16;
  CHECK(tensor_parallel_bandwidth(device, 16) == 4e9);
  device.devices_per_node = 4;
  CHECK(tensor_parallel_bandwidth(device, 8) == 1e9);
  device.data_parallel_bandwidth = 9e9;  // a network that is faster than the node's links
  CHECK(tensor_parallel_bandwidth(device, 8) == 4e9);

  const model_shape model = preset("internvl-chat-1.5");
  device.data_parallel_bandwidth = 1e9;
  const auto forward = [&](std::int64_t per_node) {
    device.devices_per_node = per_node;
    return layer_of(model, device, 8, "language0").forward_time.of({.tokens = 1000});
  };
  const double reduced = 2 * 2 * 7.0 / 8 * 1000 * 2 * 6144;
  CHECK(static_cast<double>(forward(4) - forward(8)) ==
        Approx(reduced * (1.0 - 0.25)).epsilon(1e-6));
}

TEST_CASE("Nodes and heads out of range are refused by name") {
  const model_shape model = preset("internvl-chat-1.5");
  device_shape device = device_presets()[0];
  device.devices_per_node = 0;
  CHECK_THROWS_WITH(cost_layers(model, device, {}), Catch::Contains("devices_per_node"));
  model_shape odd = model;
  odd.vision.heads = 24;
  CHECK_THROWS_WITH(cost_layers(odd, device_presets()[0], {}), Catch::Contains("vision.heads"));
  odd = model;
  odd.vision.head_width = -1;
  CHECK_THROWS_WITH(cost_layers(odd, device_presets()[0], {}),
                    Catch::Contains("vision.head_width"));
}

TEST_CASE("The division of a model says what is padded, shared and left idle") {
  const model_shape model = preset("internvl-chat-1.5");
  device_shape device = device_presets()[0];
  const auto divided = [&](std::int64_t tp) { return divide_model(model, device, tp); };
  CHECK(divided(1).padded == model);
  CHECK(divided(8).padded == padded_model(model, 8));
  CHECK(divided(8).idle_devices == 0);
  CHECK(!divided(8).shares_key_heads);
  CHECK(divided(16).shares_key_heads);
  CHECK(divided(16).spans_nodes);
  CHECK(divided(16).bandwidth == device.data_parallel_bandwidth);
  CHECK(!divided(8).spans_nodes);
  CHECK(divided(8).bandwidth == device.tensor_parallel_bandwidth);
  device.devices_per_node = 6;
  CHECK(divided(4).idle_devices == 2);
  CHECK(divided(2).idle_devices == 0);
  CHECK(divided(8).idle_devices == 0);  // across nodes
  CHECK_THROWS_AS(divided(3), invalid_input);
  device.devices_per_node = 0;
  CHECK_THROWS_AS(divided(2), invalid_input);
}
