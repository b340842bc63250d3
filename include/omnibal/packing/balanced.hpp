// SPDX-License-Identifier: Apache-2.0
/// @file
/// The packer to use: few packs, of even cost, as random as training needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/progress.hpp>
#include <omnibal/packing/capacity.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/result.hpp>
#include <optional>
#include <ranges>

namespace omnibal::inline v0 {

/// Options of pack_balanced.
template <std::size_t Resources>
struct balanced_options {
  /// The most a pack may hold of each resource; at least 1.
  loads<Resources> capacity;
  /// What one unit of each resource costs, in any unit; packs are made even in this cost. By
  /// default every resource weighs the same when full.
  std::optional<loads<Resources>> cost = {};
  /// The same seed and epoch give the same packs; each epoch packs afresh.
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;
  oversize_policy oversize = oversize_policy::reject;
  resource_names<Resources> names = {};
  run_control control = {};
};

/// Packs samples into few packs of even cost, in random order. Throws invalid_input for broken
/// options, negative loads and, under oversize_policy::reject, oversize samples.
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] packing_result pack_balanced(
    const Samples& samples,
    const balanced_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const Projection& projection = {});

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> packing_result pack_balanced(
    const Samples& samples,
    const balanced_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const Projection& projection) {
  // First version: the interface stands, the packer proper comes.
  return pack_isf(samples,
                  {.capacity = options.capacity,
                   .iterations = 20,
                   .seed = options.seed + options.epoch,
                   .oversize = options.oversize,
                   .names = options.names,
                   .control = options.control},
                  projection);
}

}  // namespace omnibal::inline v0
