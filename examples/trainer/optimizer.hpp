// SPDX-License-Identifier: Apache-2.0
/// @file
/// AdamW with clipping, sharded over data-parallel ranks (comm/sharded_step.hpp says how and why):
/// each rank sums the gradients of its shard, steps it and keeps its state; parameters are gathered
/// afterwards. The engine calls reduce(), clip(), step() and gather() where the plan has them.
///
/// Neither the cut of the model into stages nor the number of replicas changes a bit of a step,
/// given the same sums of gradients: in the flat buffer of a stage every layer begins at a whole
/// block, so every block is of one layer and of one shard, and the norm is the sum over the blocks
/// of all layers in their order.
///
/// Sources: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019; Pascanu et al.,
/// "On the difficulty of training recurrent neural networks", 2013 (clipping by the norm).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/sharded_step.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>

#include "flat_stage.hpp"

namespace omnibal::trainer {

// ---- options -----------------------------------------------------------------------------------

/// The learning rate of each update: it rises from 0 in a line, then falls along half a cosine to
/// `least_share` of the peak.
struct learning_rate_schedule {
  double peak = 2e-3;
  std::uint64_t warm_up = 30;   ///< Updates.
  std::uint64_t updates = 300;  ///< In all, the warm-up included.
  double least_share = 0.1;

  /// Of update 1, 2, …
  [[nodiscard]] double rate(std::uint64_t update) const {
    const double warm = std::min(1.0, static_cast<double>(update) / static_cast<double>(warm_up));
    const double share = std::min(1.0, static_cast<double>(update) / static_cast<double>(updates));
    const double cosine = 0.5 + 0.5 * std::cos(std::numbers::pi * share);
    return peak * warm * (least_share + (1 - least_share) * cosine);
  }
};

struct adamw_options {
  learning_rate_schedule schedule = {};
  double first_decay = 0.9;    ///< β₁
  double second_decay = 0.99;  ///< β₂
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double largest_norm = 1;  ///< Of all gradients together; longer ones are scaled down to it.
};

/// Throws invalid_input naming the option that is out of range.
void validate(const adamw_options& options);

// ---- the optimizer -----------------------------------------------------------------------------

/// The state of a layer, whichever ranks have its shards: what a checkpoint holds.
struct layer_state {
  std::size_t layer = 0;
  std::vector<float> values = {};
  std::vector<float> first_moments = {};
  std::vector<float> second_moments = {};

  friend bool operator==(const layer_state&, const layer_state&) = default;
};

/// The optimizer of one rank; models stage_update. The channels outlive it.
template <tensor_channel Channel>
class sharded_adamw {
 public:
  static_assert(Channel::space == memory_space::host, "states are in host memory");

  /// `stages` has the parameters of all stages by number, none for those of other ranks; `layers`
  /// is the number of layers of the model. `replicas` is the channel of the ranks that have the
  /// same stages. Called by all ranks; blocks. Throws invalid_input for options out of range.
  sharded_adamw(Channel& world, Channel& replicas, std::vector<std::vector<parameter_view>> stages,
                std::size_t layers, const adamw_options& options);

  void reduce(std::uint32_t stage);
  /// Scales the gradients of all ranks down to the largest norm. Throws invalid_input on every rank
  /// if the norm is not finite.
  void clip();
  void step(std::uint32_t stage);
  void gather(std::uint32_t stage);
  void abort(std::string_view reason) noexcept { replicas_->abort(reason); }

  /// Updates so far.
  [[nodiscard]] std::uint64_t updates() const noexcept { return updates_; }
  /// Of the gradients of the last update, before clipping.
  [[nodiscard]] double norm() const noexcept { return norm_; }
  /// Of states and summed gradients.
  [[nodiscard]] std::int64_t bytes_held() const noexcept;

  /// The states of the stage's layers, in their order. Called by all replicas; blocks.
  [[nodiscard]] std::vector<layer_state> states(std::uint32_t stage);
  /// Goes on from there. Throws invalid_input when a layer has another number of parameters.
  void restore(std::uint32_t stage, std::span<const layer_state> states);
  void restore_updates(std::uint64_t updates) noexcept { updates_ = updates; }

 private:
  /// A stage and what this rank has of it.
  struct part {
    flat_stage flat;
    shard own = {};
    std::vector<float> gradients = {};  // all of these: of the own shard
    std::vector<float> values = {};
    std::vector<float> first_moments = {};
    std::vector<float> second_moments = {};
    bool reduced = false;
  };

  [[nodiscard]] std::vector<std::size_t> shard_counts(const part& of) const;
  [[nodiscard]] std::vector<float> gathered(const part& of, std::span<const float> own);
  void collect(part& of);
  void find_blocks(std::size_t layers);
  [[nodiscard]] double norm_over_ranks();
  void update(part& of, double rate);

