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
#include <limits>
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
#include <omnibal/packing/balanced.hpp>

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
  std::uint64_t seed = 0;
  std::size_t sample_limit = 8192;  ///< Number of random samples to compare capacities with.

  [[nodiscard]] static constexpr loads<Resources> unlimited() noexcept {
    loads<Resources> most;
    most.fill(std::numeric_limits<std::int64_t>::max());
    return most;
  }
};

/// Evaluates at most 48 capacities of the resource with the fewest different loads, from its
/// largest sample upwards, each with the capacities of the other resources that waste least.
/// Ascending; at least one, fewer on a stop request. Throws invalid_input for samples_per_pack ≤ 0.
/// O(samples), plus four packings of at most sample_limit samples per capacity.
template <std::size_t Resources>
[[nodiscard]] std::vector<capacity_estimate<Resources>> estimate_capacities(
    const capacity_choice_problem<Resources>& problem, const search_control& control = {});

/// Capacities that were considered, and the reason for rejecting them; empty for the chosen ones.
template <std::size_t Resources>
struct considered_capacity {
  capacity_estimate<Resources> found = {};
  std::string passed_over = {};
};

/// The chosen capacities, and all that were considered, ascending.
template <std::size_t Resources>
struct capacity_choice {
  loads<Resources> best = {};
  std::vector<considered_capacity<Resources>> candidates = {};
};

/// Chooses the capacities with the least wasted capacity; with samples_per_pack, among those within
/// a tenth of it, or else nearest to it. It needs no model; given one, search_capacity() compares
/// planned times instead. Errors and complexity of estimate_capacities().
template <std::size_t Resources>
[[nodiscard]] capacity_choice<Resources> choose_capacity(
    const capacity_choice_problem<Resources>& problem, const search_control& control = {});

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

/// Evaluates capacities one after the other.
template <std::size_t Resources>
class capacity_estimator {
 public:
  explicit capacity_estimator(const capacity_choice_problem<Resources>& problem)
      : problem_(problem), part_(sample_part(problem.samples, problem.sample_limit, problem.seed)) {
    largest_.fill(1);
    for (const loads<Resources>& sample : problem.samples)
      for (std::size_t r = 0; r < Resources; ++r) {
        largest_[r] = std::max(largest_[r], sample[r]);
        volume_[r] += sample[r];
      }
    // Only the proportions matter, and a volume times a capacity must fit 128 bits.
    while (*std::ranges::max_element(volume_) >= wide_integer{1} << 62)
      for (wide_integer& volume : volume_) volume = (volume + 1) / 2;
    for (const loads<Resources>& sample : part_)
      for (std::size_t r = 0; r < Resources; ++r) part_volume_[r] += sample[r];
    lead_ = leading_resource();
  }

  [[nodiscard]] std::vector<capacity_estimate<Resources>> estimates(
      const search_control& control) const {
    std::vector<capacity_estimate<Resources>> found;
    const std::vector<std::int64_t> leads = leading_capacities();
    for (std::size_t k = 0; k < leads.size(); ++k) {
      if (control.stop_requested() && k > 0) break;
      control.report_progress("capacity", k, leads.size());
      found.push_back(least_waste(leads[k]));
      const bool all_in_one = found.back().samples_per_pack >= static_cast<double>(part_.size());
      if (all_in_one && part_.size() == problem_.samples.size()) break;
    }
    return found;
  }

 private:
  // Additions to the capacities of the other resources above their proportion of the loads, in
  // 32nds.
  static constexpr std::array<std::int64_t, 4> slacks = {0, 1, 3, 8};
  static constexpr std::int64_t most_leads = 48;

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

  // The upper limit of the leading capacity, with the others in proportion.
  [[nodiscard]] std::int64_t most_lead() const {
    wide_integer most = problem_.most[lead_];
    for (std::size_t r = 0; r < Resources; ++r)
      if (volume_[r] > 0)
        most = std::min(most, wide_integer{problem_.most[r]} * volume_[lead_] / volume_[r]);
    return static_cast<std::int64_t>(most);
  }

