// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baseline: the partition that most trainers of vision-language models start with. The vision
/// tower, the projector and the embedding are on the first stage, the head is on the last, and
/// every stage, the first included, has an equal number of language layers.
///
/// Shares differ by at most one layer; the first stages have the larger ones, as `uniform`
/// partitioning in DeepSpeed has.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/layer_kind.hpp>

namespace omnibal::inline v0 {

/// The cuts for a chain of layers of these kinds. Layers of kind language and custom are shared by
/// number; every other layer is on the stage of the one before it, or on the first. Empty if there
/// are fewer shared layers than parts. Throws invalid_input if `parts` is 0. O(n).
[[nodiscard]] std::vector<std::size_t> partition_vision_first(std::span<const layer_kind> kinds,
                                                              std::size_t parts);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/vision_first_partition.ipp>
#endif
