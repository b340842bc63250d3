// SPDX-License-Identifier: Apache-2.0
#include "optimizer.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "../catch.hpp"
#include "engine.hpp"

using namespace omnibal;
using namespace omnibal::trainer;

static_assert(stage_update<sharded_adamw<thread_channel>>);

namespace {

/// Two parameters per layer, of other sizes in each.
constexpr std::size_t layers = 4;
std::vector<std::size_t> sizes_of(std::size_t layer) { return {3 + 700 * layer, 900}; }

struct toy_layer {
  std::vector<std::vector<float>> values;
  std::vector<std::vector<float>> gradients;
};

float wave(std::size_t layer, std::size_t i, std::uint64_t step) {
  return std::sin(static_cast<float>(layer * 31 + i) * 0.37F + static_cast<float>(step));
}

toy_layer make_layer(std::size_t layer) {
  toy_layer made;
  for (const std::size_t size : sizes_of(layer)) {
    made.values.emplace_back(size);
    made.gradients.emplace_back(size);
    for (std::size_t i = 0; i < size; ++i) made.values.back()[i] = wave(layer, i, 99);
  }
  return made;
}

/// The gradients of an update, the sum over all replicas: a replica has those of its turn.
void add_gradients(toy_layer& to, std::size_t layer, std::uint64_t step, float size) {
  for (auto& gradient : to.gradients)
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += size * wave(layer, i, step);
}

/// How layers are spread over ranks: stage j has layers cuts[j] … cuts[j + 1] − 1 and is on device
/// devices[j].
struct spread {
  std::vector<std::size_t> cuts = {};
  std::vector<std::size_t> devices = {};
  std::size_t replicas = 1;

  [[nodiscard]] std::size_t device_count() const { return *std::ranges::max_element(devices) + 1; }
};

struct outcome {
  std::vector<std::vector<std::vector<float>>> values = {};  // by layer and parameter
  double norm = 0;
  std::vector<layer_state> states = {};
};

struct plan {
  std::uint64_t steps = 3;
  float gradient_size = 1;
  adamw_options options = {.schedule = {.peak = 0.1, .warm_up = 2, .updates = 10}};
  std::optional<std::vector<layer_state>> resume = {};
  std::uint64_t first_step = 0;
};

/// The same steps whatever the spread.
outcome run(const spread& over, const plan& what) {
  outcome result;
  result.values.resize(layers);
  result.states.resize(layers);
  std::mutex mutex;
  const std::size_t devices = over.device_count();
  run_as_ranks(devices * over.replicas, [&](thread_communicator& ranks) {
    thread_channel world = open_thread_channel(ranks);
    const std::size_t device = ranks.rank() % devices;
    thread_channel replicas = *world.split(static_cast<int>(device), 0);
    std::vector<toy_layer> owned;
    for (std::size_t l = 0; l < layers; ++l) owned.push_back(make_layer(l));
    std::vector<std::vector<parameter_view>> stages(over.devices.size());
    for (std::size_t j = 0; j < stages.size(); ++j)
      for (std::size_t l = over.cuts[j]; l < over.cuts[j + 1] && over.devices[j] == device; ++l)
        for (std::size_t p = 0; p < owned[l].values.size(); ++p)
          stages[j].push_back({l, owned[l].values[p], owned[l].gradients[p]});
    sharded_adamw<thread_channel> optimizer(world, replicas, stages, layers, what.options);
    const auto for_own_stages = [&](const auto& body) {
      for (std::uint32_t j = 0; j < stages.size(); ++j)
        if (over.devices[j] == device) body(j);
    };
    if (what.resume) {
      optimizer.restore_updates(what.first_step);
      for_own_stages([&](std::uint32_t j) {
        optimizer.restore(
            j, std::span(*what.resume).subspan(over.cuts[j], over.cuts[j + 1] - over.cuts[j]));
      });
    }
    for (std::uint64_t step = what.first_step; step < what.steps; ++step) {
      if (step % over.replicas == replicas.rank())
        for (std::size_t l = 0; l < layers; ++l)
          add_gradients(owned[l], l, step, what.gradient_size);
      if (over.replicas > 1) for_own_stages([&](std::uint32_t j) { optimizer.reduce(j); });
      optimizer.clip();
      for_own_stages([&](std::uint32_t j) { optimizer.step(j); });
      if (over.replicas > 1) for_own_stages([&](std::uint32_t j) { optimizer.gather(j); });
    }
    for_own_stages([&](std::uint32_t j) {
      const std::vector<layer_state> states = optimizer.states(j);
      const std::scoped_lock lock(mutex);
      result.norm = optimizer.norm();
      for (std::size_t l = over.cuts[j]; l < over.cuts[j + 1]; ++l) {
        result.states[l] = states[l - over.cuts[j]];
        // All replicas have the same.
        if (!result.values[l].empty() && result.values[l] != owned[l].values)
          throw std::logic_error("replicas differ");
        result.values[l] = owned[l].values;
      }
    });
  });
  return result;
}

const spread one_rank = {.cuts = {0, layers}, .devices = {0}};

/// The book's formulas in double precision.
double expected_value(std::size_t layer, std::size_t i, const plan& what) {
  double value = wave(layer, i, 99);
  double mean = 0;
  double square = 0;
  for (std::uint64_t t = 1; t <= what.steps; ++t) {
    double norm = 0;
    for (std::size_t l = 0; l < layers; ++l)
      for (const std::size_t size : sizes_of(l))
        for (std::size_t k = 0; k < size; ++k)
          norm += std::pow(double{what.gradient_size} * wave(l, k, t - 1), 2);
    norm = std::sqrt(norm);
    const double gradient = double{what.gradient_size} * wave(layer, i, t - 1) *
                            std::min(1.0, what.options.largest_norm / norm);
    const double rate = what.options.schedule.rate(t);
    mean = 0.9 * mean + 0.1 * gradient;
    square = 0.99 * square + 0.01 * gradient * gradient;
    const auto count = static_cast<double>(t);
    value -= rate * what.options.weight_decay * value;
    value -= rate * (mean / (1 - std::pow(0.9, count))) /
             (std::sqrt(square / (1 - std::pow(0.99, count))) + 1e-8);
  }
  return value;
}

}  // namespace

