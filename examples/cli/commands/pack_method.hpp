// SPDX-License-Identifier: Apache-2.0
/// @file
/// The packer that the options describe.
#pragma once

#include <cstddef>
#include <cstdint>

#include <omnibal/packing/packers.hpp>

#include "commands/pack_options.hpp"
#include "options/units.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// Sampling and filtering as the options say, but for its thresholds.
inline packers::isf isf_for(const pack_options& options) {
  packers::isf isf{.stream = options.stream.value_or(isf_stream::native)};
  if (options.iterations) isf.iterations = static_cast<std::uint32_t>(*options.iterations);
  return isf;
}

inline packers::streaming streaming_for(const pack_options& options) {
  packers::streaming streaming;
  if (options.buffer) streaming.buffer = static_cast<std::uint32_t>(*options.buffer);
  if (options.age_limit) streaming.age_limit = static_cast<std::uint64_t>(*options.age_limit);
  if (options.good_enough) streaming.good_enough = static_cast<std::uint32_t>(*options.good_enough);
  return streaming;
}

/// The packer for any capacity: thresholds are of one.
template <std::size_t Resources>
any_packer<Resources> packer_for(const pack_options& options) {
  if (options.method == packers::isf::name) return isf_for(options);
  if (options.method == packers::streaming::name) return streaming_for(options);
  return packer_named<Resources>(options.method).value();
}

/// The packer for the capacity that was given or found.
template <std::size_t Resources>
any_packer<Resources> packer_for(const pack_options& options, const length_tables& tables) {
  if (options.threshold.empty()) return packer_for<Resources>(options);
  packers::isf isf = isf_for(options);
  isf.threshold = parse_amounts("--threshold", options.threshold, tables.resources, {.least = 1});
  return isf;
}

}  // namespace omnibal::cli
