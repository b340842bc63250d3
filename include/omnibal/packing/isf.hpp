// SPDX-License-Identifier: Apache-2.0
/// @file
/// Iterated sampling and filtering (ISF), the packer of the OmniBal paper: shuffle, cut into
/// packs greedily, keep the full ones, and repeat with the samples of the others. Provided as the
/// baseline and to reproduce the paper's packs byte for byte; otherwise use pack_balanced.
/// Source: "OmniBal: Towards Fast Instruction-Tuning for Vision-Language Models via Omniverse
/// Computation Balance", arXiv 2407.20761, section 3 and algorithm 1.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/packing/detail/finish_packing.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/numpy_shuffle.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0 {

/// The source of random numbers for the shuffles of pack_isf.
enum class isf_stream {
  native,     ///< core/random.hpp: one stream per pass.
  published,  ///< NumPy's legacy generator, as in the paper's published implementation.
};

namespace packers {

/// pack_isf() as a packer, with the options that only it has.
struct isf {
  static constexpr std::string_view name = "isf";

  /// Number of passes, at least 1. The last keeps all its packs.
  std::uint32_t iterations = 50;
  /// The published stream takes seeds up to 2³² − 1 (seed + iterations − 2 included) and has no
  /// epochs.
  isf_stream stream = isf_stream::native;
  /// One for each resource: a pack is full when any resource reaches its own (published stream:
  /// when the first resource equals its own or any other reaches its own). 1 … capacity; empty: the
  /// capacities.
  std::vector<std::int64_t> threshold = {};

  template <std::size_t Resources>
  [[nodiscard]] packing_result pack(std::span<const loads<Resources>> samples,
                                    const packing_options<Resources>& options) const;
};

}  // namespace packers

/// Packs samples by iterated sampling and filtering; packs are in the order in which passes
/// accepted them. Throws invalid_input for invalid options, negative loads and, under
/// oversize_policy::reject, oversize samples. A stop request makes the current pass the last.
/// O(iterations · n) time; 12 bytes per sample including the packs, when all capacities together
/// fit in 32 bits.
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] packing_result pack_isf(
    const Samples& samples,
    const packing_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const packers::isf& method = {}, const Projection& projection = {});

