// SPDX-License-Identifier: Apache-2.0
/// @file
/// Prices that prove how few packs cannot hold given samples, and the checks of such a proof,
/// which share nothing with how the prices are found (bound.hpp).
/// Sources: dual feasible functions, Lueker, "Bin packing with items uniformly distributed over
/// intervals", FOCS 1983; paying by what the rest of a pack is worth makes them maximal, Fekete
/// and Schepers, "New classes of fast lower bounds for bin packing problems", Mathematical
/// Programming 2001.
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
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0 {

/// Prices of loads. What loads are worth: their sum weighted by `rates`, and the highest total
/// price of steps that fit into them together. Loads are worth at least what any parts of them
/// are worth together. So when each sample pays what its loads are worth, a pack pays at most what
/// its capacity is worth; where that is at most `unit`, samples need ⌈Σ paid / unit⌉ packs.
///
/// Of samples that take more than half the capacity of the resource `halved`, a pack holds only
/// one. They may pay more: `unit` less what the rest of the capacity is worth.
template <std::size_t Resources>
struct pack_dual_values {
  struct step {
    loads<Resources> size = {};  ///< not all 0
    std::uint64_t price = 0;
  };
  loads<Resources> capacity = {};
  std::array<std::uint64_t, Resources> rates = {};
  std::vector<step> steps = {};
  std::uint64_t unit = 1;
  std::optional<std::size_t> halved = {};
};

/// Whether the capacity is worth at most `unit`: the half of a proof that is not about the samples.
/// Time and memory grow with the number of different sums of steps that a pack can hold.
template <std::size_t Resources>
[[nodiscard]] bool dual_values_are_valid(const pack_dual_values<Resources>& prices);

/// ⌈Σ paid / unit⌉ over the samples that fit a pack: how many packs valid prices prove them to
/// need. Precondition: dual_values_are_valid(prices). Throws invalid_input for negative loads.
template <std::size_t Resources, std::ranges::random_access_range Samples,
          typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] std::uint64_t packs_proven(const pack_dual_values<Resources>& prices,
                                         const Samples& samples, const Projection& projection = {});

namespace detail {

/// ⌈paid / unit⌉.
[[nodiscard]] constexpr std::uint64_t packs_for(wide_integer paid, std::uint64_t unit) noexcept {
  return static_cast<std::uint64_t>((paid + unit - 1) / unit);
}

/// left + right, or nothing where that exceeds the capacity.
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

/// What loads up to the capacity are worth, found by listing all sums of steps.
template <std::size_t Resources>
class load_worth {
 public:
  explicit load_worth(const pack_dual_values<Resources>& prices) : prices_(prices) {
    // Adding a step makes a sum larger, so the walk meets what it inserts.
    std::map<loads<Resources>, wide_integer> sums{{loads<Resources>{}, 0}};
    for (const auto& [held, price] : sums)
      for (const auto& step : prices.steps)
        if (const auto sum = sum_within(held, step.size, prices.capacity)) {
          wide_integer& highest = sums[*sum];
          highest = std::max(highest, price + step.price);
        }
    std::vector<priced_size> most_valuable_first(sums.begin(), sums.end());
    std::ranges::stable_sort(most_valuable_first, std::ranges::greater{}, &priced_size::second);
    for (const priced_size& sum : most_valuable_first)
      if (stepped(sum.first) < sum.second) sums_.push_back(sum);
  }

  [[nodiscard]] wide_integer operator()(const loads<Resources>& sample) const noexcept {
    wide_integer rated = 0;
    for (std::size_t r = 0; r < Resources; ++r) rated += wide_integer{sample[r]} * prices_.rates[r];
    return rated + stepped(sample);
  }

 private:
  using priced_size = std::pair<loads<Resources>, wide_integer>;

  [[nodiscard]] wide_integer stepped(const loads<Resources>& sample) const noexcept {
    const auto fits = [&](const priced_size& sum) {
      return sum_within(sum.first, {}, sample).has_value();
    };
    const auto most_expensive = std::ranges::find_if(sums_, fits);
    return most_expensive == sums_.end() ? 0 : most_expensive->second;
  }

  const pack_dual_values<Resources>& prices_;
  std::vector<priced_size> sums_;  // dearest first, none worth less than a smaller one
};

/// Whether all steps have a size, and rates alone do not make the capacity worth more than `unit`,
/// so that no sum of worth can overflow.
template <std::size_t Resources>
[[nodiscard]] bool dual_values_are_sound(const pack_dual_values<Resources>& prices) noexcept {
  for (const auto& step : prices.steps) {
    const auto [least, most] = std::ranges::minmax(step.size);
    if (least < 0 || most == 0) return false;
  }
  wide_integer left = prices.unit;
  for (std::size_t r = 0; r < Resources && left >= 0; ++r)
    left -= wide_integer{prices.capacity[r]} * prices.rates[r];
  return prices.unit > 0 && left >= 0 && prices.halved.value_or(0) < Resources;
}

/// What a sample pays.
template <std::size_t Resources>
[[nodiscard]] wide_integer paid(const pack_dual_values<Resources>& prices,
                                const load_worth<Resources>& worth,
                                const loads<Resources>& sample) noexcept {
  const auto halved = prices.halved;
  if (!halved || sample[*halved] <= prices.capacity[*halved] - sample[*halved])
    return worth(sample);
  loads<Resources> rest = prices.capacity;
  for (std::size_t r = 0; r < Resources; ++r) rest[r] -= sample[r];
  return prices.unit - worth(rest);
}

}  // namespace detail

template <std::size_t Resources>
bool dual_values_are_valid(const pack_dual_values<Resources>& prices) {
  if (!detail::dual_values_are_sound(prices)) return false;
  return detail::load_worth<Resources>(prices)(prices.capacity) <= prices.unit;
}

template <std::size_t Resources, std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> std::uint64_t packs_proven(
    const pack_dual_values<Resources>& prices, const Samples& samples,
    const Projection& projection) {
  const detail::pack_limits<Resources> limits{prices.capacity, oversize_policy::skip, {}};
  const detail::load_worth<Resources> worth(prices);
  wide_integer paid = 0;
  const detail::sample_slice all{.end = detail::checked_sample_count(samples)};
  detail::scan_samples(samples, all, limits, projection, [&](std::uint32_t, const auto& fitting) {
    loads<Resources> sample{};
    for (std::size_t r = 0; r < Resources; ++r) sample[r] = static_cast<std::int64_t>(fitting[r]);
    paid += detail::paid(prices, worth, sample);
  });
  return detail::packs_for(paid, prices.unit);
}

}  // namespace omnibal::inline v0
