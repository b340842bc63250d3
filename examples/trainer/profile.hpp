// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the layers of a model cost on this machine: each kind of layer is run alone, on
/// micro-batches of the task, in each recompute kind, and the measurements are fitted
/// (cost/calibration.hpp). The planner takes the chain that comes of it.
///
///     const std::vector<layer_cost> chain = measured_chain(config, task, {.replicas = 2});
///
/// Times are measured; bytes are those that the layers declare, which the tests of the layers show
/// to be exact, and beside them the workspace that a backward was seen to need.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

#include "data.hpp"
#include "messages.hpp"
#include "model.hpp"
#include "model_stage.hpp"

namespace omnibal::trainer {

struct profile_options {
  /// Samples per micro-batch: the workloads at which layers are measured.
  std::vector<std::uint32_t> samples = {1, 2, 3, 4, 6, 8, 12, 16};
  /// How long everything may take. Each workload is measured at least once, whatever it takes.
  std::chrono::milliseconds time = std::chrono::milliseconds(2000);
  /// Over which the optimizer's state is sharded.
  std::size_t replicas = 1;
};

/// Bytes per parameter of weights and gradients, and of what the optimizer keeps: summed gradients,
/// updated values and two moments, sharded.
[[nodiscard]] constexpr std::int64_t bytes_per_parameter(std::size_t replicas) noexcept {
  return 8 + 16 / static_cast<std::int64_t>(replicas);
}

inline constexpr std::array recompute_kinds = {recompute_kind::none, recompute_kind::selective,
                                               recompute_kind::full};

/// The costs of all layers, in their order, measured. Uses one thread.
[[nodiscard]] std::vector<layer_cost> measured_chain(const model_config& config,
                                                     const picture_task& task,
                                                     const profile_options& options = {});

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// A layer of a kind, run alone.
class layer_profile {
 public:
  layer_profile(const model_config& config, std::size_t layer) : config_(config), layer_(layer) {}

  /// The least times and the most bytes of several runs within this time, at least of one.
  [[nodiscard]] measured_layer measure(const microbatch& batch, const workload& work,
                                       recompute_kind kind, std::chrono::nanoseconds time) const {
    measured_layer row{.name = std::to_string(layer_),
                       .mode = std::string(to_string(kind)),
                       .work = work,
                       .forward_time = most,
                       .backward_time = most,
                       .saved_bytes = 0,
                       .transient_bytes = 0};
    if (kind == recompute_kind::none) row.weight_gradient_time = most;
    model_stage<float> stage(config_, {.first_layer = layer_,
                                       .end_layer = layer_ + 1,
                                       .kinds = {kind},
                                       .splits_backward = kind == recompute_kind::none});
    const std::int64_t end = steady_nanoseconds() + time.count();
    do run_once(stage, batch, row);
    while (steady_nanoseconds() < end);
    return row;
  }

 private:
  static constexpr double most = std::numeric_limits<double>::max();

  static void run_once(model_stage<float>& stage, const microbatch& batch, measured_layer& row) {
    stage.begin_step(std::span(&batch, 1));
    const std::vector<float> input(stage.input(0).size(), 0.5F);
    std::vector<float> output(stage.output(0).size());
    std::vector<float> input_gradient(input.size());
    const auto timed = [](const auto& body) {
      const std::int64_t begin = steady_nanoseconds();
      body();
      // A clock that has not moved is no measurement.
      return static_cast<double>(std::max<std::int64_t>(1, steady_nanoseconds() - begin));
    };
    const auto keep_least = [](std::optional<double>& kept, double value) {
      kept = std::min(*kept, value);
    };
    keep_least(row.forward_time, timed([&] { stage.forward(0, input, output); }));
    row.saved_bytes = static_cast<double>(stage.bytes_held());
    double backward = timed([&] { stage.backward(0, output, input_gradient); });
    if (row.weight_gradient_time) {
      const double weight_gradient = timed([&] { stage.weight_gradient(0); });
      keep_least(row.weight_gradient_time, weight_gradient);
      backward += weight_gradient;
    }
    keep_least(row.backward_time, backward);
    row.transient_bytes = static_cast<double>(stage.peak_bytes()) - *row.saved_bytes;
  }

