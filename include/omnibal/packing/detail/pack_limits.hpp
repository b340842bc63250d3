// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which samples fit a pack, and a pass over samples that checks them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0::detail {

/// The options of a packer that decide which samples fit a pack. It owns the names: those of the
/// caller may be gone before a sample is refused.
template <std::size_t Resources>
struct pack_limits {
  loads<Resources> capacity;
  oversize_policy oversize;
  std::array<std::string, Resources> names;

  pack_limits(const loads<Resources>& of, oversize_policy policy,
              const resource_names<Resources>& named)
      : capacity(of), oversize(policy) {
    for (std::size_t r = 0; r < Resources; ++r) names[r] = named[r];
  }

  [[nodiscard]] std::string name(std::size_t resource) const {
    return names[resource].empty() ? "resource " + std::to_string(resource) : names[resource];
  }

  void validate() const {
    for (std::size_t r = 0; r < Resources; ++r)
      if (capacity[r] < 1)
        throw invalid_input("capacity of " + name(r), capacity[r], "must be at least 1");
  }
};

template <std::size_t Resources, typename Options>
[[nodiscard]] pack_limits<Resources> limits_of(const Options& options) {
  const pack_limits<Resources> limits{options.capacity, options.oversize, options.names};
  limits.validate();
  return limits;
}

template <std::ranges::sized_range Samples>
[[nodiscard]] std::uint32_t checked_sample_count(const Samples& samples) {
  const auto count = static_cast<std::uint64_t>(std::ranges::size(samples));
  if (count > max_samples)
    throw invalid_input("number of samples", count,
                        "must be at most " + std::to_string(max_samples));
  return static_cast<std::uint32_t>(count);
}

/// Loads known to lie between 0 and the capacities.
template <std::size_t Resources>
using fitting_loads = std::array<std::uint64_t, Resources>;

/// The loads of a sample as unsigned integers, negative ones far above any capacity.
template <std::size_t Resources, load_array Loads>
[[nodiscard]] fitting_loads<Resources> unsigned_loads(const Loads& sample) noexcept {
  fitting_loads<Resources> loads;
  for (std::size_t r = 0; r < Resources; ++r) loads[r] = static_cast<std::uint64_t>(sample[r]);
  return loads;
}

template <std::size_t Resources>
[[nodiscard]] bool fits_pack(const fitting_loads<Resources>& sample,
                             const loads<Resources>& capacity) noexcept {
  bool fits = true;
  for (std::size_t r = 0; r < Resources; ++r)
    fits &= sample[r] <= static_cast<std::uint64_t>(capacity[r]);
  return fits;
}

/// Throws for a sample with a negative load and, under oversize_policy::reject, for an oversize
/// one.
template <std::size_t Resources, load_array Loads>
void check_unfit(const Loads& sample, std::size_t id, const pack_limits<Resources>& limits) {
  for (std::size_t r = 0; r < Resources; ++r)
    if (std::cmp_less(sample[r], 0))
      throw invalid_input(limits.name(r), id, sample[r], "must not be negative");
  for (std::size_t r = 0; r < Resources; ++r)
    if (limits.oversize == oversize_policy::reject &&
        std::cmp_greater(sample[r], limits.capacity[r]))
      throw load_beyond_capacity(limits.name(r), id, sample[r], limits.capacity[r]);
}

/// The samples with ids begin … end − 1.
struct sample_slice {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

/// Calls visit(id, fitting_loads) for every sample of a slice that fits a pack, in order, and
/// returns the ids of those that do not. Throws invalid_input for a negative load and, under
/// oversize_policy::reject, for a sample that does not fit. O(n).
template <std::size_t Resources, std::ranges::random_access_range Samples, typename Projection,
          typename Visit>
std::vector<std::uint32_t> scan_samples(const Samples& samples, sample_slice slice,
                                        const pack_limits<Resources>& limits,
                                        const Projection& projection, Visit&& visit) {
  std::vector<std::uint32_t> oversize;
  auto position = std::ranges::begin(samples) + static_cast<std::ptrdiff_t>(slice.begin);
  for (std::uint32_t id = slice.begin; id < slice.end; ++id, ++position) {
    const auto& sample = std::invoke(projection, *position);
    const auto loads = unsigned_loads<Resources>(sample);
    if (fits_pack(loads, limits.capacity)) [[likely]] {
      visit(id, loads);
    } else {
      check_unfit(sample, id, limits);
      oversize.push_back(id);
    }
  }
  return oversize;
}

}  // namespace omnibal::inline v0::detail