TEST_CASE("AdamW follows its formulas, with gradients clipped and not") {
  for (const float size : {1e-4F, 1.0F}) {
    const plan what{.gradient_size = size};
    const outcome result = run(one_rank, what);
    CHECK((result.norm > what.options.largest_norm) == (size == 1.0F));
    for (const auto& [layer, i] :
         std::vector<std::pair<std::size_t, std::size_t>>{{0, 0}, {1, 5}, {2, 1400}, {3, 2102}})
      CHECK(result.values[layer][0][i] == Approx(expected_value(layer, i, what)).epsilon(2e-5));
  }
}

TEST_CASE("no cut and no number of replicas changes a bit") {
  const outcome expected = run(one_rank, {});
  for (const spread& over : std::vector<spread>{{{0, 1, layers}, {0, 1}, 1},
                                                {{0, layers}, {0}, 2},
                                                {{0, layers}, {0}, 3},
                                                {{0, 3, layers}, {0, 1}, 2},
                                                {{0, 1, 2, 3, layers}, {0, 1, 1, 0}, 2}}) {
    INFO(over.devices.size() << " stages, " << over.replicas << " replicas");
    const outcome result = run(over, {});
    CHECK(result.norm == expected.norm);
    CHECK(result.values == expected.values);
    CHECK(result.states == expected.states);
  }
}

TEST_CASE("states go on under another cut and another number of replicas, to the bit") {
  const outcome expected = run(one_rank, {.steps = 6});
  const outcome half = run({{0, 1, layers}, {0, 1}, 2}, {.steps = 3});
  const plan rest{.steps = 6, .resume = half.states, .first_step = 3};
  CHECK(run(one_rank, rest).values == expected.values);
  CHECK(run({{0, 2, 3, layers}, {0, 1, 0}, 3}, rest).values == expected.values);
}

