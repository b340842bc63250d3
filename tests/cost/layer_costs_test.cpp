// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/presets.hpp>

#include "../catch.hpp"
#include "preset.hpp"

using namespace omnibal;
using omnibal::test::preset;

namespace {

device_shape a100() { return device_presets()[0]; }

const layer_cost& layer_named(const std::vector<layer_cost>& chain, const std::string& name) {
  return *std::ranges::find(chain, name, &layer_cost::name);
}

template <typename Change>
std::string refused_field(Change change) {
  model_shape model = preset("internvl-chat-1.5");
  device_shape device = a100();
  training_setup setup;
  change(model, device, setup);
  try {
    (void)cost_layers(model, device, setup);
  } catch (const invalid_input& error) {
    return error.field();
  }
  return "";
}

}  // namespace

TEST_CASE("Parameters of all presets are those of the published models") {
  struct counts {
    std::int64_t vision_layer, projector, language_layer, embedding, total;
  };
  const std::map<std::string, counts> published = {
      {"internvl-chat-1.5", {122918400, 116404224, 390082560, 568645632, 25508986368}},
      {"internvl2-40b", {122918400, 143144960, 557856768, 458752000, 40063383040}},
      {"internvl2-llama3-76b", {122918400, 171982848, 855654400, 1050673152, 76257009152}},
      {"internvl2-8b", {12598272, 33562624, 218112000, 379097088, 8073699328}},
      {"llava-1.5-7b", {12596224, 20979712, 202383360, 131072000, 7049104384}},
      {"llava-1.5-13b", {12596224, 31467520, 317204480, 163840000, 13337039872}},
      {"llava-onevision-7b", {15239504, 16980992, 233057792, 544997376, 8028821024}},
      {"qwen2-vl-7b", {19677440, 44573184, 233057792, 544997376, 8289864192}},
      {"qwen2.5-vl-7b", {19702200, 44573184, 233057792, 544997376, 8290656512}}};
  REQUIRE(model_presets().size() == published.size());
  for (const model_shape& model : model_presets()) {
    INFO(model.id);
    const counts& expected = published.at(model.id);
    CHECK(vision_layer_parameters(model.vision) == expected.vision_layer);
    CHECK(projector_parameters(model) == expected.projector);
    CHECK(language_layer_parameters(model.language) == expected.language_layer);
    CHECK(embedding_parameters(model.language) == expected.embedding);
    CHECK(total_parameters(model) == expected.total);
  }
}

TEST_CASE("FLOPs at the reference point: 4 tiles, one sequence of 4096 tokens") {
  const model_shape model = preset("internvl-chat-1.5");
  CHECK(4 * vision_attention_flops(model.vision, 1025) == 53792000000);
  CHECK(4 * (vision_matrix_flops(model.vision) + vision_attention_flops(model.vision, 1025)) ==
        1061408000000);
  CHECK(4096 * 4096 * language_attention_flops(model.language) == 206158430208);
  CHECK(4096 * language_matrix_flops(model.language) + 206158430208 == 3401614098432);
  CHECK(4096 * head_flops(model.language) == 4658345017344);
}

