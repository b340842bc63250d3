// SPDX-License-Identifier: Apache-2.0
/// @file
/// Balanced sequence packing, the packer to use by default: few packs of nearly equal cost, filled
/// in random order. It needs the loads of all samples; streaming.hpp packs samples as they arrive.
///
///     const std::vector<loads<2>> samples = ...;  // image tiles, text tokens
///     const auto result = pack_balanced(samples, {.capacity = {9, 4096}, .seed = 1, .epoch = 0});
///     for (std::size_t k = 0; k < result.packs.size(); ++k) train(result.packs[k]);
///
/// A linear program over classes of similar samples finds patterns (how many samples of each class
/// to combine) that need the fewest packs and have nearly equal cost. Packs are filled by these
/// patterns with samples in random order, except the last two samples of each pack, which are
/// chosen to bring its cost near the mean. docs/packing.md explains the method.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/parallel.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/packing/detail/best_fit.hpp>
#include <omnibal/packing/detail/clustered_samples.hpp>
#include <omnibal/packing/detail/finish_packing.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_cost.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pack_list.hpp>
#include <omnibal/packing/detail/pattern_packer.hpp>
#include <omnibal/packing/detail/sort_by_key.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0 {

/// Packs samples into few packs of nearly equal cost, in random order. A stop request skips the
/// second attempt by best fit. Throws invalid_input for invalid options, negative loads and, under
/// oversize_policy::reject, oversize samples. O(n) time, plus a linear program whose size does not
/// depend on n; about 20 bytes per sample besides the result.
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] packing_result pack_balanced(
    const Samples& samples,
    const packing_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const Projection& projection = {});

namespace packers {

/// pack_balanced() as a packer.
struct balanced {
  static constexpr std::string_view name = "balanced";

  template <std::size_t Resources>
  [[nodiscard]] packing_result pack(std::span<const loads<Resources>> samples,
                                    const packing_options<Resources>& options) const;
};

}  // namespace packers

namespace detail {

/// The number of threads to pack this many samples with: one when starting more would take longer
/// than it saves.
[[nodiscard]] inline unsigned threads_worth(std::uint64_t samples, unsigned wanted) noexcept {
  constexpr std::uint64_t few = 1U << 18;
  return samples < few ? 1 : thread_count(wanted);
}

/// Packs one table by patterns, or by best fit when that is better.
template <typename Sums>
class balanced_packer {
 public:
  static constexpr std::size_t resources = Sums::resources;

  balanced_packer(classified_samples<Sums>& samples, const Sums& sums,
                  const packing_options<resources>& options, const pack_limits<resources>& limits,
                  unsigned threads)
      : samples_(samples),
        estimates_(samples.estimates),
        sums_(sums),
        limits_(limits),
        control_(options.control),
        threads_(threads),
        cost_(limits, options.cost),
        random_(stream_for(options.seed, random_purpose::balanced_epoch, options.epoch)) {}

  [[nodiscard]] packing_result pack();

 private:
  // Returns the number of leading packs that are mixed already (packed_by_patterns).
  [[nodiscard]] std::size_t pack_by_patterns(pack_list<Sums>& packs) {
    pattern_packer<Sums> packer(sums_, estimates_.plane, cost_, samples_.classes, random_,
                                threads_);
    packed_by_patterns<Sums> packed = packer.pack(packs);
    sort_descending(packed.left);
    pack_best_fit<Sums>(packed.left, sums_, estimates_.plane, packs);
    spread_zero_loads(packs);
    return packed.mixed;
  }

  // Best-fit decreasing. Samples of equal size stay in the random order from pack_by_patterns().
  [[nodiscard]] pack_list<Sums> pack_by_size() {
    std::vector<packable<typename Sums::word>> all = samples_.samples;
    sort_descending(all);
    pack_list<Sums> packs(sums_);
    pack_best_fit<Sums>(all, sums_, estimates_.plane, packs);
    spread_zero_loads(packs);
    return packs;
  }

  // By descending size: the sum of loads as shares of their capacities.
  void sort_descending(std::vector<packable<typename Sums::word>>& samples) const {
    const pack_cost<resources> size(limits_, {});
    sort_by_key(samples, [&](const auto& sample) { return ~size.share(sums_, sample.load); });
  }

  static constexpr std::size_t hardly_differ = 100;

