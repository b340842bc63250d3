// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <omnibal/pipeline/frozen.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

pipeline_layer trained() {
  return {.forward_time = 10,
          .backward_time = 21,
          .weight_gradient_time = 9,
          .static_bytes = 5,
          .forward_latency = 2,
          .backward_latency = 3,
          .modes = {{.name = "none", .saved_bytes = 8, .saved_for_weight_gradient = 4},
                    {.name = "full", .extra_time = 10, .transient_bytes = 8}}};
}

std::vector<pipeline_layer> after(const std::vector<layer_training>& training) {
  std::vector<pipeline_layer> layers(training.size(), trained());
  leave_out_gradients(layers, gradients_of(training));
  return layers;
}

}  // namespace

TEST_CASE("A chain that is all trained stays as it is") {
  CHECK(after({{}, {}, {}}) == std::vector<pipeline_layer>(3, trained()));
  CHECK(after({}).empty());
}

TEST_CASE("Below the lowest trained layer there is no backward, and nothing is kept for one") {
  const std::vector<pipeline_layer> layers =
      after({{.trainable = false}, {.trainable = false}, {}});
  for (std::size_t l = 0; l < 2; ++l) {
    CHECK(layers[l].forward_time == 10);
    CHECK(layers[l].backward_time == 0);
    CHECK(layers[l].weight_gradient_time == 0);
    CHECK(layers[l].static_bytes == 5);
    CHECK(layers[l].forward_latency == 2);
    CHECK(layers[l].backward_latency == 0);
    CHECK(layers[l].modes == std::vector<recompute_mode>{{.name = "none"}, {.name = "full"}});
  }
  CHECK(layers[2] == trained());
}

TEST_CASE("A frozen layer above a trained one passes gradients through: a single backward") {
  const pipeline_layer passing = after({{}, {.trainable = false}})[1];
  CHECK(passing.backward_time == 12);
  CHECK(passing.weight_gradient_time == 0);
  CHECK(passing.backward_latency == 3);
  CHECK(passing.modes[0].saved_bytes == 8);
  CHECK(passing.modes[0].saved_for_weight_gradient == 0);
  CHECK(passing.modes[1].extra_time == 10);
}

TEST_CASE("Gradients of inputs can be asked for and left out") {
  CHECK(after({{.trainable = false, .input_gradient = true}})[0].backward_time == 12);
  const pipeline_layer lowest = after({{.input_gradient = false}})[0];
  CHECK(lowest.backward_time == 9);
  CHECK(lowest.weight_gradient_time == 9);
  CHECK_THROWS_WITH(after({{}, {.input_gradient = false}}),
                    Catch::Matchers::ContainsSubstring("training[1].input_gradient = false"));
}

TEST_CASE("A weight gradient known to take no time leaves the backward of inputs whole") {
  std::int64_t backward = 100;
  std::int64_t weight_gradient = 0;
  leave_out_gradients(backward, weight_gradient,
                      {.of_weights = false, .zero_weight_gradient_known = true});
  CHECK(backward == 100);
  leave_out_gradients(backward, weight_gradient,
                      {.of_inputs = false, .zero_weight_gradient_known = true});
  CHECK(backward == 0);
  CHECK(gradients_of(std::vector<layer_training>{{.zero_weight_gradient_known = true}})
            .front()
            .zero_weight_gradient_known);
}

TEST_CASE("Where W is not known, both gradients cost the same, rounded up") {
  std::int64_t backward = 21;
  std::int64_t weight_gradient = 0;
  leave_out_gradients(backward, weight_gradient, {.of_weights = false});
  CHECK(backward == 11);
  backward = 21;
  leave_out_gradients(backward, weight_gradient, {.of_inputs = false});
  CHECK(backward == 11);
  leave_out_gradients(backward, weight_gradient, {.of_weights = false, .of_inputs = false});
  CHECK(backward == 0);
}