TEST_CASE("A layer takes its FLOPs over the achieved rates, and its overhead") {
  const model_shape model = preset("internvl-chat-1.5");
  const device_shape device = a100();
  const auto chain = cost_layers(model, device, {});
  const layer_cost& vision = layer_named(chain, "vision7");
  const double matrix =
      4.0 * static_cast<double>(vision_matrix_flops(model.vision)) / device.matrix_flops;
  const double attention = 53792000000.0 / device.attention_flops;
  const workload four_tiles{.tiles = 4};
  CHECK(static_cast<double>(vision.forward_time.of(four_tiles)) ==
        Approx(1e9 * (matrix + attention) + 50e3).epsilon(1e-6));
  CHECK(static_cast<double>(vision.backward_time.of(four_tiles)) ==
        Approx(1e9 * (2 * matrix + 2.5 * attention) + 50e3).epsilon(1e-6));
  CHECK(vision.forward_time.of({.tokens = 1'000'000}) == 50'000);

  const layer_cost& language = layer_named(chain, "language0");
  const double quadratic = 206158430208.0 / device.attention_flops;
  const workload one_sequence = sample_workload(0, 4096);
  workload two_sequences = sample_workload(0, 2048) + sample_workload(0, 2048);
  CHECK(static_cast<double>(language.forward_time.of(one_sequence) -
                            language.forward_time.of(two_sequences)) ==
        Approx(1e9 * quadratic / 2).epsilon(1e-5));
}

TEST_CASE("Activation bytes at the reference point") {
  const auto chain = cost_layers(preset("internvl-chat-1.5"), a100(), {});
  const layer_cost& vision = layer_named(chain, "vision0");
  const layer_cost& language = layer_named(chain, "language0");
  REQUIRE(vision.modes.front().name == "none");
  REQUIRE(vision.modes.back().name == "full");
  CHECK(vision.modes.front().saved_bytes.of({.tiles = 4}) == 420250000);
  CHECK(vision.modes.back().saved_bytes.of({.tiles = 4}) == 26240000);
  CHECK(language.modes.front().saved_bytes.of({.tokens = 4096}) == 722206720);
  CHECK(language.modes.back().saved_bytes.of({.tokens = 4096}) == 50331648);
  CHECK(language.modes.back().extra_time == language.forward_time);
  CHECK(language.modes.back().transient_bytes == language.modes.front().saved_bytes);
}

TEST_CASE("Every layer but the head says how many bytes it passes on, in bf16") {
  const workload work{4, 4096, std::int64_t{4096} * 4096};
  const auto bytes_of = [&](const training_setup& setup, const char* name) {
    const auto chain = cost_layers(preset("internvl-chat-1.5"), a100(), setup);
    return layer_named(chain, name).output_bytes.of(work);
  };
  CHECK(bytes_of({}, "vision0") == 4 * 1025 * 2 * 3200);
  CHECK(bytes_of({}, "vision44") == 4 * 1025 * 2 * 3200);
  CHECK(bytes_of({}, "projector") == 4 * 256 * 2 * 6144);
  CHECK(bytes_of({}, "embedding") == 4096 * 2 * 6144);
  CHECK(bytes_of({}, "language0") == 4096 * 2 * 6144);
  CHECK(bytes_of({}, "language47") == 4096 * 2 * 6144);
  CHECK(bytes_of({}, "head") == 0);
  // Every device of a tensor-parallel group has the whole output, or its part of the sequence.
  CHECK(bytes_of({.tensor_parallel = 2}, "language0") == 4096 * 2 * 6144);
  CHECK(bytes_of({.tensor_parallel = 2, .sequence_parallel = true}, "language0") == 4096 * 6144);
}

TEST_CASE("Tensor and sequence parallelism divide time and bytes") {
  const model_shape model = preset("internvl-chat-1.5");
  const auto at = [&](const training_setup& setup) {
    return layer_named(cost_layers(model, a100(), setup), "language0");
  };
  const workload work{.tokens = 4096};
  const auto kept = [&](const training_setup& setup) {
    return at(setup).modes.front().saved_bytes.of(work);
  };
  const std::int64_t norms = 4096 * 8 * model.language.hidden;
  CHECK(kept({.tensor_parallel = 2}) == norms + (kept({}) - norms) / 2);
  CHECK(kept({.tensor_parallel = 2, .sequence_parallel = true}) == kept({}) / 2);
  // Half the matrix time, plus two all-reduces.
  const double compute = static_cast<double>(at({}).forward_time.of(work) - 50'000);
  const double communication = 2e9 * (4096.0 * 2 * 6144) / a100().tensor_parallel_bandwidth;
  CHECK(static_cast<double>(at({.tensor_parallel = 2}).forward_time.of(work)) ==
        Approx(compute / 2 + communication + 50'000).epsilon(1e-6));
  CHECK(at({.tensor_parallel = 2}).forward_latency.of(work) == at({}).forward_latency.of(work));
  CHECK(at({.tensor_parallel = 2, .sequence_parallel = true}).forward_latency.of(work) <
        at({}).forward_latency.of(work));
}

TEST_CASE("Static bytes: 18 a parameter whole, 6 + 12/dp sharded, 2 frozen") {
  const model_shape model = preset("internvl2-8b");
  const std::int64_t parameters = language_layer_parameters(model.language);
  const auto bytes = [&](const training_setup& setup) {
    return layer_named(cost_layers(model, a100(), setup), "language3").static_bytes;
  };
  CHECK(bytes({}) == 18 * parameters);
  CHECK(bytes({.tensor_parallel = 4}) == 18 * parameters / 4);
  CHECK(bytes({.data_parallel = 8, .shard_optimizer = true}) ==
        6 * parameters + 12 * parameters / 8);
  CHECK(bytes({.optimizer_bytes = 4}) == 10 * parameters);
  CHECK(bytes({.freeze = frozen_part::language}) == 2 * parameters);
  CHECK(bytes({.freeze = frozen_part::vision}) == 18 * parameters);
}

TEST_CASE("Once per step gradients are reduced, the optimizer runs, and shards are gathered") {
  for (const bool sharded : {false, true}) {
    const auto chain = cost_layers(preset("internvl2-8b"), a100(),
                                   {.data_parallel = 8, .shard_optimizer = sharded});
    for (const layer_cost& layer : chain) {
      INFO(layer.name);
      CHECK(layer.reduction_time > 0);
      CHECK((layer.gather_time > 0) == sharded);
      CHECK(layer.step_time > layer.reduction_time + layer.gather_time);
      // A ring sends 4 bytes of each gradient once to scatter sums, and again to gather them; or 2
      // of each parameter.
      if (sharded) CHECK(std::abs(layer.reduction_time - 2 * layer.gather_time) <= 2);
    }
  }
  for (const layer_cost& layer : cost_layers(preset("internvl2-8b"), a100(), {}))
    CHECK(layer.reduction_time == 0);
}

TEST_CASE("A frozen vision part has no backward, keeps nothing and reduces nothing") {
  const auto chain = cost_layers(preset("internvl2-8b"), a100(),
                                 {.data_parallel = 8, .freeze = frozen_part::vision});
  const workload work{.tiles = 5, .tokens = 1500, .squared_tokens = 1500 * 1500};
  for (const layer_cost& layer : chain) {
    INFO(layer.name);
    const bool frozen = layer.name.starts_with("vision");
    CHECK((layer.backward_time.of(work) == 0) == frozen);
    CHECK((layer.step_time == 0) == frozen);
    CHECK((layer.modes.front().saved_bytes.of(work) == 0) == frozen);
    if (frozen) CHECK(layer.backward_latency.of(work) == 0);
  }
  // The lowest trainable layer needs no gradient of its inputs.
  const layer_cost& projector = layer_named(chain, "projector");
  CHECK(projector.backward_time.of(work) == projector.forward_time.of(work));
}

TEST_CASE("A frozen language part passes gradients through: one backward product, not two") {
  const model_shape model = preset("internvl2-8b");
  device_shape device = a100();
  device.layer_overhead_seconds = 0;
  const auto chain = cost_layers(model, device, {.freeze = frozen_part::language});
  const layer_cost& language = layer_named(chain, "language5");
  const workload no_attention{.tokens = 4096};
  CHECK(language.backward_time.of(no_attention) == language.forward_time.of(no_attention));
  CHECK(layer_named(chain, "vision5").backward_time.of({.tiles = 5}) >
        layer_named(chain, "vision5").forward_time.of({.tiles = 5}));
}

TEST_CASE("Windowed vision layers attend over their window only") {
  const auto chain = cost_layers(preset("qwen2.5-vl-7b"), a100(), {});
  int full = 0;
  std::int64_t most = 0;
  for (const layer_cost& layer : chain)
    if (layer.name.starts_with("vision")) most = std::max(most, layer.forward_time.per_tile);
  for (const layer_cost& layer : chain)
    if (layer.name.starts_with("vision") && layer.forward_time.per_tile == most) ++full;
  CHECK(full == 4);
  CHECK(layer_named(chain, "vision7").forward_time.per_tile == most);
  CHECK(layer_named(chain, "vision31").forward_time.per_tile == most);
}

TEST_CASE("Costs add up exactly and round up once") {
  const linear_cost third{.per_token = (std::int64_t{1} << fixed_point_bits) / 3};
  CHECK(third.of({.tokens = 0}) == 0);
  CHECK(third.of({.tokens = 1}) == 1);
  CHECK(third.of({.tokens = 300}) == 100);
  CHECK((third + third).of({.tokens = 300}) == 200);
  const workload vast{.tokens = std::numeric_limits<std::int64_t>::max()};
  CHECK_THROWS_AS((linear_cost{.per_token = std::int64_t{1} << 40}).of(vast), invalid_input);
  CHECK_THROWS_AS(third + linear_cost{.per_token = std::numeric_limits<std::int64_t>::max()},
                  invalid_input);
  CHECK_THROWS_AS(sample_workload(1, std::int64_t{1} << 40), invalid_input);
}

TEST_CASE("Doubles that are no cost are refused") {
  CHECK(to_fixed_point(1.0, "x") == std::int64_t{1} << fixed_point_bits);
  CHECK_THROWS_AS(to_fixed_point(-1.0, "x"), invalid_input);
  CHECK_THROWS_AS(to_fixed_point(std::nan(""), "x"), invalid_input);
  CHECK_THROWS_AS(to_fixed_point(std::numeric_limits<double>::infinity(), "x"), invalid_input);
  CHECK_THROWS_AS(to_fixed_point(1e300, "x"), invalid_input);
}

TEST_CASE("Shapes, devices and setups out of range are refused by name") {
  using M = model_shape;
  using D = device_shape;
  using S = training_setup;
  CHECK(refused_field([](M&, D&, S&) {}).empty());
  CHECK(refused_field([](M& m, D&, S&) { m.vision.layers = 0; }) == "vision.layers");
  CHECK(refused_field([](M& m, D&, S&) { m.language.hidden = -1; }) == "language.hidden");
  CHECK(refused_field([](M& m, D&, S&) { m.language.kv_heads = 7; }) == "language.kv_heads");
  CHECK(refused_field([](M& m, D&, S&) { m.projector[0].second = 0; }) == "projector");
  CHECK(refused_field([](M&, D& d, S&) { d.matrix_flops = 0; }) == "matrix_flops");
  CHECK(refused_field([](M&, D& d, S&) { d.memory_bandwidth = std::nan(""); }) ==
        "memory_bandwidth");
  CHECK(refused_field([](M&, D& d, S&) { d.latency_seconds = -1; }) == "latency_seconds");
  CHECK(refused_field([](M&, D& d, S&) { d.layer_overhead_seconds = 2; }) ==
        "layer_overhead_seconds");
  CHECK(refused_field([](M&, D& d, S&) { d.memory_bytes = 0; }) == "memory_bytes");
  CHECK(refused_field([](M&, D&, S& s) { s.tensor_parallel = 0; }) == "tensor_parallel");
  CHECK(refused_field([](M&, D&, S& s) { s.tensor_parallel = 5; }) == "tensor_parallel");
  CHECK(refused_field([](M&, D&, S& s) { s.data_parallel = 0; }) == "data_parallel");
  CHECK(refused_field([](M&, D&, S& s) { s.optimizer_bytes = -1; }) == "optimizer_bytes");
}