TEST_CASE("a norm that is not finite is an error on every rank before any parameter changes") {
  const float infinite = std::numeric_limits<float>::infinity();
  std::mutex mutex;
  int refused = 0;
  run_as_ranks(2, [&](thread_communicator& ranks) {
    thread_channel world = open_thread_channel(ranks);
    thread_channel alone = *world.split(static_cast<int>(ranks.rank()), 0);
    std::vector<float> value = {1, 2};
    std::vector<float> gradient = {0, ranks.rank() == 1 ? infinite : 0};
    std::vector<std::vector<parameter_view>> stages(2);
    stages[ranks.rank()] = {{ranks.rank(), value, gradient}};
    sharded_adamw<thread_channel> optimizer(world, alone, stages, 2, {});
    try {
      optimizer.clip();
    } catch (const invalid_input& error) {
      const std::scoped_lock lock(mutex);
      refused += std::string(error.what()) == "norm of the gradients = inf: must be finite";
    }
  });
  CHECK(refused == 2);
}

TEST_CASE("the learning rate rises in a line and falls along a cosine to its least share") {
  const learning_rate_schedule schedule{
      .peak = 2, .warm_up = 10, .updates = 100, .least_share = 0.25};
  CHECK(schedule.rate(5) == Approx(1).epsilon(0.01));
  CHECK(schedule.rate(10) ==
        Approx(2 * (0.25 + 0.75 * (0.5 + 0.5 * std::cos(0.1 * std::numbers::pi)))));
  CHECK(schedule.rate(50) == Approx(2 * (0.25 + 0.75 * 0.5)));
  CHECK(schedule.rate(100) == Approx(0.5));
  CHECK(schedule.rate(500) == Approx(0.5));
}

TEST_CASE("options out of range and parameters that do not fit are refused by name") {
  const auto refused = [](const adamw_options& options) {
    try {
      validate(options);
    } catch (const invalid_input& error) {
      return error.field();
    }
    return std::string();
  };
  CHECK(refused({}).empty());
  CHECK(refused({.schedule = {.peak = -1}}) == "schedule.peak");
  CHECK(refused({.schedule = {.warm_up = 0}}) == "schedule.warm_up");
  CHECK(refused({.schedule = {.updates = 0}}) == "schedule.updates");
  CHECK(refused({.schedule = {.least_share = 2}}) == "schedule.least_share");
  CHECK(refused({.first_decay = 1}) == "first_decay");
  CHECK(refused({.second_decay = -0.1}) == "second_decay");
  CHECK(refused({.epsilon = 0}) == "epsilon");
  CHECK(refused({.weight_decay = -1}) == "weight_decay");
  CHECK(refused({.largest_norm = 0}) == "largest_norm");
  std::vector<float> two(2);
  std::vector<float> three(3);
  CHECK_THROWS_WITH(flat_stage({{0, two, three}}),
                    "parameters.gradient.size()[0] = 3: must be that of the value, 2");
  CHECK_THROWS_WITH(flat_stage({{1, two, two}, {0, three, three}}),
                    "parameters.layer[1] = 0: must be in ascending order");
}

TEST_CASE("a state of another model is refused") {
  run_as_ranks(1, [](thread_communicator& ranks) {
    thread_channel world = open_thread_channel(ranks);
    thread_channel alone = *world.split(0, 0);
    std::vector<float> value = {1, 2};
    std::vector<float> gradient = {0, 0};
    sharded_adamw<thread_channel> optimizer(world, alone, {{{0, value, gradient}}}, 1, {});
    const std::vector<layer_state> small = {{0, {1}, {1}, {1}}};
    CHECK_THROWS_WITH(optimizer.restore(0, small), "states of layer 0 = 1: must have 2 parameters");
    const std::vector<layer_state> other = {{1, {1, 1}, {1, 1}, {1, 1}}};
    CHECK_THROWS_WITH(optimizer.restore(0, other), "states.layer[0] = 1: must be layer 0");
    CHECK_THROWS_AS(optimizer.restore(0, {}), invalid_input);
  });
}