namespace detail {

inline void validate_passes(const packers::isf& method, std::uint64_t seed, std::uint64_t epoch) {
  if (method.iterations == 0) throw invalid_input("iterations", 0, "must be at least 1");
  if (method.stream == isf_stream::native) return;
  const std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  const std::uint64_t added = method.iterations < 2 ? 0 : method.iterations - 2;
  if (seed > most - added)
    throw invalid_input("seed", seed,
                        "must be at most " + std::to_string(most - added) +
                            " for the published stream and this many iterations");
  if (epoch > 0)
    throw invalid_input("epoch", epoch,
                        "must be 0 for the published stream, which has no epochs; give another "
                        "seed instead");
}

/// The thresholds given, or else the capacities.
template <std::size_t Resources>
[[nodiscard]] loads<Resources> thresholds_of(const packers::isf& method,
                                             const pack_limits<Resources>& limits) {
  loads<Resources> threshold = limits.capacity;
  if (method.threshold.empty()) return threshold;
  if (method.threshold.size() != Resources)
    throw invalid_input("number of thresholds", method.threshold.size(),
                        "must be one for each resource, " + std::to_string(Resources));
  for (std::size_t r = 0; r < Resources; ++r) {
    threshold[r] = method.threshold[r];
    if (threshold[r] < 1 || threshold[r] > limits.capacity[r])
      throw invalid_input("threshold of " + limits.name(r), threshold[r],
                          "must be from 1 to the capacity, " + std::to_string(limits.capacity[r]));
  }
  return threshold;
}

/// The seed of an epoch's passes.
[[nodiscard]] inline std::uint64_t seed_of_epoch(std::uint64_t seed, std::uint64_t epoch) {
  if (epoch == 0) return seed;
  random_stream random = stream_for(seed, random_purpose::isf_epoch, epoch);
  return draw_seed(random);
}

/// Shuffles the items of a pass, counted from 1.
template <typename Item>
void shuffle_for_pass(std::span<Item> items, std::uint32_t pass, isf_stream stream,
                      std::uint64_t seed) {
  if (stream == isf_stream::published) {
    numpy_stream(static_cast<std::uint32_t>(seed + (pass == 1 ? 0 : pass - 2))).shuffle(items);
  } else {
    random_stream random = stream_for(seed, random_purpose::isf_pass, pass);
    shuffle_randomly(items, random);
  }
}

/// Cuts items into consecutive packs, each as long as its items fit. Moves the full packs, or with
/// `keep_all` every pack, to `packs` and the items of the others to the front; returns the number
/// of these items.
template <typename Sums>
std::size_t cut_packs(std::span<packable<typename Sums::word>> items, const Sums& sums,
                      bool keep_all, grouping<std::uint32_t>& packs) {
  std::size_t open = 0;  // where the open pack begins; before it are the items to pack again
  std::size_t end = 0;   // where it ends
  auto sum = sums.empty();
  const auto close = [&] {
    if (keep_all || sums.full(sum)) {
      for (std::size_t k = open; k < end; ++k) packs.push_back(items[k].id);
      packs.close_group();
      end = open;
    }
    open = end;
  };
  for (const auto item : items) {
    auto next = sums.add(sum, item.load);
    if (sums.exceeds(next)) {
      close();
      next = sums.add(sums.empty(), item.load);
    }
    sum = next;
    items[end++] = item;
  }
  if (open < end) close();
  return open;
}

/// Removes the items with these ids (ascending).
template <typename Item>
void remove_ids(std::vector<Item>& items, const std::vector<std::uint32_t>& ids) {
  if (ids.empty()) return;
  std::erase_if(
      items, [&](const Item& item) { return std::binary_search(ids.begin(), ids.end(), item.id); });
}

template <typename Sums, typename Samples, std::size_t Resources, typename Projection>
[[nodiscard]] packing_result run_isf(const Samples& samples, const Sums& sums,
                                     const packing_options<Resources>& options,
                                     const packers::isf& method,
                                     const pack_limits<Resources>& limits,
                                     const Projection& projection) {
  packing_result result;
  std::vector<packable<typename Sums::word>> items(checked_sample_count(samples));
  for (std::uint32_t id = 0; id < items.size(); ++id) items[id].id = id;
  const auto estimates = estimate_loads(samples, limits, projection, 1,
                                        [&](std::uint32_t id, const auto& sample, std::uint16_t) {
                                          items[id].load = sums.pack(sample);
                                        });
  result.packs.reserve(0, items.size());
  const std::uint64_t seed = seed_of_epoch(options.seed, options.epoch);
  for (std::uint32_t pass = 1; !items.empty(); ++pass) {
    shuffle_for_pass(std::span(items), pass, method.stream, seed);
    // The published implementation shuffles all samples first, including oversize ones.
    if (pass == 1) remove_ids(items, estimates.oversize);
    const bool stop = pass < method.iterations && options.control.stop_requested();
    const bool last = stop || pass == method.iterations;
    items.resize(cut_packs(std::span(items), sums, last, result.packs));
    if (stop) {
      result.status = search_status::stopped;
      result.limit = search_limit::stop;
    }
    options.control.report_progress("pack", pass, method.iterations);
  }
  finish_packing(result, estimates.oversize, limits.oversize,
                 bound_from_estimates(estimates, limits.capacity, result.packs.size()));
  return result;
}

}  // namespace detail

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> packing_result
pack_isf(const Samples& samples,
         const packing_options<resource_count<projected_loads<const Samples, Projection>>>& options,
         const packers::isf& method, const Projection& projection) {
  constexpr std::size_t resources = resource_count<projected_loads<const Samples, Projection>>;
  const auto limits = detail::limits_of<resources>(options);
  detail::validate_passes(method, options.seed, options.epoch);
  const detail::sum_limits<resources> sum_limits{
      .capacity = options.capacity,
      .threshold = detail::thresholds_of(method, limits),
      .first_exact = method.stream == isf_stream::published};
  return detail::with_sums(sum_limits, [&](const auto& sums) {
    return detail::run_isf(samples, sums, options, method, limits, projection);
  });
}

template <std::size_t Resources>
packing_result packers::isf::pack(std::span<const loads<Resources>> samples,
                                  const packing_options<Resources>& options) const {
  return pack_isf(samples, options, *this);
}

}  // namespace omnibal::inline v0

#if defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/isf_instances.ipp>
#endif
