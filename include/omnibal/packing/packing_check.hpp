// SPDX-License-Identifier: Apache-2.0
/// @file
/// Checks packs that anybody made, such as those of another program, and reports how far they
/// are from the fewest.
///
///     const auto result = omnibal::check_packing<2>(packs, samples, {.capacity = {48, 4096}});
///     std::cout << result.objective << " packs; " << result.bound << " are needed";
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0 {

/// What the packs must satisfy.
template <std::size_t Resources>
struct packing_check_options {
  /// The most a pack of several samples may hold of each resource; at least 1.
  loads<Resources> capacity;
  /// How often each sample must be in packs, as in an epoch that repeats some; once if empty.
  std::span<const std::uint32_t> times = {};
  resource_names<Resources> names = {};
};

/// Checks packs of samples: each sample that fits the capacity is in them as often as it must, a
/// sample beyond the capacity at most as often, no pack is empty, and a pack beyond the capacity
/// holds one sample only. Returns the packs with the samples beyond the capacity and a proven lower
/// bound on the number of packs: one for each sample beyond the capacity that is in them, and the
/// bound for all others. Throws invalid_input naming the first sample or pack that is not so, and
/// as pack_loads and bound_packs do. O(n) and the bound.
template <std::size_t Resources, std::ranges::random_access_range Samples,
          typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] packing_result check_packing(const grouping<std::uint32_t>& packs,
                                           const Samples& samples,
                                           const packing_check_options<Resources>& options,
                                           const Projection& projection = {});

namespace detail {

template <std::size_t Resources>
class packing_checker {
 public:
  packing_checker(const grouping<std::uint32_t>& packs, std::vector<loads<Resources>> samples,
                  const packing_check_options<Resources>& options)
      : packs_(packs), samples_(std::move(samples)), options_(options) {}

  [[nodiscard]] packing_result check() const {
    packing_result result{.packs = packs_, .oversize = check_samples()};
    check_packs();
    const std::vector<loads<Resources>> fitting = fitting_samples();
    const std::size_t own_packs = packs_.indices().size() - fitting.size();
    result.objective = packs_.size();
    result.bound =
        own_packs + bound_packs(fitting, bound_options<Resources>{.capacity = options_.capacity,
                                                                  .names = options_.names})
                        .packs;
    result.status =
        result.bound == result.objective ? search_status::optimal : search_status::feasible;
    return result;
  }

 private:
  [[nodiscard]] std::uint32_t wanted(std::size_t id) const {
    return options_.times.empty() ? 1 : options_.times[id];
  }

  [[nodiscard]] bool fits(const loads<Resources>& load) const {
    for (std::size_t r = 0; r < Resources; ++r)
      if (load[r] > options_.capacity[r]) return false;
    return true;
  }

  /// Checks how often each sample is in packs; returns those beyond the capacity, ascending.
  [[nodiscard]] std::vector<std::uint32_t> check_samples() const {
    if (!options_.times.empty() && options_.times.size() != samples_.size())
      throw invalid_input("times", options_.times.size(),
                          "must have one entry per sample, " + std::to_string(samples_.size()));
    std::vector<std::uint32_t> times(samples_.size());
    for (const std::uint32_t id : packs_.indices()) ++times[id];
    std::vector<std::uint32_t> oversize;
    for (std::uint32_t id = 0; id < samples_.size(); ++id) {
      const bool is_oversize = !fits(samples_[id]);
      if (times[id] > wanted(id) || (times[id] < wanted(id) && !is_oversize))
        throw invalid_input("samples", id, "in packs " + times_text(times[id]),
                            "must be in packs " + times_text(wanted(id)));
      if (is_oversize && wanted(id) > 0) oversize.push_back(id);
    }
    return oversize;
  }

  [[nodiscard]] static std::string times_text(std::uint32_t times) {
    return times == 1 ? "once" : std::to_string(times) + " times";
  }

  void check_packs() const {
    const auto sums = pack_loads(packs_, samples_);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      if (packs_[k].empty()) throw invalid_input("packs", k, "empty", "must hold a sample");
      if (packs_[k].size() == 1) continue;
      for (std::size_t r = 0; r < Resources; ++r)
        if (sums[k][r] > options_.capacity[r])
          throw invalid_input("packs", k, std::to_string(sums[k][r]) + " " + name(r),
                              "must be within the capacity, " +
                                  std::to_string(options_.capacity[r]) +
                                  ", unless it holds a single sample");
    }
  }

  [[nodiscard]] std::string name(std::size_t resource) const {
    const std::string_view given = options_.names[resource];
    return given.empty() ? "of resource " + std::to_string(resource) : std::string(given);
  }

  [[nodiscard]] std::vector<loads<Resources>> fitting_samples() const {
    std::vector<loads<Resources>> fitting;
    for (const std::uint32_t id : packs_.indices())
      if (fits(samples_[id])) fitting.push_back(samples_[id]);
    return fitting;
  }

  const grouping<std::uint32_t>& packs_;
  std::vector<loads<Resources>> samples_;
  const packing_check_options<Resources>& options_;
};

}  // namespace detail

template <std::size_t Resources, std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> packing_result
check_packing(const grouping<std::uint32_t>& packs, const Samples& samples,
              const packing_check_options<Resources>& options, const Projection& projection) {
  std::vector<loads<Resources>> checked;
  checked.reserve(std::ranges::size(samples));
  for (const auto& one : samples) {
    const auto& sample = std::invoke(projection, one);
    loads<Resources> load;
    for (std::size_t r = 0; r < Resources; ++r)
      load[r] = detail::checked_load(sample[r], checked.size());
    checked.push_back(load);
  }
  for (const std::uint32_t id : packs.indices())
    if (id >= checked.size()) throw invalid_input("packs", id, "names a sample beyond the last");
  return detail::packing_checker<Resources>(packs, std::move(checked), options).check();
}

}  // namespace omnibal::inline v0
