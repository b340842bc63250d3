// SPDX-License-Identifier: Apache-2.0
/// @file
/// Choice of pack capacities by wasted capacity. Memory is reserved for full packs and kernels of
/// fixed shape compute full packs, so the cost of a step grows with the capacity of its packs, used
/// or not. Capacity is wasted when the capacities are out of proportion to the loads, and when the
/// loads do not add up to it: two samples of 5 tiles never fit into 9.
///
///     const auto choice = choose_capacity<2>({.samples = samples, .samples_per_pack = 4});
///     auto result = pack_balanced(samples, {.capacity = choice.best});
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0 {

/// Capacities, and the result of packing with them.
template <std::size_t Resources>
struct capacity_estimate {
  loads<Resources> capacity = {};
  double samples_per_pack = 0;
  /// The capacity of all packs divided by the load of their samples, in millionths: the mean over
  /// the resources of which any sample has load. 1,000,000 is the optimum, no wasted capacity.
  std::int64_t capacity_ratio = 0;
};

/// Samples and limits for a choice of capacities.
template <std::size_t Resources>
struct capacity_choice_problem {
  std::span<const loads<Resources>> samples = {};  ///< non-negative
  /// Upper limit of each capacity. Samples above it are left out.
  loads<Resources> most = unlimited();
  /// The wanted mean number of samples per pack; positive. Capacities for up to 1.5 times as many
  /// are considered; without this, capacities of up to four times the largest sample.
  std::optional<double> samples_per_pack = {};

  [[nodiscard]] static constexpr loads<Resources> unlimited() noexcept {
    loads<Resources> most;
    most.fill(std::numeric_limits<std::int64_t>::max());
    return most;
  }
};

/// Options of estimate_capacities and choose_capacity.
template <std::size_t Resources>
struct capacity_choice_options {
  std::uint64_t seed = 0;
  std::size_t sample_limit = 8192;  ///< Number of random samples to compare capacities with.
  any_packer<Resources> packer = packers::balanced{};  ///< Packs them.
  search_control control = {};  ///< Stopped, fewer capacities are considered.
};

/// Evaluates capacities in proportion to the mean load, each at least the largest sample: from the
/// multiple of the mean at which a first resource exceeds its largest sample (at most 16), and from
/// the largest sample of the resource with the fewest different loads upwards (at most 48), with
/// the capacities of the other resources that waste least. Where none of them has packs of
/// samples_per_pack, within a tenth, larger multiples and those between the two nearest are
/// bisected. Ascending; at least one, fewer on a stop request. Throws invalid_input for
/// samples_per_pack ≤ 0. O(samples), plus four packings of at most sample_limit samples per
/// capacity.
template <std::size_t Resources>
[[nodiscard]] std::vector<capacity_estimate<Resources>> estimate_capacities(
    const capacity_choice_problem<Resources>& problem,
    const capacity_choice_options<Resources>& options = {});

/// Capacities that were considered, and the reason for rejecting them; empty for the chosen ones.
template <std::size_t Resources>
struct considered_capacity {
  capacity_estimate<Resources> found = {};
  std::string passed_over = {};
};

/// The chosen capacities, and all that were considered, ascending.
template <std::size_t Resources>
struct capacity_choice_result {
  /// optimal: no capacity is wasted; feasible: less waste is not proven impossible.
  search_status status = search_status::feasible;
  search_limit limit = search_limit::none;
  std::int64_t objective = 0;      ///< capacity_ratio of the best.
  std::int64_t bound = 1'000'000;  ///< A capacity ratio is never less.
  loads<Resources> best = {};
  std::vector<considered_capacity<Resources>> candidates = {};
};

/// Chooses the capacities with the least wasted capacity; with samples_per_pack, among those within
/// a tenth of it, or else nearest to it: the smallest capacities that hold every sample may hold
/// more than were asked for. It needs no model; given one, search_capacity() compares
/// planned times instead. Errors and complexity of estimate_capacities().
template <std::size_t Resources>
[[nodiscard]] capacity_choice_result<Resources> choose_capacity(
    const capacity_choice_problem<Resources>& problem,
    const capacity_choice_options<Resources>& options = {});

namespace detail {

/// `limit` random samples, or all when there are fewer.
template <std::size_t Resources>
[[nodiscard]] std::vector<loads<Resources>> sample_part(std::span<const loads<Resources>> samples,
                                                        std::size_t limit, std::uint64_t seed) {
  std::vector<loads<Resources>> part;
  if (samples.size() <= limit) {
    part.assign(samples.begin(), samples.end());
    return part;
  }
  random_stream random(seed, 7);
  // Selection sampling: takes each sample with probability (still to take) / (still to come).
  for (std::size_t k = 0; k < samples.size() && part.size() < limit; ++k) {
    const auto rest = static_cast<std::uint32_t>(samples.size() - k);
    if (uniform_below(random, rest) < limit - part.size()) part.push_back(samples[k]);
  }
  return part;
}

/// The relative distance from the wanted number of samples per pack; 0 within a tenth.
[[nodiscard]] inline double missed(double samples_per_pack, const std::optional<double>& wanted) {
  if (!wanted) return 0;
  const double off = std::abs(samples_per_pack / *wanted - 1);
  return off <= 0.1 ? 0 : off;
}

/// Evaluates capacities one after the other.
template <std::size_t Resources>
class capacity_estimator {
 public:
  capacity_estimator(const capacity_choice_problem<Resources>& problem,
                     const capacity_choice_options<Resources>& options)
      : problem_(problem),
        options_(options),
        part_(sample_part(problem.samples, options.sample_limit, options.seed)) {
    largest_.fill(1);
    for (const loads<Resources>& sample : problem.samples)
      for (std::size_t r = 0; r < Resources; ++r) {
        largest_[r] = std::max(largest_[r], sample[r]);
        volume_[r] += sample[r];
      }
    // Only the proportions matter, and a volume times a multiple must fit 128 bits.
    while (*std::ranges::max_element(volume_) >= wide_integer{1} << 44)
      for (wide_integer& volume : volume_) volume = (volume + 1) / 2;
    for (const loads<Resources>& sample : part_)
      for (std::size_t r = 0; r < Resources; ++r) part_volume_[r] += sample[r];
    lead_ = leading_resource();
    grain_ = largest_[lead_] < std::int64_t{1} << 40 ? 1 << 16 : 1;
  }

  [[nodiscard]] std::vector<capacity_estimate<Resources>> estimates() const {
    const search_control& control = options_.control;
    // By the leading resource's part of the multiple of the mean load.
    std::map<wide_integer, capacity_estimate<Resources>> found;
    const std::vector<wide_integer> leads = leading_loads();
    for (std::size_t k = 0; k < leads.size(); ++k) {
      if (control.stop_requested() && k > 0) break;
      control.report_progress("capacity", k, leads.size());
      const capacity_estimate<Resources>& one = found[leads[k]] = least_waste(leads[k]);
      if (holds_all(one) && part_.size() == problem_.samples.size()) break;
    }
    if (problem_.samples_per_pack) {
      enlarge(found);
      bisect(found);
    }
    std::vector<capacity_estimate<Resources>> estimates;
    for (auto& [lead, one] : found)
      if (estimates.empty() || estimates.back().capacity != one.capacity) estimates.push_back(one);
    return estimates;
  }

 private:
  // Additions to the capacities of the other resources above their proportion of the loads, in
  // 32nds.
  static constexpr std::array<std::int64_t, 4> slacks = {0, 1, 3, 8};
  static constexpr std::int64_t most_leads = 48;
  static constexpr int most_halved = 16;

  [[nodiscard]] std::size_t leading_resource() const {
    std::size_t lead = 0;
    std::size_t fewest = std::numeric_limits<std::size_t>::max();
    for (std::size_t r = 0; r < Resources; ++r) {
      std::set<std::int64_t> different;
      for (const loads<Resources>& sample : part_) different.insert(sample[r]);
      if (part_volume_[r] == 0 || different.size() >= fewest) continue;
      fewest = different.size();
      lead = r;
    }
    return lead;
  }

  // The upper limit of the leading load, with the others in proportion.
  [[nodiscard]] std::int64_t most_lead() const {
    wide_integer most = problem_.most[lead_];
    for (std::size_t r = 0; r < Resources; ++r)
      if (volume_[r] > 0)
        most = std::min(most, wide_integer{problem_.most[r]} * volume_[lead_] / volume_[r]);
    return static_cast<std::int64_t>(most);
  }

  // The largest leading load to consider, in parts of a unit: for 1.5 times the wanted samples.
  [[nodiscard]] wide_integer last_wanted() const {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const wide_integer limit = wide_integer{most_lead()} * grain_;
    if (!problem_.samples_per_pack)
      return std::min(limit,
                      std::min<wide_integer>(most, 4 * wide_integer{largest_[lead_]}) * grain_);
    const double mean = static_cast<double>(part_volume_[lead_]) /
                        static_cast<double>(std::max<std::size_t>(part_.size(), 1));
    const double wanted = 1.5 * *problem_.samples_per_pack * mean * static_cast<double>(grain_);
    return wanted < static_cast<double>(limit) ? static_cast<wide_integer>(wanted) : limit;
  }

  [[nodiscard]] std::int64_t first_lead() const {
    return std::min(largest_[lead_], problem_.most[lead_]);
  }

  // The leading load, in parts of a unit, above which a first resource exceeds its largest sample.
  [[nodiscard]] wide_integer first_filled() const {
    wide_integer first = wide_integer{first_lead()} * grain_;
    for (std::size_t r = 0; r < Resources; ++r)
      if (volume_[r] > 0)
        first = std::min(first, wide_integer{std::min(largest_[r], problem_.most[r])} *
                                    volume_[lead_] * grain_ / volume_[r]);
    return first;
  }

  // The leading loads to try, in parts of a unit.
  [[nodiscard]] std::vector<wide_integer> leading_loads() const {
    constexpr std::int64_t most_before = 16;
    const std::int64_t first = first_lead();
    const wide_integer wanted = last_wanted();
    const std::int64_t last = std::max(first, static_cast<std::int64_t>(wanted / grain_));
    const std::int64_t count = std::min(last - first, most_leads - 1) + 1;
    std::vector<wide_integer> leads;
    const wide_integer filled = first_filled();
    const wide_integer before = std::min(first * grain_, std::max(wanted, filled));
    if (filled < first * grain_) leads.push_back(filled);
    for (std::int64_t k = 1; k < most_before && filled < before; ++k)
      leads.push_back(filled + (before - filled) * k / most_before);
    for (std::int64_t k = 0; k < count; ++k)
      leads.push_back(
          (first + wide_integer{last - first} * k / std::max<std::int64_t>(count - 1, 1)) * grain_);
    return leads;
  }

  [[nodiscard]] bool holds_all(const capacity_estimate<Resources>& one) const {
    return one.samples_per_pack >= static_cast<double>(part_.size());
  }

  [[nodiscard]] bool is_too_small(const capacity_estimate<Resources>& one) const {
    return one.samples_per_pack < 0.9 * *problem_.samples_per_pack;
  }

  // Doubles the capacities until packs have the wanted number of samples.
  void enlarge(std::map<wide_integer, capacity_estimate<Resources>>& found) const {
    const wide_integer most = wide_integer{most_lead()} * grain_;
    while (!options_.control.stop_requested()) {
      const auto& [lead, one] = *found.rbegin();
      if (!is_too_small(one) || holds_all(one) || lead >= most) return;
      const wide_integer next = std::min(most, 2 * lead + 1);
      found[next] = least_waste(next);
    }
  }

  // Halves the distance between capacities that are too small and too large.
  void bisect(std::map<wide_integer, capacity_estimate<Resources>>& found) const {
    const auto large =
        std::ranges::find_if(found, [&](const auto& one) { return !is_too_small(one.second); });
    if (large == found.begin() || large == found.end()) return;
    wide_integer low = std::prev(large)->first;
    wide_integer high = large->first;
    for (int halved = 0; halved < most_halved && high - low > 1; ++halved) {
      if (found[high].samples_per_pack <= 1.1 * *problem_.samples_per_pack ||
          options_.control.stop_requested())
        return;
      const wide_integer middle = low + (high - low) / 2;
      found[middle] = least_waste(middle);
      (is_too_small(found[middle]) ? low : high) = middle;
    }
  }

  [[nodiscard]] capacity_estimate<Resources> least_waste(wide_integer lead) const {
    capacity_estimate<Resources> best;
    for (const std::int64_t slack : slacks) {
      const loads<Resources> capacity = capacities(lead, slack);
      if (capacity == best.capacity) continue;
      const capacity_estimate<Resources> found = measure(capacity);
      const auto rank = [&](const capacity_estimate<Resources>& one) {
        return std::pair(missed(one.samples_per_pack, problem_.samples_per_pack),
                         one.capacity_ratio);
      };
      if (best.capacity_ratio == 0 || rank(found) < rank(best)) best = found;
    }
    return best;
  }

  // The others in proportion to the leading one, rounded up to multiples of 128 when they are at
  // least 16 times that. All at least the largest sample.
  [[nodiscard]] loads<Resources> capacities(wide_integer lead, std::int64_t slack) const {
    constexpr wide_integer grain = 128;
    loads<Resources> capacity;
    for (std::size_t r = 0; r < Resources; ++r) {
      wide_integer wanted = lead / grain_;
      if (r != lead_) {
        wanted = volume_[lead_] == 0 ? 0 : lead * volume_[r] / volume_[lead_] / grain_;
        wanted += (wanted * slack + 31) / 32;
        if (wanted >= 16 * grain) wanted = (wanted + grain - 1) / grain * grain;
      }
      wanted = std::max<wide_integer>(wanted, largest_[r]);
      capacity[r] = static_cast<std::int64_t>(std::min<wide_integer>(wanted, problem_.most[r]));
    }
    return capacity;
  }

  [[nodiscard]] capacity_estimate<Resources> measure(const loads<Resources>& capacity) const {
    const packing_result packing = options_.packer.pack(
        part_, {.capacity = capacity, .oversize = oversize_policy::skip, .threads = 1});
    const std::size_t packs = std::max<std::size_t>(packing.packs.size(), 1);
    capacity_estimate<Resources> found{
        .capacity = capacity,
        .samples_per_pack =
            static_cast<double>(packing.packs.indices().size()) / static_cast<double>(packs)};
    wide_integer ratios = 0;
    wide_integer resources = 0;
    for (std::size_t r = 0; r < Resources; ++r) {
      if (part_volume_[r] == 0) continue;
      ratios += wide_integer{capacity[r]} * packs * 1'000'000 / part_volume_[r];
      ++resources;
    }
    constexpr wide_integer most = std::numeric_limits<std::int64_t>::max();
    found.capacity_ratio = static_cast<std::int64_t>(
        std::clamp<wide_integer>(ratios / std::max<wide_integer>(resources, 1), 1, most));
    return found;
  }

  const capacity_choice_problem<Resources>& problem_;
  const capacity_choice_options<Resources>& options_;
  std::vector<loads<Resources>> part_;
  loads<Resources> largest_ = {};
  std::array<wide_integer, Resources> volume_ = {};
  std::array<wide_integer, Resources> part_volume_ = {};
  std::size_t lead_ = 0;
  wide_integer grain_ = 1;  // Parts of a unit of the leading resource.
};

/// A number with three decimals.
[[nodiscard]] inline std::string thousandths(double value) {
  const std::string text = std::to_string(value + 0.0005);
  return text.substr(0, text.find('.') + 4);
}
[[nodiscard]] inline std::string factor_text(double factor) { return thousandths(factor) + " x"; }
[[nodiscard]] inline std::string capacity_text(std::int64_t millionths) {
  return factor_text(static_cast<double>(millionths) / 1e6);
}

}  // namespace detail

template <std::size_t Resources>
std::vector<capacity_estimate<Resources>> estimate_capacities(
    const capacity_choice_problem<Resources>& problem,
    const capacity_choice_options<Resources>& options) {
  if (problem.samples_per_pack && !(*problem.samples_per_pack > 0))
    throw invalid_input("samples_per_pack", std::to_string(*problem.samples_per_pack),
                        "must be more than 0");
  return detail::capacity_estimator<Resources>(problem, options).estimates();
}

template <std::size_t Resources>
capacity_choice_result<Resources> choose_capacity(
    const capacity_choice_problem<Resources>& problem,
    const capacity_choice_options<Resources>& options) {
  const auto estimates = estimate_capacities(problem, options);
  const auto miss = [&](const capacity_estimate<Resources>& one) {
    return detail::missed(one.samples_per_pack, problem.samples_per_pack);
  };
  const auto best = std::ranges::min_element(estimates, [&](const auto& left, const auto& right) {
    return std::pair(miss(left), left.capacity_ratio) <
           std::pair(miss(right), right.capacity_ratio);
  });
  capacity_choice_result<Resources> choice{.objective = best->capacity_ratio,
                                           .best = best->capacity};
  if (choice.objective == choice.bound)
    choice.status = search_status::optimal;
  else if (options.control.stop_requested())
    choice.status = search_status::stopped;
  choice.limit = limit_of(choice.status, options.control);
  for (auto one = estimates.begin(); one != estimates.end(); ++one) {
    std::string reason;
    if (one != best && miss(*one) > miss(*best))
      reason = "its packs hold " + detail::thousandths(one->samples_per_pack) +
               " samples on average, further from the number asked for than the chosen capacities";
    else if (one != best)
      reason = "its packs have " + detail::capacity_text(one->capacity_ratio) +
               " the capacity that their samples fill, the chosen ones " +
               detail::capacity_text(best->capacity_ratio);
    choice.candidates.push_back({.found = *one, .passed_over = std::move(reason)});
  }
  return choice;
}

}  // namespace omnibal::inline v0

#if defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/capacity_choice_instances.ipp>
#endif
