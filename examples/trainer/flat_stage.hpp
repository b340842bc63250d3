// SPDX-License-Identifier: Apache-2.0
/// @file
/// The parameters of a stage as one flat buffer, as collective operations and shards want them.
/// Every layer begins at a whole block of a shard (comm/sharded_step.hpp), so that every block is
/// of one layer and in one shard, however the model is cut and over how many ranks it is sharded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/sharded_step.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::trainer {

/// A parameter of a layer, in memory of the stage.
struct parameter_view {
  std::size_t layer = 0;  ///< Its place in the chain of all layers.
  std::span<float> value = {};
  std::span<float> gradient = {};
};

/// The views of any stage's parameters that are trained, in their order: those that have gradients.
template <typename Stage>
[[nodiscard]] std::vector<parameter_view> views_of(Stage& stage) {
  std::vector<parameter_view> views;
  for (const auto& each : stage.parameters())
    if (!each.gradient.empty())
      views.push_back({.layer = each.layer, .value = each.value, .gradient = each.gradient});
  return views;
}

/// Where the layers of a stage are in its flat buffer, in elements.
struct flat_layer {
  std::size_t layer = 0;
  std::size_t begin = 0;  ///< A multiple of shard_block.
  std::size_t count = 0;
};

/// The parameters of a stage as one flat buffer. Between layers there are zeros.
class flat_stage {
 public:
  /// Throws invalid_input when layers are not in ascending order or a gradient has another size
  /// than its value.
  explicit flat_stage(std::vector<parameter_view> parameters);

  [[nodiscard]] std::size_t elements() const noexcept { return elements_; }
  [[nodiscard]] const std::vector<flat_layer>& layers() const noexcept { return layers_; }

  [[nodiscard]] std::vector<float> values() const { return flat(&parameter_view::value); }
  /// Copies the gradients and sets them to 0.
  [[nodiscard]] std::vector<float> take_gradients();
  /// Precondition: elements() numbers.
  void set_values(std::span<const float> flat);

 private:
  [[nodiscard]] std::vector<float> flat(std::span<float> parameter_view::*which) const;

  std::vector<parameter_view> parameters_;
  std::vector<std::size_t> begins_;  // per parameter
  std::vector<flat_layer> layers_;
  std::size_t elements_ = 0;
};

/// Blocks of shard_block elements, the last of which may be smaller.
[[nodiscard]] constexpr std::size_t shard_blocks(std::size_t elements) noexcept {
  return (elements + shard_block - 1) / shard_block;
}

// ---- implementation ----------------------------------------------------------------------------

inline flat_stage::flat_stage(std::vector<parameter_view> parameters)
    : parameters_(std::move(parameters)) {
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const parameter_view& each = parameters_[p];
    if (each.gradient.size() != each.value.size())
      throw invalid_input("parameters.gradient.size()", p, each.gradient.size(),
                          "must be that of the value, " + std::to_string(each.value.size()));
    if (layers_.empty() || layers_.back().layer != each.layer) {
      if (!layers_.empty() && layers_.back().layer > each.layer)
        throw invalid_input("parameters.layer", p, each.layer, "must be in ascending order");
      layers_.push_back({.layer = each.layer, .begin = shard_blocks(elements_) * shard_block});
      elements_ = layers_.back().begin;
    }
    begins_.push_back(elements_);
    elements_ += each.value.size();
    layers_.back().count += each.value.size();
  }
}

inline std::vector<float> flat_stage::flat(std::span<float> parameter_view::*which) const {
  std::vector<float> all(elements_);
  for (std::size_t p = 0; p < parameters_.size(); ++p)
    std::ranges::copy(parameters_[p].*which, all.begin() + static_cast<std::ptrdiff_t>(begins_[p]));
  return all;
}

inline std::vector<float> flat_stage::take_gradients() {
  std::vector<float> gradients = flat(&parameter_view::gradient);
  for (const parameter_view& each : parameters_) std::ranges::fill(each.gradient, 0.0F);
  return gradients;
}

inline void flat_stage::set_values(std::span<const float> flat) {
  for (std::size_t p = 0; p < parameters_.size(); ++p)
    std::ranges::copy(flat.subspan(begins_[p], parameters_[p].value.size()),
                      parameters_[p].value.begin());
}

}  // namespace omnibal::trainer
