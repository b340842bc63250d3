// SPDX-License-Identifier: Apache-2.0
// Compiled for every machine: layers that compute with bf16.

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "machine.hpp"
#include "model_runs.hpp"
#include "model_stage.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;
using omnibal::element_type;
using omnibal::recompute_kind;
using omnibal::workload;

namespace {

// ---- rounding ----------------------------------------------------------------------------------

/// Of the numbers of 16 bits, exactly; the one after the largest is where infinity begins.
double value_of(std::uint32_t bits) {
  if ((bits & 0x7fffU) == 0x7f80U) return bits > 0x8000U ? -0x1p128 : 0x1p128;
  return static_cast<double>(std::bit_cast<float>(bits << 16U));
}

/// The nearer of the two neighbours of 16 bits; of two that are as near, the even one.
std::uint32_t nearest(float value) {
  const std::uint32_t towards_zero = std::bit_cast<std::uint32_t>(value) >> 16U;
  if (std::isinf(value)) return towards_zero;
  const double exact = static_cast<double>(value);
  const double below = std::abs(exact - value_of(towards_zero));
  const double above = std::abs(value_of(towards_zero + 1) - exact);
  if (below == above) return towards_zero + (towards_zero & 1U);
  return below < above ? towards_zero : towards_zero + 1;
}

bool is_rounded(float value, bf16_number found) {
  if (std::isnan(value)) return std::isnan(float{found});
  return found.bits() == nearest(value);
}

/// Between two neighbours of 16 bits rounding can only change at the middle: so these are all
/// cases, of every sign and exponent, NaNs, infinities and subnormals among them.
std::vector<float> floats_where_rounding_changes() {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper < 0x10000U; ++upper)
    for (const std::uint32_t lower : {0U, 1U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU})
      values.push_back(std::bit_cast<float>(upper << 16U | lower));
  return values;
}

// ---- products ----------------------------------------------------------------------------------

template <typename Real>
matrix<Real> placed_matrix(machine& on, const std::vector<float>& values, std::size_t columns) {
  matrix<Real> result(on, values.size() / columns, columns);
  copy_in(on, std::span(values), result.view().data);
  return result;
}

template <typename Real>
std::vector<float> read(machine& on, const matrix<Real>& from) {
  std::vector<Real> values(from.view().size());
  copy_out(on, from.view().data, std::span(values));
  return {values.begin(), values.end()};
}

// ---- steps -------------------------------------------------------------------------------------

/// The losses of steps of plain descent along the gradients.
std::vector<double> losses_of(element_type numbers, std::size_t steps) {
  const model_config config = micro_model_of(numbers);
  const auto batches = some_batches(config);
  const step_plan plan = one_stage(config);
  auto stages = stages_of<float>(config, plan);
  std::vector<double> losses;
  for (std::size_t s = 0; s < steps; ++s) {
    losses.push_back(run_step(stages, plan, std::span(batches).first(2)).loss);
    for (auto& one : stages[0].parameters())
      for (std::size_t i = 0; i < one.value.size(); ++i) one.value[i] -= 0.05F * one.gradient[i];
  }
  return losses;
}

}  // namespace

TEST_CASE("numbers of 16 bits are rounded to nearest, ties to even") {
  const std::vector<float> values = floats_where_rounding_changes();
  std::size_t wrong = 0;
  for (const float value : values)
    if (!is_rounded(value, bf16_number(value))) ++wrong;
  CHECK(wrong == 0);
  if (std::getenv("OMNIBAL_ALL_FLOATS") == nullptr) return;  // a minute
  for (std::uint32_t bits = 0; ++bits != 0;) {
    const auto value = std::bit_cast<float>(bits);
    if (!is_rounded(value, bf16_number(value))) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a machine rounds as the host does") {
  machine on;
  const std::vector<float> values = floats_where_rounding_changes();
  const matrix<bf16_number> rounded =
      converted<bf16_number>(on, placed_matrix<float>(on, values, 3 * 1024));
  std::vector<bf16_number> found(values.size());
  copy_out(on, rounded.view().data, std::span(found));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!is_rounded(values[i], found[i])) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("a number of 16 bits has its value as a float") {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const auto value = std::bit_cast<float>(bits << 16U);
    if (std::isnan(value)) continue;
    REQUIRE(float{bf16_number(value)} == value);
    REQUIRE(bf16_number(value).bits() == bits);
  }
}