  const model_config& config_;
  std::size_t layer_;
};

/// The first layer of each kind, for each layer.
[[nodiscard]] inline std::vector<std::size_t> first_of_kind(const model_config& config) {
  std::vector<std::size_t> first;
  for (std::size_t l = 0; l < layer_count(config); ++l) {
    const bool again = l > 0 && layer_at(config, l) == layer_at(config, l - 1);
    first.push_back(again ? first.back() : l);
  }
  return first;
}

[[nodiscard]] inline workload workload_of(const picture_task& task,
                                          std::span<const std::uint32_t> samples) {
  workload work;
  for (const std::uint32_t sample : samples) {
    const auto [tiles, tokens] = task.size_of(sample);
    work = work + sample_workload(tiles, tokens);
  }
  return work;
}

/// Parameters of a layer, and its saved bytes in each recompute kind.
struct declared_layer {
  std::int64_t parameters = 0;
  std::array<linear_cost, recompute_kinds.size()> saved = {};
};

[[nodiscard]] inline declared_layer declared_by(const model_config& config, std::size_t layer) {
  declared_layer declared;
  for (std::size_t k = 0; k < recompute_kinds.size(); ++k) {
    model_stage<float> stage(
        config, {.first_layer = layer, .end_layer = layer + 1, .kinds = {recompute_kinds[k]}});
    declared.saved[k] = stage.saved_cost();
    declared.parameters = 0;
    for (const auto& each : stage.parameters())
      declared.parameters += static_cast<std::int64_t>(each.value.size());
  }
  return declared;
}

/// Only kinds that save less than the ones before are worth a choice.
inline void keep_useful_modes(layer_cost& layer, const declared_layer& declared) {
  std::vector<mode_cost> useful;
  for (std::size_t k = 0; k < layer.modes.size(); ++k) {
    layer.modes[k].saved_bytes = declared.saved[k];
    if (k == 0 || declared.saved[k] != useful.back().saved_bytes) useful.push_back(layer.modes[k]);
  }
  layer.modes = std::move(useful);
}

}  // namespace detail

inline std::vector<layer_cost> measured_chain(const model_config& config, const picture_task& task,
                                              const profile_options& options) {
  const std::vector<std::size_t> first = detail::first_of_kind(config);
  std::vector<std::vector<std::uint32_t>> packs;
  std::uint32_t next = 0;
  for (const std::uint32_t count : options.samples) {
    packs.emplace_back(count);
    std::iota(packs.back().begin(), packs.back().end(), next);
    next += count;
  }
  const auto kinds = static_cast<std::size_t>(std::ranges::count_if(
      first, [&, l = std::size_t{0}](std::size_t f) mutable { return f == l++; }));
  const std::chrono::nanoseconds each =
      std::chrono::nanoseconds(options.time) / (kinds * recompute_kinds.size() * packs.size());

  std::vector<measured_layer> rows;
  for (std::size_t l = 0; l < first.size(); ++l)
    for (const recompute_kind kind : recompute_kinds)
      for (const auto& pack : packs)
        if (first[l] == l)
          rows.push_back(detail::layer_profile(config, l).measure(
              make_microbatch(task, pack, 1.0F), detail::workload_of(task, pack), kind, each));

  std::vector<own_layer> layers;
  std::vector<detail::declared_layer> declared;
  for (std::size_t l = 0; l < first.size(); ++l) {
    declared.push_back(first[l] == l ? detail::declared_by(config, l) : declared.back());
    layers.push_back({.name = std::to_string(first[l]),
                      .parameters = declared.back().parameters,
                      .output_bytes = output_cost(config, l)});
  }
  std::vector<layer_cost> chain =
      chain_from(fit_layers(rows), layers, bytes_per_parameter(options.replicas));
  const std::vector<std::string> names = layer_names(config);
  for (std::size_t l = 0; l < chain.size(); ++l) {
    chain[l].name = names[l];
    detail::keep_useful_modes(chain[l], declared[l]);
  }
  return chain;
}

}  // namespace omnibal::trainer