  // The largest capacity to consider: for 1.5 times the wanted samples per pack.
  [[nodiscard]] std::int64_t last_wanted() const {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    if (!problem_.samples_per_pack) return largest_[lead_] > most / 4 ? most : 4 * largest_[lead_];
    const double mean = static_cast<double>(part_volume_[lead_]) /
                        static_cast<double>(std::max<std::size_t>(part_.size(), 1));
    const double wanted = 1.5 * *problem_.samples_per_pack * mean;
    return wanted < 9e18 ? static_cast<std::int64_t>(wanted) : most;
  }

  [[nodiscard]] std::vector<std::int64_t> leading_capacities() const {
    const std::int64_t first = std::min(largest_[lead_], problem_.most[lead_]);
    const std::int64_t last = std::max(first, std::min(last_wanted(), most_lead()));
    const std::int64_t count = std::min(last - first, most_leads - 1) + 1;
    std::vector<std::int64_t> leads;
    for (std::int64_t k = 0; k < count; ++k)
      leads.push_back(static_cast<std::int64_t>(first + wide_integer{last - first} * k /
                                                            std::max<std::int64_t>(count - 1, 1)));
    return leads;
  }

  [[nodiscard]] capacity_estimate<Resources> least_waste(std::int64_t lead) const {
    capacity_estimate<Resources> best;
    for (const std::int64_t slack : slacks) {
      const loads<Resources> capacity = capacities(lead, slack);
      if (capacity == best.capacity) continue;
      const capacity_estimate<Resources> found = measure(capacity);
      if (best.capacity_ratio == 0 || found.capacity_ratio < best.capacity_ratio) best = found;
    }
    return best;
  }

  // The others in proportion to the leading one, rounded up to multiples of 128 when they are at
  // least 16 times that.
  [[nodiscard]] loads<Resources> capacities(std::int64_t lead, std::int64_t slack) const {
    constexpr wide_integer grain = 128;
    loads<Resources> capacity;
    for (std::size_t r = 0; r < Resources; ++r) {
      wide_integer wanted = lead;
      if (r != lead_) {
        wanted = volume_[lead_] == 0 ? 0 : wide_integer{lead} * volume_[r] / volume_[lead_];
        wanted += (wanted * slack + 31) / 32;
        if (wanted >= 16 * grain) wanted = (wanted + grain - 1) / grain * grain;
      }
      wanted = std::max<wide_integer>(wanted, largest_[r]);
      capacity[r] = static_cast<std::int64_t>(std::min<wide_integer>(wanted, problem_.most[r]));
    }
    return capacity;
  }

  [[nodiscard]] capacity_estimate<Resources> measure(const loads<Resources>& capacity) const {
    const packing_result packing = pack_balanced(
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
  std::vector<loads<Resources>> part_;
  loads<Resources> largest_ = {};
  std::array<wide_integer, Resources> volume_ = {};
  std::array<wide_integer, Resources> part_volume_ = {};
  std::size_t lead_ = 0;
};

/// The relative distance from the wanted number of samples per pack; 0 within a tenth.
[[nodiscard]] inline double missed(double samples_per_pack, const std::optional<double>& wanted) {
  if (!wanted) return 0;
  const double off = std::abs(samples_per_pack / *wanted - 1);
  return off <= 0.1 ? 0 : off;
}

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
    const capacity_choice_problem<Resources>& problem, const search_control& control) {
  if (problem.samples_per_pack && !(*problem.samples_per_pack > 0))
    throw invalid_input("samples_per_pack", std::to_string(*problem.samples_per_pack),
                        "must be more than 0");
  return detail::capacity_estimator<Resources>(problem).estimates(control);
}

template <std::size_t Resources>
capacity_choice<Resources> choose_capacity(const capacity_choice_problem<Resources>& problem,
                                           const search_control& control) {
  const auto estimates = estimate_capacities(problem, control);
  const auto miss = [&](const capacity_estimate<Resources>& one) {
    return detail::missed(one.samples_per_pack, problem.samples_per_pack);
  };
  const auto best = std::ranges::min_element(estimates, [&](const auto& left, const auto& right) {
    return std::pair(miss(left), left.capacity_ratio) <
           std::pair(miss(right), right.capacity_ratio);
  });
  capacity_choice<Resources> choice{.best = best->capacity};
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