  // Whether the gap to the bound justifies another attempt: a smaller gap does for small tables and
  // for one resource, where an attempt takes little time.
  [[nodiscard]] bool worth_another(std::uint64_t packs, std::uint64_t bound) const noexcept {
    constexpr std::uint64_t few = 1U << 16;
    const bool fast = resources == 1 || estimates_.fitting <= few;
    return packs - bound > packs / (fast ? 1000 : 64);
  }

  // Fewer packs are better. With two resources patterns also balance costs, and packs of unequal
  // cost make other ranks wait; so numbers of packs that hardly differ are compared together with
  // the balance: a deviation of x times the mean cost counts as much as x packs.
  [[nodiscard]] bool is_better(const pack_list<Sums>& one, const pack_list<Sums>& other) const {
    const std::size_t fewer = std::min(one.size(), other.size());
    const std::size_t difference = std::max(one.size(), other.size()) - fewer;
    if (resources != 2 || difference > fewer / hardly_differ) return one.size() < other.size();
    return packs_and_deviation(one) < packs_and_deviation(other);
  }
  [[nodiscard]] wide_integer packs_and_deviation(const pack_list<Sums>& packs) const {
    wide_integer whole = 0;
    for (std::size_t k = 0; k < packs.size(); ++k) whole += cost_of(packs[k]);
    const wide_integer mean = std::max<wide_integer>(whole / packs.size(), 1);
    wide_integer deviation = 0;
    for (std::size_t k = 0; k < packs.size(); ++k) {
      const wide_integer difference = cost_of(packs[k]) - mean;
      deviation += difference < 0 ? -difference : difference;
    }
    return (wide_integer{packs.size()} << 16) + (deviation << 16) / mean;
  }
  [[nodiscard]] std::int64_t cost_of(const typename Sums::word& sums) const noexcept {
    std::int64_t cost = 0;
    for (std::size_t r = 0; r < resources; ++r)
      cost += cost_(r, sums_.slack(sums_.empty(), r) - sums_.slack(sums, r));
    return cost;
  }

  // Zero-load samples fit anywhere.
  void spread_zero_loads(pack_list<Sums>& packs) const {
    std::size_t turn = 0;
    for (const std::uint32_t id : samples_.zero_load)
      packs.add(turn++ % std::max<std::size_t>(packs.size(), 1), {.id = id, .load = {}});
  }

  classified_samples<Sums>& samples_;
  const load_estimates<resources>& estimates_;
  const Sums& sums_;
  const pack_limits<resources>& limits_;
  const search_control& control_;
  unsigned threads_;
  pack_cost<resources> cost_;
  random_stream random_;
};

template <typename Sums>
packing_result balanced_packer<Sums>::pack() {
  packing_result result;
  pack_list<Sums> packs(sums_);
  std::size_t mixed = pack_by_patterns(packs);
  const std::uint64_t bound = bound_from_estimates(estimates_, limits_.capacity, packs.size());
  control_.report_progress("pack", 1, 2);
  if (worth_another(packs.size(), bound)) {
    if (control_.stop_requested()) {
      result.status = search_status::stopped;
      result.limit = search_limit::stop;
    } else if (pack_list<Sums> other = pack_by_size(); is_better(other, packs)) {
      packs = std::move(other);
      mixed = 0;
    }
  }
  std::exchange(samples_.samples, {});
  result.packs = packs.shuffled(mixed, random_, threads_);
  finish_packing(result, estimates_.oversize, limits_.oversize, bound);
  control_.report_progress("pack", 2, 2);
  return result;
}

}  // namespace detail

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> packing_result pack_balanced(
    const Samples& samples,
    const packing_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const Projection& projection) {
  constexpr std::size_t resources = resource_count<projected_loads<const Samples, Projection>>;
  const auto limits = detail::limits_of<resources>(options);
  return detail::with_sums<resources>(
      {.capacity = options.capacity, .threshold = options.capacity}, [&](const auto& sums) {
        using sums_type = std::remove_cvref_t<decltype(sums)>;
        const unsigned threads = detail::threads_worth(std::ranges::size(samples), options.threads);
        auto classified = detail::classify_samples(samples, sums, limits, projection, threads);
        return detail::balanced_packer<sums_type>(classified, sums, options, limits, threads)
            .pack();
      });
}

template <std::size_t Resources>
packing_result packers::balanced::pack(std::span<const loads<Resources>> samples,
                                       const packing_options<Resources>& options) const {
  return pack_balanced(samples, options);
}

}  // namespace omnibal::inline v0

#if defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/balanced_instances.ipp>
#endif
