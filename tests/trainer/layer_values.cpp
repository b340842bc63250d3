// SPDX-License-Identifier: Apache-2.0
// Prints what every layer computes, one array in a line after its name. Compiled for every machine;
// machines_agree_test.py compares what they print. Ends with 77 where there is no such machine.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "model_runs.hpp"
#include "model_stage.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;
using omnibal::recompute_kind;

namespace {

std::vector<float> random_rows(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 2000) / 1000 - 1;
  return values;
}

void print(const std::string& name, std::span<const float> values) {
  std::printf("%s:", name.c_str());
  for (const float value : values) std::printf(" %.9g", static_cast<double>(value));
  std::printf("\n");
}

/// One layer alone: forward, backward, and the weight gradient apart where the kind allows it.
void print_layer(const model_config& config, std::size_t layer, recompute_kind kind,
                 const microbatch& batch) {
  model_stage<float> stage(config, {.first_layer = layer,
                                    .end_layer = layer + 1,
                                    .kinds = {kind},
                                    .splits_backward = true,
                                    .seed = 5});
  const std::string name = layer_names(config)[layer] + ", " + std::string(to_string(kind)) + ", ";
  stage.begin_step(std::span(&batch, 1));
  std::vector<float> output(stage.output(0).size());
  stage.forward(0, random_rows(stage.input(0).size(), 11), output);
  print(name + "forward", output);
  if (layer + 1 == layer_count(config)) {
    const float loss[] = {static_cast<float>(stage.result(0).loss)};
    print(name + "loss", loss);
  }
  std::vector<float> input_gradient(stage.input(0).size());
  stage.backward(0, random_rows(output.size(), 12), input_gradient);
  print(name + "backward", input_gradient);
  for (const auto& each : stage.parameters())
    print(name + "gradient of " + each.name + " after the backward", each.gradient);
  stage.weight_gradient(0);
  for (const auto& each : stage.parameters())
    print(name + "gradient of " + each.name, each.gradient);
}

void print_all() {
  const model_config config = micro_model();
  const auto batches = some_batches(config);
  for (std::size_t layer = 0; layer < layer_count(config); ++layer) {
    print_layer(config, layer, recompute_kind::none, batches[1]);  // without pictures
    for (const recompute_kind kind :
         {recompute_kind::none, recompute_kind::selective, recompute_kind::full})
      print_layer(config, layer, kind, batches[0]);
  }
}

}  // namespace

int main() {
#if defined(OMNIBAL_TRAINER_CUDA)
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return 77;
#endif
  try {
    print_all();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "layer_values: %s\n", error.what());
    return 1;
  }
}