TEST_CASE("products of bf16 have wide sums, rounded once") {
  machine on;
  // 257 ones: in bf16 the sum would stay at 256, and so it does where only the result is rounded.
  const auto ones = placed_matrix<bf16_number>(on, std::vector<float>(257, 1), 257);
  matrix<float> sum(on, 1, 1);
  product<float, bf16_number>(on, sum, {ones}, {ones, true});
  CHECK(read(on, sum) == std::vector<float>{257});
  product<float, bf16_number>(on, sum, {ones}, {ones, true}, 1);
  CHECK(read(on, sum) == std::vector<float>{514});
  matrix<bf16_number> rounded(on, 1, 1);
  product<bf16_number>(on, rounded, {ones}, {ones, true});
  CHECK(read(on, rounded) == std::vector<float>{256});
  product<bf16_number>(on, rounded, {ones}, {ones, true}, 1);
  CHECK(read(on, rounded) == std::vector<float>{512});  // 513 is between 512 and 516
}

TEST_CASE("factors of bf16 are transposed like others") {
  machine on;
  const auto left = placed_matrix<bf16_number>(on, {1, 2, 3, 4, 5, 6}, 3);
  const auto right = placed_matrix<bf16_number>(on, {1, -1, 2, 0.5F, 3, 1}, 2);
  matrix<float> out(on, 2, 2);
  product<float, bf16_number>(on, out, {left}, {right});
  CHECK(read(on, out) == std::vector<float>{14, 3, 32, 4.5F});
  const auto left_columns = placed_matrix<bf16_number>(on, {1, 4, 2, 5, 3, 6}, 2);
  const auto right_columns = placed_matrix<bf16_number>(on, {1, 2, 3, -1, 0.5F, 1}, 3);
  product<float, bf16_number>(on, out, {left_columns, true}, {right_columns, true});
  CHECK(read(on, out) == std::vector<float>{14, 3, 32, 4.5F});
}

TEST_CASE("column sums of bf16 are floats") {
  machine on;
  const auto ones = placed_matrix<bf16_number>(on, std::vector<float>(600, 1), 2);
  matrix<float> sums(on, 1, 2);
  add_column_sums<bf16_number>(on, sums, ones);
  CHECK(read(on, sums) == std::vector<float>{300, 300});
}

TEST_CASE("layers of bf16 save half the bytes, exactly, but for the sums of the softmax") {
  const model_config wide_config = micro_model();
  const model_config config = micro_model_of(element_type::bf16);
  const auto batch = some_batches(config)[0];
  for (std::size_t layer = 0; layer < layer_count(config); ++layer)
    for (const recompute_kind kind : all_kinds) {
      INFO("layer " << layer << ", " << to_string(kind));
      const stage_layout layout{.first_layer = layer,
                                .end_layer = layer + 1,
                                .kinds = {kind},
                                .splits_backward = kind == recompute_kind::none};
      model_stage<float> stage(config, layout);
      const model_stage<float> of_floats(wide_config, layout);
      const workload work{.tiles = 3, .tokens = static_cast<std::int64_t>(batch.tokens())};
      REQUIRE(batch.pixels.size() == 3 * config.tiles.pixels());
      stage.begin_step(std::span(&batch, 1));
      std::vector<float> rows(stage.output(0).size());
      stage.forward(0, std::vector<float>(stage.input(0).size(), 0.25F), rows);
      CHECK(stage.bytes_held() == stage.saved_bytes(work));

      std::int64_t sums = 0;  // of heads and rows
      const model_layer what = layer_at(config, layer);
      if (kind != recompute_kind::full && what == model_layer::vision)
        sums = config.shape.vision.heads * 3 * static_cast<std::int64_t>(config.tiles.patches());
      if (kind != recompute_kind::full && what == model_layer::language)
        sums = config.shape.language.heads * work.tokens;
      CHECK(2 * stage.saved_bytes(work) == of_floats.saved_bytes(work) + 4 * sums);

      std::vector<float> input_gradient(stage.input(0).size());
      stage.backward(0, rows, input_gradient);
      CHECK(stage.bytes_held() == stage.waiting_bytes(work));
      CHECK(2 * stage.waiting_bytes(work) == of_floats.waiting_bytes(work));
      if (kind == recompute_kind::none) stage.weight_gradient(0);
      CHECK(stage.bytes_held() == 0);
      CHECK(4 * stage.parameter_bytes() == 5 * of_floats.parameter_bytes());
    }
}

