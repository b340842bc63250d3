// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the layers of a model cost on this machine: each kind of layer is run alone, on
/// micro-batches of the task, in each recompute kind, and the measurements are fitted
/// (cost/calibration.hpp). The planner takes the chain that comes of it.
///
///     const std::vector<layer_cost> chain = measured_chain(config, task, {.replicas = 2});
///
/// Times are measured; bytes are those that the layers declare, which the tests of the layers show
/// to be exact. Of a GPU's own attention they know no workspace: there the measured bytes count
/// where they are more.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

#include "data.hpp"
#include "item_times.hpp"
#include "model.hpp"
#include "model_stage.hpp"
#include "parameter_memory.hpp"

namespace omnibal::trainer {

struct profile_options {
  /// Samples per micro-batch: the workloads at which layers are measured.
  std::vector<std::size_t> samples = {1, 2, 3, 4, 5, 6, 7, 8};
  /// How long to measure. Everything is measured at least once, whatever it takes.
  std::chrono::milliseconds time = std::chrono::milliseconds(2000);
  /// Over which the optimizer's state is sharded.
  std::size_t replicas = 1;
};

inline constexpr std::array recompute_kinds = {recompute_kind::none, recompute_kind::selective,
                                               recompute_kind::full};

/// What the model says of its layers, whoever measured them: their kinds, whether they are trained,
/// and the bytes of their parameters with the optimizer's state sharded over this number of
/// replicas. Precondition: as many layers as the model has.
void describe_layers(std::vector<layer_cost>& chain, const model_config& config,
                     std::size_t replicas);

/// The costs of all layers, in their order, measured as if all were trained. Uses one thread.
[[nodiscard]] std::vector<layer_cost> measured_chain(model_config config, const picture_task& task,
                                                     const profile_options& options = {});

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// A micro-batch that layers are measured with.
struct profiled_batch {
  microbatch batch = {};
  workload work = {};
};

/// Samples 0 … 2 · half − 1: the half with fewer tiles, then the other, each in ascending order.
[[nodiscard]] inline std::vector<std::uint32_t> samples_by_tiles(const picture_task& task,
                                                                 std::size_t half) {
  std::vector<std::uint32_t> order(2 * half);
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return task.size_of(i)[0]; });
  std::ranges::sort(std::span(order).first(half));
  std::ranges::sort(std::span(order).last(half));
  return order;
}

/// Every other one has samples of few tiles, the others have many: so the fit can
/// separate text from pictures.
[[nodiscard]] inline std::vector<profiled_batch> profiled_batches(
    const picture_task& task, std::span<const std::size_t> samples) {
  const std::size_t all = std::accumulate(samples.begin(), samples.end(), std::size_t{0});
  const std::vector<std::uint32_t> order = samples_by_tiles(task, all);
  const std::span<const std::uint32_t> halves[] = {std::span(order).first(all),
                                                   std::span(order).last(all)};
  std::vector<profiled_batch> batches;
  std::array<std::size_t, 2> taken = {};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    profiled_batch made;
    const auto pack = halves[i % 2].subspan(taken[i % 2], samples[i]);
    taken[i % 2] += samples[i];
    for (const std::uint32_t sample : pack) {
      const auto [tiles, tokens] = task.size_of(sample);
      made.work = made.work + sample_workload(tiles, tokens);
    }
    made.batch = make_microbatch(task, pack, 1.0F);
    batches.push_back(std::move(made));
  }
  return batches;
}

/// A layer in a recompute kind, run alone: the least times and the bytes of all runs.
class layer_profile {
 public:
  layer_profile(const model_config& config, std::size_t layer, recompute_kind kind,
                std::span<const profiled_batch> batches)
      : batches_(batches),
        stage_(config, {.first_layer = layer,
                        .end_layer = layer + 1,
                        .kinds = {kind},
                        .splits_backward = kind == recompute_kind::none}) {
    for (const profiled_batch& each : batches) {
      rows_.push_back({.name = std::to_string(layer),
                       .mode = std::string(to_string(kind)),
                       .work = each.work,
                       .forward_time = most,
                       .backward_time = most,
                       .saved_bytes = 0,
                       .transient_bytes = 0});
      if (kind == recompute_kind::none) rows_.back().weight_gradient_time = most;
    }
  }

  void forward(std::size_t i) {
    stage_.begin_step(std::span(&batches_[i].batch, 1));
    input_.assign(stage_.input(0).size(), 0.5F);
    output_.resize(stage_.output(0).size());
    const double forward = timed([&] { stage_.forward(0, input_, output_); });
    rows_[i].forward_time = std::min(*rows_[i].forward_time, forward);
    rows_[i].saved_bytes = static_cast<double>(stage_.bytes_held());
  }

  void backward(std::size_t i) {
    measured_layer& row = rows_[i];
    double backward = timed([&] { stage_.backward(0, output_, input_); });
    if (row.weight_gradient_time) {
      const double weight_gradient = timed([&] { stage_.weight_gradient(0); });
      row.weight_gradient_time = std::min(*row.weight_gradient_time, weight_gradient);
      backward += weight_gradient;
    }
    row.backward_time = std::min(*row.backward_time, backward);
    row.transient_bytes = static_cast<double>(stage_.peak_bytes()) - *row.saved_bytes;
  }

  [[nodiscard]] const std::vector<measured_layer>& rows() const noexcept { return rows_; }

 private:
  static constexpr double most = std::numeric_limits<double>::max();

