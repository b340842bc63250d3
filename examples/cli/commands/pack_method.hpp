// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs a list of samples by the method that the options name.
#pragma once

#include <cstdint>
#include <vector>

#include <omnibal/core/search_control.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/streaming.hpp>

#include "commands/pack_options.hpp"
#include "commands/packed_tables.hpp"
#include "options/units.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// Packs samples as a stream, in the order of the tables.
template <std::size_t Resources>
packing_result stream_samples(const sample_list<Resources>& samples,
                              const streaming_options<Resources>& options) {
  streaming_packer<Resources> packer(options);
  packing_result result;
  const auto take_packs = [&] {
    while (const auto pack = packer.pop()) {
      for (const std::uint64_t id : *pack) result.packs.push_back(static_cast<std::uint32_t>(id));
      result.packs.close_group();
    }
  };
  for (std::size_t id = 0; id < samples.size(); ++id) {
    packer.push(id, samples[id]);
    take_packs();
  }
  packer.flush();
  take_packs();
  for (const std::uint64_t id : packer.oversize())
    result.oversize.push_back(static_cast<std::uint32_t>(id));
  result.objective = result.packs.size();
  result.bound = bound_packs(samples, bound_options<Resources>{.capacity = options.capacity,
                                                               .oversize = options.oversize,
                                                               .names = options.names})
                     .packs;
  if (result.bound < result.objective) result.status = search_status::feasible;
  return result;
}

template <std::size_t Resources>
packing_result pack_by_method(const sample_list<Resources>& samples, const length_tables& tables,
                              const loads<Resources>& capacity, const pack_options& options,
                              const search_control& control) {
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const auto names = names_of<Resources>(tables);
  if (options.method == packing_method::balanced)
    return pack_balanced(samples, {.capacity = capacity,
                                   .seed = seed,
                                   .epoch = static_cast<std::uint64_t>(options.epoch),
                                   .oversize = options.oversize,
                                   .names = names,
                                   .control = control});
  if (options.method == packing_method::streaming) {
    streaming_options<Resources> streaming{
        .capacity = capacity, .oversize = options.oversize, .names = names};
    if (options.buffer) streaming.buffer = static_cast<std::uint32_t>(*options.buffer);
    if (options.age_limit) streaming.age_limit = static_cast<std::uint64_t>(*options.age_limit);
    if (options.good_enough)
      streaming.good_enough = static_cast<std::uint32_t>(*options.good_enough);
    return stream_samples(samples, streaming);
  }
  isf_options<Resources> isf{.capacity = capacity,
                             .seed = seed,
                             .stream = options.stream.value_or(isf_stream::native),
                             .oversize = options.oversize,
                             .names = names,
                             .control = control};
  if (options.iterations) isf.iterations = static_cast<std::uint32_t>(*options.iterations);
  if (!options.threshold.empty())
    isf.threshold = to_loads<Resources>(
        parse_amounts("--threshold", options.threshold, tables.resources, {.least = 1}));
  return pack_isf(samples, isf);
}

}  // namespace omnibal::cli
