// SPDX-License-Identifier: Apache-2.0
/// @file
/// The optimizer step sharded over data-parallel ranks: each rank reduces, updates and keeps the
/// optimizer state of its shard alone, and the parameters are gathered afterwards. It moves as many
/// bytes as an all_reduce and divides work and state by the number of ranks. Sources: Xu et al.,
/// "Automatic cross-replica sharding of weight update in data-parallel training", 2020; stage 1 of
/// Rajbhandari et al., "ZeRO", 2020.
///
///     const shard own = shard_of(parameters.size(), channel.size(), channel.rank());
///     adam optimizer(own.count);  // state of the shard
///     const auto update = [&](auto values, auto gradients) { optimizer.step(values, gradients); };
///     sharded_step(channel, parameters, gradients,
///                  {.scale = 1 / tokens, .largest_norm = 1.0}, update);
///
/// With sums in rank order, as host channels have them, the result has the same bits as that of an
/// all_reduce and the same optimizer on all elements, and the norm those of any number of ranks.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// Elements [first, first + count) of a flat buffer.
struct shard {
  std::size_t first = 0;
  std::size_t count = 0;

  friend bool operator==(const shard&, const shard&) = default;
};

/// Elements per block. Shards begin at whole blocks, and a norm is a sum over blocks, so that
/// neither alignment nor bits depend on the number of ranks.
inline constexpr std::size_t shard_block = 1024;

/// The shard of a rank: an equal number of blocks, one more for the first ranks where they do not
/// divide evenly. Throws invalid_input unless rank < ranks. O(1).
[[nodiscard]] shard shard_of(std::size_t elements, std::size_t ranks, std::size_t rank);

/// A part of an old shard that belongs to a new one: `count` elements from `offset` within the
/// shard of rank `old_rank`.
struct shard_piece {
  std::size_t old_rank = 0;
  std::size_t offset = 0;
  std::size_t count = 0;

  friend bool operator==(const shard_piece&, const shard_piece&) = default;
};

/// The parts of the shards of `old_ranks` ranks that make, one after the other, the shard of a rank
/// among `ranks`: to resume with the optimizer state of another number of ranks. O(old_ranks).
[[nodiscard]] std::vector<shard_piece> recut_shard(std::size_t elements, std::size_t old_ranks,
                                                   std::size_t ranks, std::size_t rank);

struct sharded_step_options {
  /// Every summed gradient is multiplied by it, for example 1 / number of tokens on all ranks.
  double scale = 1;
  /// Gradients are scaled down to this Euclidean norm over all parameters where theirs is larger.
  std::optional<double> largest_norm = {};
};

namespace detail {

/// Σ x² of each block of a shard.
[[nodiscard]] std::vector<double> block_squares(std::span<const float> values);

/// The Euclidean norm over all shards: the sums of all blocks are gathered and added in their
/// order.
template <tensor_channel Channel>
[[nodiscard]] double norm_over_ranks(Channel& channel, std::size_t elements,
                                     std::span<const float> own) {
  std::vector<std::size_t> counts;
  std::size_t blocks = 0;
  for (std::size_t r = 0; r < channel.size(); ++r) {
    const std::size_t count = shard_of(elements, channel.size(), r).count;
    counts.push_back(count / shard_block + (count % shard_block != 0 ? 1 : 0));
    blocks += counts.back();
  }
  const std::vector<double> squares = block_squares(own);
  std::vector<double> all(blocks);
  channel.all_gather(view_of(squares), view_of(all), counts, {}).wait();
  double sum = 0;
  for (const double each : all) sum += each;
  return std::sqrt(sum);
}

}  // namespace detail

/// Reduces the gradients, updates the own shard by update(parameters of the shard, gradients of the
/// shard) and gathers the parameters. Returns the norm of the scaled gradients before clipping,
/// where `largest_norm` is given; where it is not finite, throws invalid_input on every rank before
/// any parameter changes. Gradients of all ranks are inputs and stay as they are. Called by all
/// ranks; blocks.
template <tensor_channel Channel, std::invocable<std::span<float>, std::span<const float>> Update>
requires(Channel::space == memory_space::host) std::optional<double> sharded_step(
    Channel& channel, std::span<float> parameters, std::span<const float> gradients,
    const sharded_step_options& options, const Update& update) {
  if (gradients.size() != parameters.size())
    throw invalid_input("gradients.size()", gradients.size(),
                        "must be that of the parameters, " + std::to_string(parameters.size()));
  if (options.largest_norm && !(*options.largest_norm > 0))
    throw invalid_input("largest_norm", std::to_string(*options.largest_norm), "must be positive");
  std::vector<std::size_t> counts;
  for (std::size_t r = 0; r < channel.size(); ++r)
    counts.push_back(shard_of(parameters.size(), channel.size(), r).count);
  const shard own = shard_of(parameters.size(), channel.size(), channel.rank());

  std::vector<float> reduced(own.count);
  channel.reduce_scatter(view_of(gradients), view_of(reduced), counts, reduction::sum, {}).wait();
  for (float& gradient : reduced) gradient = static_cast<float>(gradient * options.scale);

  std::optional<double> norm;
  if (options.largest_norm) {
    norm = detail::norm_over_ranks(channel, parameters.size(), reduced);
    if (!std::isfinite(*norm))
      throw invalid_input("norm of the gradients", std::to_string(*norm), "must be finite");
    if (*norm > *options.largest_norm)
      for (float& gradient : reduced)
        gradient = static_cast<float>(gradient * (*options.largest_norm / *norm));
  }
  const std::span<float> owned = parameters.subspan(own.first, own.count);
  update(owned, std::span<const float>(reduced));
  channel.all_gather(view_of(owned), view_of(parameters), counts, {}).wait();
  return norm;
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/sharded_step.ipp>
#endif