TEST_CASE("gradients of bf16 are near those of floats, and the same to the bit for all cuts") {
  const model_config config = micro_model_of(element_type::bf16);
  const std::vector batches = {some_batches(config)[0]};
  const auto expected = run_step<float>(config, one_stage(config), batches);
  const auto of_floats = run_step<float>(micro_model(), one_stage(config), batches);
  CHECK(expected.loss == Approx(of_floats.loss).epsilon(0.01));
  CHECK(expected.loss != of_floats.loss);
  const double apart = difference(expected.of, of_floats.of);
  CHECK(apart < 0.05);
  CHECK(apart > 1e-4);  // so they were rounded
  for (const recompute_kind kind : all_kinds) {
    step_plan plan = one_stage(config, kind);
    plan.cuts = {0, 3, 5, layer_count(config)};
    plan.splits_backward = kind != recompute_kind::selective;
    const auto found = run_step<float>(config, plan, batches);
    CHECK(found.loss == expected.loss);
    CHECK(found.of == expected.of);
  }
}

TEST_CASE("parameters are trained in floats, and rounded anew in every step") {
  const model_config config = micro_model_of(element_type::bf16);
  const std::vector batches = {some_batches(config)[1]};
  const step_plan plan = one_stage(config);
  auto stages = stages_of<float>(config, plan);
  const double before = run_step(stages, plan, batches).loss;
  auto parameters = stages[0].parameters();
  for (auto& one : parameters) one.value[0] *= 1 + 0x1p-12F;  // less than bf16 has bits for
  const std::vector<float> kept(parameters[0].value.begin(), parameters[0].value.end());
  const double rounded_away = run_step(stages, plan, batches).loss;
  CHECK(std::vector<float>(parameters[0].value.begin(), parameters[0].value.end()) == kept);
  for (auto& one : parameters) one.value[0] *= 2;
  CHECK(run_step(stages, plan, batches).loss != before);
  CHECK(rounded_away == Approx(before).epsilon(0.001));
}

TEST_CASE("steps of bf16 have nearly the losses of floats") {
#if defined(OMNIBAL_TRAINER_EMULATED)
  const std::size_t steps = 2;
#else
  const std::size_t steps = 30;
#endif
  const auto expected = losses_of(element_type::f32, steps);
  const auto found = losses_of(element_type::bf16, steps);
  for (std::size_t s = 0; s < steps; ++s) CHECK(found[s] == Approx(expected[s]).epsilon(0.02));
  CHECK(found.back() < found.front());
}

TEST_CASE("numbers that layers cannot compute with are refused") {
  const model_config config = micro_model_of(element_type::i64);
  CHECK_THROWS_WITH(stages_of<float>(config, one_stage(config)),
                    "numbers = i64: must be f32, or bf16 of floats");
  const model_config bf16 = micro_model_of(element_type::bf16);
  CHECK_THROWS_AS(stages_of<double>(bf16, one_stage(bf16)), omnibal::invalid_input);
}