  Channel* world_;
  Channel* replicas_;
  adamw_options options_;
  std::vector<part> parts_;                // by number of the stage
  std::vector<std::size_t> first_blocks_;  // by layer, among the blocks of all layers
  std::uint64_t updates_ = 0;
  double norm_ = 0;
};

// ---- implementation ----------------------------------------------------------------------------

inline void validate(const adamw_options& options) {
  const auto require = [](const char* field, double value, bool holds, const char* advice) {
    if (!holds) throw invalid_input(field, std::to_string(value), advice);
  };
  const learning_rate_schedule& schedule = options.schedule;
  require("schedule.peak", schedule.peak, schedule.peak > 0 && std::isfinite(schedule.peak),
          "must be positive");
  require("schedule.least_share", schedule.least_share,
          schedule.least_share >= 0 && schedule.least_share <= 1, "must be from 0 to 1");
  if (schedule.warm_up == 0) throw invalid_input("schedule.warm_up", 0, "must be at least 1");
  if (schedule.updates == 0) throw invalid_input("schedule.updates", 0, "must be at least 1");
  const auto require_decay = [&](const char* field, double value) {
    require(field, value, value >= 0 && value < 1, "must be at least 0 and below 1");
  };
  require_decay("first_decay", options.first_decay);
  require_decay("second_decay", options.second_decay);
  require("epsilon", options.epsilon, options.epsilon > 0, "must be positive");
  require("weight_decay", options.weight_decay, options.weight_decay >= 0, "must not be negative");
  require("largest_norm", options.largest_norm, options.largest_norm > 0, "must be positive");
}

template <tensor_channel Channel>
sharded_adamw<Channel>::sharded_adamw(Channel& world, Channel& replicas,
                                      std::vector<std::vector<parameter_view>> stages,
                                      std::size_t layers, const adamw_options& options)
    : world_(&world), replicas_(&replicas), options_(options) {
  validate(options);
  for (auto& parameters : stages) {
    part made{.flat = flat_stage(std::move(parameters))};
    made.own = shard_of(made.flat.elements(), replicas.size(), replicas.rank());
    made.first_moments.resize(made.own.count);
    made.second_moments.resize(made.own.count);
    parts_.push_back(std::move(made));
  }
  find_blocks(layers);
}

/// Numbers the blocks of all layers: ranks send each other the sizes of theirs.
template <tensor_channel Channel>
void sharded_adamw<Channel>::find_blocks(std::size_t layers) {
  std::vector<std::int64_t> blocks(layers, 0);
  for (const part& each : parts_)
    for (const flat_layer& one : each.flat.layers())
      blocks.at(one.layer) = static_cast<std::int64_t>(shard_blocks(one.count));
  world_->all_reduce(view_of(blocks), reduction::largest).wait();
  first_blocks_ = {0};
  for (const std::int64_t count : blocks)
    first_blocks_.push_back(first_blocks_.back() + static_cast<std::size_t>(count));
}

template <tensor_channel Channel>
std::vector<std::size_t> sharded_adamw<Channel>::shard_counts(const part& of) const {
  std::vector<std::size_t> counts;
  for (std::size_t r = 0; r < replicas_->size(); ++r)
    counts.push_back(shard_of(of.flat.elements(), replicas_->size(), r).count);
  return counts;
}

/// The own shard of the gradients summed over the replicas.
template <tensor_channel Channel>
void sharded_adamw<Channel>::collect(part& of) {
  const std::vector<float> gradients = of.flat.take_gradients();
  of.gradients.resize(of.own.count);
  replicas_
      ->reduce_scatter(view_of(gradients), view_of(of.gradients), shard_counts(of), reduction::sum)
      .wait();
  of.reduced = true;
}

template <tensor_channel Channel>
void sharded_adamw<Channel>::reduce(std::uint32_t stage) {
  collect(parts_[stage]);
}

/// The squares of every block come from one rank alone, and all ranks add them in one order.
template <tensor_channel Channel>
double sharded_adamw<Channel>::norm_over_ranks() {
  std::vector<double> squares(first_blocks_.back());
  for (const part& each : parts_)
    for (const flat_layer& layer : each.flat.layers())
      for (std::size_t i = 0; i < layer.count; ++i) {
        const std::size_t place = layer.begin + i - each.own.first;
        if (layer.begin + i < each.own.first || place >= each.own.count) continue;
        squares[first_blocks_[layer.layer] + i / shard_block] +=
            double{each.gradients[place]} * each.gradients[place];
      }
  world_->all_reduce(view_of(squares), reduction::sum).wait();
  double sum = 0;
  for (const double each : squares) sum += each;
  return std::sqrt(sum);
}

template <tensor_channel Channel>
void sharded_adamw<Channel>::clip() {
  // A plan of one replica has no reductions.
  for (part& each : parts_)
    if (!std::exchange(each.reduced, true)) collect(each);
  norm_ = norm_over_ranks();
  if (!std::isfinite(norm_))
    throw invalid_input("norm of the gradients", std::to_string(norm_), "must be finite");
  ++updates_;
  if (norm_ <= options_.largest_norm) return;
  const auto factor = static_cast<float>(options_.largest_norm / norm_);
  for (part& each : parts_)
    for (float& gradient : each.gradients) gradient *= factor;
}

template <tensor_channel Channel>
void sharded_adamw<Channel>::update(part& of, double rate) {
  const auto count = static_cast<double>(updates_);
  const auto first = static_cast<float>(options_.first_decay);
  const auto second = static_cast<float>(options_.second_decay);
  const auto step = static_cast<float>(rate / (1 - std::pow(options_.first_decay, count)));
  const auto second_scale = static_cast<float>(1 / (1 - std::pow(options_.second_decay, count)));
  const auto kept = static_cast<float>(1 - rate * options_.weight_decay);
  const auto epsilon = static_cast<float>(options_.epsilon);
  for (std::size_t i = 0; i < of.own.count; ++i) {
    const float gradient = of.gradients[i];
    float& mean = of.first_moments[i];
    float& square = of.second_moments[i];
    mean = first * mean + (1 - first) * gradient;
    square = second * square + (1 - second) * gradient * gradient;
    of.values[i] = kept * of.values[i] - step * mean / (std::sqrt(square * second_scale) + epsilon);
  }
}

template <tensor_channel Channel>
void sharded_adamw<Channel>::step(std::uint32_t stage) {
  part& of = parts_[stage];
  const std::vector<float> all = of.flat.values();
  const auto own = std::span(all).subspan(of.own.first, of.own.count);
  of.values.assign(own.begin(), own.end());
  update(of, options_.schedule.rate(updates_));
  of.reduced = false;
  // A plan of one replica has no gathers.
  if (replicas_->size() == 1) of.flat.set_values(of.values);
}

template <tensor_channel Channel>
std::vector<float> sharded_adamw<Channel>::gathered(const part& of, std::span<const float> own) {
  std::vector<float> all(of.flat.elements());
  replicas_->all_gather(view_of(own), view_of(all), shard_counts(of)).wait();
  return all;
}

template <tensor_channel Channel>
void sharded_adamw<Channel>::gather(std::uint32_t stage) {
  part& of = parts_[stage];
  of.flat.set_values(gathered(of, of.values));
}

template <tensor_channel Channel>
std::int64_t sharded_adamw<Channel>::bytes_held() const noexcept {
  std::size_t floats = 0;
  for (const part& each : parts_)
    floats += each.gradients.size() + each.values.size() + each.first_moments.size() +
              each.second_moments.size();
  return static_cast<std::int64_t>(floats * sizeof(float));
}

template <tensor_channel Channel>
std::vector<layer_state> sharded_adamw<Channel>::states(std::uint32_t stage) {
  const part& of = parts_[stage];
  const std::vector<float> values = of.flat.values();
  const std::vector<float> first = gathered(of, of.first_moments);
  const std::vector<float> second = gathered(of, of.second_moments);
  std::vector<layer_state> states;
  for (const flat_layer& layer : of.flat.layers()) {
    const auto cut = [&](const std::vector<float>& all) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(layer.begin);
      return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(layer.count));
    };
    states.push_back({.layer = layer.layer,
                      .values = cut(values),
                      .first_moments = cut(first),
                      .second_moments = cut(second)});
  }
  return states;
}

