// SPDX-License-Identifier: Apache-2.0
/// @file
/// Dual values that prove a lower bound on the number of packs, and the check of such a proof. The
/// check shares no code with the search for the values (bound.hpp).
///
///     const auto bound = bound_packs(samples, {.capacity = capacity});
///     assert(dual_values_are_valid(bound.dual_values));
///     assert(packs_proven(bound.dual_values, samples) >= bound.packs);
///
/// Sources: dual feasible functions, Lueker, "Bin packing with items uniformly distributed over
/// intervals", FOCS 1983; maximal ones by valuing the complement of a large item, Fekete and
/// Schepers, "New classes of fast lower bounds for bin packing problems", Mathematical Programming
/// 2001.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0 {

/// Dual values of the packing problem: a function v from loads to values. v(x) is the sum of x
/// weighted by `rates`, plus the highest total value of steps, each any number of times, whose
/// sizes together are at most x. v is superadditive: v(x + y) ≥ v(x) + v(y). So the values of the
/// samples in a pack sum up to at most v(capacity), and where that is at most `unit`, the samples
/// need at least ⌈Σ v(sample) / unit⌉ packs.
///
/// A pack can contain only one sample of more than half the capacity of the resource `halved`. So
/// the value of such a sample x may be raised to unit − v(capacity − x).
template <std::size_t Resources>
struct pack_dual_values {
  /// A value that loads have when they are at least `size`.
  struct step {
    loads<Resources> size = {};  ///< non-negative, not all 0
    std::uint64_t value = 0;
  };
  loads<Resources> capacity = {};                   ///< of a pack
  std::array<std::uint64_t, Resources> rates = {};  ///< value per unit of load of each resource
  std::vector<step> steps = {};
  std::uint64_t unit = 1;                  ///< upper limit of the value of a pack, at least 1
  std::optional<std::size_t> halved = {};  ///< a resource; see above
};

/// Whether v(capacity) ≤ unit: the half of a proof that does not depend on the samples. Time and
/// memory grow with the number of different sums of steps within the capacity.
template <std::size_t Resources>
[[nodiscard]] bool dual_values_are_valid(const pack_dual_values<Resources>& dual);

/// ⌈Σ v(sample) / unit⌉ over the samples that fit a pack: the proven lower bound on the number of
/// their packs. Precondition: dual_values_are_valid(dual). Throws invalid_input for negative loads.
template <std::size_t Resources, std::ranges::random_access_range Samples,
          typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] std::uint64_t packs_proven(const pack_dual_values<Resources>& dual,
                                         const Samples& samples, const Projection& projection = {});

namespace detail {

/// ⌈value / unit⌉.
[[nodiscard]] constexpr std::uint64_t packs_for(wide_integer value, std::uint64_t unit) noexcept {
  return static_cast<std::uint64_t>((value + unit - 1) / unit);
}

/// left + right, or std::nullopt when that exceeds the capacity.
template <std::size_t Resources>
[[nodiscard]] std::optional<loads<Resources>> sum_within(
    const loads<Resources>& left, const loads<Resources>& right,
    const loads<Resources>& capacity) noexcept {
  loads<Resources> sum{};
  for (std::size_t r = 0; r < Resources; ++r) {
    if (right[r] > capacity[r] - left[r]) return std::nullopt;
    sum[r] = left[r] + right[r];
  }
  return sum;
}

/// The function v of pack_dual_values for loads up to the capacity, found by enumerating all sums
/// of steps.
template <std::size_t Resources>
class load_value {
 public:
  explicit load_value(const pack_dual_values<Resources>& dual) : dual_(dual) {
    // Sizes of steps are positive, so the iteration also visits every sum that it inserts.
    std::map<loads<Resources>, wide_integer> sums{{loads<Resources>{}, 0}};
    for (const auto& [size, value] : sums)
      for (const auto& step : dual.steps)
        if (const auto sum = sum_within(size, step.size, dual.capacity)) {
          wide_integer& highest = sums[*sum];
          highest = std::max(highest, value + step.value);
        }
    std::vector<valued_size> most_valuable_first(sums.begin(), sums.end());
    std::ranges::stable_sort(most_valuable_first, std::ranges::greater{}, &valued_size::second);
    for (const valued_size& sum : most_valuable_first)
      if (stepped(sum.first) < sum.second) sums_.push_back(sum);
  }

  [[nodiscard]] wide_integer operator()(const loads<Resources>& sample) const noexcept {
    wide_integer rated = 0;
    for (std::size_t r = 0; r < Resources; ++r) rated += wide_integer{sample[r]} * dual_.rates[r];
    return rated + stepped(sample);
  }

 private:
  using valued_size = std::pair<loads<Resources>, wide_integer>;

  [[nodiscard]] wide_integer stepped(const loads<Resources>& sample) const noexcept {
    const auto fits = [&](const valued_size& sum) {
      return sum_within(sum.first, {}, sample).has_value();
    };
    const auto most_valuable = std::ranges::find_if(sums_, fits);
    return most_valuable == sums_.end() ? 0 : most_valuable->second;
  }

  const pack_dual_values<Resources>& dual_;
  std::vector<valued_size>
      sums_;  // most valuable first, without those that a smaller one dominates
};

/// Whether all steps have a valid size and the rates alone give the capacity a value of at most
/// `unit`, so that no sum of values can overflow.
template <std::size_t Resources>
[[nodiscard]] bool dual_values_are_sound(const pack_dual_values<Resources>& dual) noexcept {
  for (const auto& step : dual.steps) {
    const auto [least, most] = std::ranges::minmax(step.size);
    if (least < 0 || most == 0) return false;
  }
  wide_integer left = dual.unit;
  for (std::size_t r = 0; r < Resources && left >= 0; ++r)
    left -= wide_integer{dual.capacity[r]} * dual.rates[r];
  return dual.unit > 0 && left >= 0 && dual.halved.value_or(0) < Resources;
}

/// The value of a sample, raised as `halved` allows.
template <std::size_t Resources>
[[nodiscard]] wide_integer sample_value(const pack_dual_values<Resources>& dual,
                                        const load_value<Resources>& value,
                                        const loads<Resources>& sample) noexcept {
  const auto halved = dual.halved;
  if (!halved || sample[*halved] <= dual.capacity[*halved] - sample[*halved]) return value(sample);
  loads<Resources> rest = dual.capacity;
  for (std::size_t r = 0; r < Resources; ++r) rest[r] -= sample[r];
  return dual.unit - value(rest);
}

}  // namespace detail

template <std::size_t Resources>
bool dual_values_are_valid(const pack_dual_values<Resources>& dual) {
  if (!detail::dual_values_are_sound(dual)) return false;
  return detail::load_value<Resources>(dual)(dual.capacity) <= dual.unit;
}

template <std::size_t Resources, std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> std::uint64_t packs_proven(
    const pack_dual_values<Resources>& dual, const Samples& samples, const Projection& projection) {
  const detail::pack_limits<Resources> limits{dual.capacity, oversize_policy::skip, {}};
  const detail::load_value<Resources> value(dual);
  wide_integer total = 0;
  const detail::sample_slice all{.end = detail::checked_sample_count(samples)};
  detail::scan_samples(samples, all, limits, projection, [&](std::uint32_t, const auto& fitting) {
    loads<Resources> sample{};
    for (std::size_t r = 0; r < Resources; ++r) sample[r] = static_cast<std::int64_t>(fitting[r]);
    total += detail::sample_value(dual, value, sample);
  });
  return detail::packs_for(total, dual.unit);
}

}  // namespace omnibal::inline v0
