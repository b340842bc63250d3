// SPDX-License-Identifier: Apache-2.0
// examples/trainer/golden/make_golden.py says how the file that is compared with was made.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "catch.hpp"
#include "model_runs.hpp"
#include "model_stage.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;

namespace {

/// Purposes of numbers; those of parameters are their places among all parameters.
enum purpose : std::uint32_t { of_pixels = 1001, of_tokens, of_targets, of_weights };

std::uint32_t hashed(std::uint32_t purpose, std::size_t index) {
  std::uint32_t h =
      static_cast<std::uint32_t>(index) * 2654435761U + purpose * 2246822519U + 12345U;
  h ^= h >> 16;
  h *= 3266489917U;
  return h ^ h >> 13;
}

double number(std::uint32_t purpose, std::size_t index) {
  return hashed(purpose, index) / 2147483648.0 - 1;
}

microbatch golden_batch(const model_config& config) {
  microbatch batch;
  for (const document& one : std::vector<document>{{2, 4}, {0, 3}, {1, 5}, {0, 1}}) {
    const std::size_t images = one.tiles * config.tiles.image_rows();
    for (std::size_t p = 0; p < one.tiles * config.tiles.pixels(); ++p)
      batch.pixels.push_back(static_cast<float>(number(of_pixels, batch.pixels.size())));
    for (std::size_t k = 0; k < images + one.text; ++k) {
      const std::size_t t = batch.tokens();
      const auto token_of = [&](purpose what) {
        return static_cast<std::int32_t>(hashed(what, t) % config.vocabulary());
      };
      const bool counts = k >= images && k + 1 < images + one.text;
      if (k < images) batch.image_slots.push_back(static_cast<std::int32_t>(t));
      batch.position_ids.push_back(static_cast<std::int32_t>(k));
      batch.targets.push_back(counts ? token_of(of_targets) : no_target);
      batch.loss_weights.push_back(counts ? static_cast<float>(1 + hashed(of_weights, t) % 4) / 64
                                          : 0.0F);
      batch.token_ids.push_back(token_of(of_tokens));
    }
    batch.cu_seqlens.push_back(static_cast<std::int32_t>(batch.tokens()));
  }
  return batch;
}

template <typename Real>
void set_golden_values(model_stage<Real>& stage) {
  std::uint32_t which = 0;
  for (auto& one : stage.parameters()) {
    const std::size_t rows = one.rows;
    const double scale = rows == 1 ? 0.1 : 1 / std::sqrt(static_cast<double>(rows));
    const double offset = one.name.ends_with("norm") ? 1 : 0;
    for (std::size_t i = 0; i < one.value.size(); ++i)
      one.value[i] = static_cast<Real>(static_cast<float>(offset + scale * number(which, i)));
    ++which;
  }
}

struct golden_parameter {
  std::size_t layer = 0;
  std::string name = {};
  std::size_t entries = 0;
  double length = 0;
  std::vector<double> some = {};  ///< Every step-th entry.
};

struct golden_gradients {
  double loss = 0;
  std::vector<golden_parameter> parameters = {};
};

golden_gradients read_golden() {
  std::ifstream file(TRAINER_GOLDEN_FILE);
  REQUIRE(file);
  golden_gradients golden;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    if (line.starts_with("#")) continue;
    if (line.starts_with("loss")) {
      words.ignore(4);
      words >> golden.loss;
      continue;
    }
    golden_parameter one;
    words >> one.layer >> one.name >> one.entries >> one.length;
    for (double value = 0; words >> value;) one.some.push_back(value);
    golden.parameters.push_back(std::move(one));
  }
  return golden;
}

/// The largest difference from the golden gradients of a parameter, relative to their size.
template <typename Real>
double difference_from(const golden_parameter& golden, const std::vector<Real>& found) {
  const std::size_t step = (found.size() / 200) | 1;
  double largest = 0;
  double apart = 0;
  double squares = 0;
  for (std::size_t k = 0; k < golden.some.size(); ++k) {
    largest = std::max(largest, std::abs(golden.some[k]));
    apart = std::max(apart, std::abs(static_cast<double>(found[k * step]) - golden.some[k]));
  }
  for (const Real value : found) squares += static_cast<double>(value) * static_cast<double>(value);
  return std::max(apart / largest, std::abs(std::sqrt(squares) / golden.length - 1));
}

template <typename Real>
void compare_with_golden(double tolerance) {
  const golden_gradients golden = read_golden();
  const model_config config = model_of("tiny", 24);
  auto stages = stages_of<Real>(config, one_stage(config));
  set_golden_values(stages[0]);
  const auto found = run_step(stages, one_stage(config), std::vector{golden_batch(config)});
  CHECK(found.loss == Approx(golden.loss).epsilon(tolerance));
  REQUIRE(golden.parameters.size() == found.of.size());
  for (const golden_parameter& one : golden.parameters) {
    INFO("layer " << one.layer << ", " << one.name);
    const auto& values = found.of.at({one.layer, one.name});
    REQUIRE(values.size() == one.entries);
    REQUIRE(one.some.size() >= std::min<std::size_t>(one.entries, 100));
    CHECK(difference_from(one, values) < tolerance);
  }
}

}  // namespace

TEST_CASE("loss and gradients are PyTorch's, in single precision") {
  compare_with_golden<float>(1e-5);
}

#if !defined(OMNIBAL_TRAINER_EMULATED)  // there it takes its time, and lanes are the same
TEST_CASE("loss and gradients are PyTorch's, in double precision") {
  compare_with_golden<double>(1e-7);
}
#endif