template <tensor_channel Channel>
void sharded_adamw<Channel>::restore(std::uint32_t stage, std::span<const layer_state> states) {
  part& of = parts_[stage];
  const std::vector<flat_layer>& layers = of.flat.layers();
  if (states.size() != layers.size())
    throw invalid_input("states", states.size(),
                        "must be one per layer, " + std::to_string(layers.size()));
  const auto joined = [&](std::vector<float> layer_state::*which) {
    std::vector<float> all(of.flat.elements());
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const std::vector<float>& from = states[l].*which;
      if (states[l].layer != layers[l].layer)
        throw invalid_input("states.layer", l, states[l].layer,
                            "must be layer " + std::to_string(layers[l].layer));
      if (from.size() != layers[l].count)
        throw invalid_input("states of layer " + std::to_string(layers[l].layer), from.size(),
                            "must have " + std::to_string(layers[l].count) + " parameters");
      std::ranges::copy(from, all.begin() + static_cast<std::ptrdiff_t>(layers[l].begin));
    }
    return all;
  };
  const auto own = [&](const std::vector<float>& all) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(of.own.first);
    return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(of.own.count));
  };
  const std::vector<float> values = joined(&layer_state::values);
  of.first_moments = own(joined(&layer_state::first_moments));
  of.second_moments = own(joined(&layer_state::second_moments));
  of.flat.set_values(values);
}

}  // namespace omnibal::trainer