  template <typename Body>
  [[nodiscard]] static double timed(const Body& body) {
    const std::int64_t begin = thread_nanoseconds();
    body();
    // A clock that has not moved is no measurement.
    return static_cast<double>(std::max<std::int64_t>(1, thread_nanoseconds() - begin));
  }

  std::span<const profiled_batch> batches_;
  model_stage<float> stage_;
  std::vector<measured_layer> rows_;
  std::vector<float> input_;  // then its gradient
  std::vector<float> output_;
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

/// Parameters of a layer, and its bytes in each recompute kind.
struct declared_layer {
  std::int64_t parameters = 0;
  std::array<linear_cost, recompute_kinds.size()> saved = {};
  std::array<linear_cost, recompute_kinds.size()> transient = {};
  linear_cost waiting = {};  ///< For the weight gradient, where nothing is recomputed.
};

[[nodiscard]] inline declared_layer declared_by(const model_config& config, std::size_t layer) {
  declared_layer declared;
  for (std::size_t k = 0; k < recompute_kinds.size(); ++k) {
    model_stage<float> stage(config, {.first_layer = layer,
                                      .end_layer = layer + 1,
                                      .kinds = {recompute_kinds[k]},
                                      .splits_backward = true});
    if (recompute_kinds[k] == recompute_kind::none) declared.waiting = stage.waiting_cost();
    declared.saved[k] = stage.saved_cost();
    declared.transient[k] = stage.transient_cost();
    declared.parameters = 0;
    for (const auto& each : stage.parameters())
      declared.parameters += static_cast<std::int64_t>(each.value.size());
  }
  return declared;
}

/// Only kinds that save less than the ones before are worth a choice. `measures_workspace`: whether
/// what was measured counts where it is more than the layer declares.
inline void keep_useful_modes(layer_cost& layer, const declared_layer& declared,
                              bool measures_workspace = false) {
  std::vector<mode_cost> useful;
  for (std::size_t k = 0; k < layer.modes.size(); ++k) {
    linear_cost& transient = layer.modes[k].transient_bytes;
    transient =
        measures_workspace ? larger(transient, declared.transient[k]) : declared.transient[k];
    layer.modes[k].saved_bytes = declared.saved[k];
    if (layer.modes[k].kind == recompute_kind::none)
      layer.modes[k].saved_for_weight_gradient = declared.waiting;
    if (k == 0 || declared.saved[k] != useful.back().saved_bytes) useful.push_back(layer.modes[k]);
  }
  layer.modes = std::move(useful);
}

/// All layers forward, then all backward, as in training, where a backward does not find in the
/// cache what its forward left there. Again and again while there is time: what else the machine
/// does disturbs one round, not all.
[[nodiscard]] inline std::vector<measured_layer> measured_rows(const model_config& config,
                                                               const picture_task& task,
                                                               std::span<const std::size_t> first,
                                                               const profile_options& options) {
  const std::int64_t end = steady_nanoseconds() + std::chrono::nanoseconds(options.time).count();
  const std::vector<profiled_batch> batches = profiled_batches(task, options.samples);
  std::vector<std::unique_ptr<layer_profile>> profiles;
  for (std::size_t l = 0; l < first.size(); ++l)
    for (const recompute_kind kind : recompute_kinds)
      if (first[l] == l)
        profiles.push_back(std::make_unique<layer_profile>(config, l, kind, batches));
  do
    for (std::size_t i = 0; i < batches.size(); ++i) {
      for (const auto& each : profiles) each->forward(i);
      for (auto each = profiles.rbegin(); each != profiles.rend(); ++each) (*each)->backward(i);
    }
  while (steady_nanoseconds() < end);
  std::vector<measured_layer> rows;
  for (const auto& each : profiles)
    rows.insert(rows.end(), each->rows().begin(), each->rows().end());
  return rows;
}

}  // namespace detail

inline void describe_layers(std::vector<layer_cost>& chain, const model_config& config,
                            std::size_t replicas) {
  const std::vector<gradient_needs> needs = gradients_of(config);
  for (std::size_t l = 0; l < chain.size(); ++l) {
    chain[l].kind = kind_of(layer_at(config, l));
    chain[l].trainable = needs[l].of_weights;
    chain[l].static_bytes = weight_bytes(chain[l].parameters, config.numbers);
    if (chain[l].trainable) chain[l].static_bytes += training_bytes(chain[l].parameters, replicas);
  }
}

inline std::vector<layer_cost> measured_chain(model_config config, const picture_task& task,
                                              const profile_options& options) {
  const frozen_part frozen = std::exchange(config.frozen, frozen_part::none);
  const std::vector<std::size_t> first = detail::first_of_kind(config);
  std::vector<own_layer> layers;
  std::vector<detail::declared_layer> declared;
  for (std::size_t l = 0; l < first.size(); ++l) {
    declared.push_back(first[l] == l ? detail::declared_by(config, l) : declared.back());
    layers.push_back({.name = std::to_string(first[l]),
                      .parameters = declared.back().parameters,
                      .output_bytes = output_cost(config, l)});
  }
  std::vector<layer_cost> chain =
      chain_from(fit_layers(detail::measured_rows(config, task, first, options)), layers);
  const std::vector<std::string> names = layer_names(config);
  for (std::size_t l = 0; l < chain.size(); ++l) {
    chain[l].name = names[l];
    detail::keep_useful_modes(chain[l], declared[l], config.fused_attention);
  }
  config.frozen = frozen;
  describe_layers(chain, config, options.replicas);
  return chain;
}

}  // namespace omnibal::trainer
