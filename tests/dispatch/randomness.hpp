// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packing and dispatch must not bias what a model sees together. Over 1,000 seeds, on a small
/// table of two sources: where a sample lands, what share of a step a source has, and that an
/// arrangement which is biased fails the same tests. The seeds are fixed, so the outcome is too.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

namespace omnibal::test {

constexpr std::uint64_t seeds = 1000;
constexpr std::uint32_t packs_in_step = 16;
constexpr double alpha = 0.001;
/// Where packs are full of samples that are alike, two of five tiles say, they are clusters of one
/// source. In the packer's own order the source's share of a step varies more for it than that of a
/// random draw of samples, here by 1.65; assigning by strata undoes that.
constexpr double alike_variance = 1.75;

/// Steps as lists of packs.
using step_list = std::vector<std::vector<std::uint32_t>>;
/// Which steps the packs of a seed go to.
using arrangement = std::function<step_list(const packing_result& packed, const length_table& table,
                                            std::uint64_t seed)>;

/// z with a normal tail of `tail` above: Abramowitz and Stegun, Handbook of Mathematical Functions,
/// 26.2.23; off by less than 0.00045.
inline double normal_quantile(double tail) {
  const double t = std::sqrt(-2 * std::log(tail));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                 (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

/// The critical value of a chi-square test: Wilson and Hilferty, "The distribution of chi-square",
/// PNAS 1931.
inline double critical_chi_square(std::size_t freedom, double tail) {
  const double part = 2.0 / (9.0 * static_cast<double>(freedom));
  return static_cast<double>(freedom) *
         std::pow(1 - part + normal_quantile(tail) * std::sqrt(part), 3);
}

/// Classes of samples by number of tiles and, within these, by whether they have many tokens.
inline std::vector<std::size_t> classes_of(const length_table& table) {
  std::vector<std::size_t> classes;
  for (const auto& [tiles, tokens] : table) {
    std::vector<std::int64_t> alike;
    for (const auto& other : table)
      if (other[0] == tiles) alike.push_back(other[1]);
    std::ranges::nth_element(alike, alike.begin() + static_cast<std::ptrdiff_t>(alike.size() / 2));
    const bool many = tokens >= alike[alike.size() / 2];
    classes.push_back(2 * static_cast<std::size_t>(tiles) + (many ? 1 : 0));
  }
  return classes;
}

/// Sums over seeds, from which to say how far a mean is from what was expected.
struct deviation_sum {
  double sum = 0;
  double squares = 0;
  void add(double deviation) {
    sum += deviation;
    squares += deviation * deviation;
  }
  /// In standard errors.
  [[nodiscard]] double z() const {
    const auto n = static_cast<double>(seeds);
    const double variance = (squares - sum * sum / n) / (n - 1);
    return variance > 0 ? sum / std::sqrt(n * variance) : 0;
  }
};

/// What 1,000 seeds tell about an arrangement.
struct randomness {
  double worst_chi_square = 0;   ///< of any sample's steps, as a multiple of the critical value
  double worst_class_z = 0;      ///< of any class's count in any step, the same
  double worst_source_z = 0;     ///< of the first source's count in any step, the same
  double source_variance = 0;    ///< of the source's share of a step, against a random draw
  double same_source_pairs = 0;  ///< of two samples in a pack; 1 where chance alone joined them
};

class randomness_meter {
 public:
  randomness_meter(const two_sources& table, const loads<2>& capacity)
      : table_(table), capacity_(capacity), classes_(classes_of(table.samples)) {}

  [[nodiscard]] randomness measure(const arrangement& arrange) {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      const packing_result packed =
          pack_balanced(table_.samples, {.capacity = capacity_, .seed = seed});
      count_pairs(packed);
      const step_list steps = arrange(packed, table_.samples, seed);
      if (seed == 0) start(steps.size());
      // Packs may be more for one seed by as many as to begin a step; all that are compared exist.
      for (std::size_t step = 0; step < steps_; ++step) {
        const std::span<const std::uint32_t> packs =
            step < steps.size() ? std::span(steps[step]) : std::span<const std::uint32_t>();
        count_step(packed, packs, step);
      }
    }
    return evaluate_plan();
  }

 private:
  static constexpr std::size_t stride = 12;  // one in so many samples is followed by itself

  void start(std::size_t steps) {
    steps_ = steps;
    seen_.assign(table_.samples.size(), std::vector<double>(steps));
    expected_.assign(steps, 0);
    by_class_.assign(1 + *std::ranges::max_element(classes_), std::vector<deviation_sum>(steps));
    by_source_.assign(steps, {});
  }

  void count_step(const packing_result& packed, std::span<const std::uint32_t> packs,
                  std::size_t step) {
    const double chance =
        static_cast<double>(packs.size()) / static_cast<double>(packed.packs.size());
    expected_[step] += chance;
    std::vector<double> in_class(by_class_.size());
    double of_source = 0;
    double samples = 0;
    for (const std::uint32_t pack : packs)
      for (const std::uint32_t id : packed.packs[pack]) {
        ++seen_[id][step];
        ++in_class[classes_[id]];
        of_source += id < table_.first_source ? 1 : 0;
        ++samples;
      }
    for (std::size_t k = 0; k < in_class.size(); ++k) {
      const auto all = static_cast<double>(std::ranges::count(classes_, k));
      by_class_[k][step].add(in_class[k] - all * chance);
    }
    const auto all = static_cast<double>(table_.samples.size());
    const auto source = static_cast<double>(table_.first_source);
    by_source_[step].add(of_source - source * chance);
    if (packs.size() < packs_in_step) return;
    const double share = source / all;
    const double deviation = of_source / samples - share;
    squares_ += deviation * deviation;
    drawn_ += share * (1 - share) / samples * (all - samples) / (all - 1);
  }

  void count_pairs(const packing_result& packed) {
    for (std::size_t k = 0; k < packed.packs.size(); ++k) {
      double first = 0;
      for (const std::uint32_t id : packed.packs[k]) first += id < table_.first_source ? 1 : 0;
      const double second = static_cast<double>(packed.packs[k].size()) - first;
      same_ += first * (first - 1) + second * (second - 1);
      pairs_ += (first + second) * (first + second - 1);
    }
  }

  [[nodiscard]] randomness evaluate_plan() const {
    randomness found;
    const std::size_t followed = (table_.samples.size() + stride - 1) / stride;
    const double critical = critical_chi_square(steps_ - 1, alpha / static_cast<double>(followed));
    for (std::size_t id = 0; id < table_.samples.size(); id += stride) {
      double chi_square = 0;
      for (std::size_t step = 0; step < steps_; ++step)
        chi_square += std::pow(seen_[id][step] - expected_[step], 2) / expected_[step];
      found.worst_chi_square = std::max(found.worst_chi_square, chi_square / critical);
    }
    const auto worst = [&](const std::vector<deviation_sum>& sums, std::size_t tests) {
      double most = 0;
      for (const deviation_sum& sum : sums) most = std::max(most, std::abs(sum.z()));
      return most / normal_quantile(alpha / 2 / static_cast<double>(tests));
    };
    for (const auto& sums : by_class_)
      found.worst_class_z = std::max(found.worst_class_z, worst(sums, steps_ * by_class_.size()));
    found.worst_source_z = worst(by_source_, steps_);
    found.source_variance = squares_ / drawn_;
    const auto all = static_cast<double>(table_.samples.size());
    const auto source = static_cast<double>(table_.first_source);
    const double by_chance =
        (source * (source - 1) + (all - source) * (all - source - 1)) / (all * (all - 1));
    found.same_source_pairs = same_ / pairs_ / by_chance;
    return found;
  }

  const two_sources& table_;
  loads<2> capacity_;
  std::vector<std::size_t> classes_;
  std::size_t steps_ = 0;
  std::vector<std::vector<double>> seen_;  // by sample and step
  std::vector<double> expected_;           // of a sample, by step
  std::vector<std::vector<deviation_sum>> by_class_;
  std::vector<deviation_sum> by_source_;
  double squares_ = 0;
  double drawn_ = 0;
  double same_ = 0;
  double pairs_ = 0;
};

inline step_list in_order(std::span<const std::uint32_t> order) {
  step_list steps;
  for (std::size_t first = 0; first < order.size(); first += packs_in_step) {
    const auto step =
        order.subspan(first, std::min<std::size_t>(packs_in_step, order.size() - first));
    steps.emplace_back(step.begin(), step.end());
  }
  return steps;
}

inline std::vector<std::int64_t> tokens_of_packs(const packing_result& packed,
                                                 const length_table& table) {
  std::vector<std::int64_t> tokens;
  for (const auto& sums : pack_loads(packed.packs, table)) tokens.push_back(sums[1]);
  return tokens;
}

inline step_list assigned(const packing_result& packed, const length_table& table,
                          std::uint64_t seed) {
  const auto costs = tokens_of_packs(packed, table);
  const auto sizes = pack_sizes(packed.packs);
  const dispatch_plan plan = dispatch_packs(
      std::span(costs), {.ranks = 4, .microbatches = 4, .seed = seed, .strata = sizes});
  step_list steps(plan.steps());
  for (std::uint64_t step = 0; step < plan.steps(); ++step)
    for (std::uint32_t rank = 0; rank < plan.ranks; ++rank)
      for (const std::uint32_t pack : plan.packs(step, rank)) steps[step].push_back(pack);
  return steps;
}

inline step_list as_packed(const packing_result& packed, const length_table&, std::uint64_t) {
  std::vector<std::uint32_t> order(packed.packs.size());
  std::iota(order.begin(), order.end(), 0U);
  return in_order(order);
}

/// Packs from many tokens to few, as a packer that sorts would leave them.
inline step_list sorted(const packing_result& packed, const length_table& table, std::uint64_t) {
  const auto tokens = tokens_of_packs(packed, table);
  std::vector<std::uint32_t> order(packed.packs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, std::greater{}, [&](std::uint32_t pack) { return tokens[pack]; });
  return in_order(order);
}

/// Packs in random order, but that a twelfth of the packs, those with fewest samples, come in the
/// later half: a slight bias.
inline step_list slightly_sorted(const packing_result& packed, const length_table&,
                                 std::uint64_t seed) {
  std::vector<std::uint32_t> order(packed.packs.size());
  std::iota(order.begin(), order.end(), 0U);
  random_stream random(seed, 77);
  shuffle_randomly(order, random);
  std::vector<std::uint32_t> few(order);
  std::ranges::stable_sort(few, {}, [&](std::uint32_t pack) { return packed.packs[pack].size(); });
  few.resize(order.size() / 12);
  const auto is_few = [&](std::uint32_t pack) { return std::ranges::find(few, pack) != few.end(); };
  for (std::size_t k = 0; k < order.size() / 2; ++k)
    if (is_few(order[k]))
      for (std::size_t to = order.size() / 2; to < order.size(); ++to)
        if (!is_few(order[to])) {
          std::swap(order[k], order[to]);
          break;
        }
  return in_order(order);
}

inline std::string describe(const randomness& found) {
  return "sample " + std::to_string(found.worst_chi_square) + ", class " +
         std::to_string(found.worst_class_z) + ", source " + std::to_string(found.worst_source_z) +
         " of the critical values; variance " + std::to_string(found.source_variance) +
         ", same-source pairs " + std::to_string(found.same_source_pairs);
}

// How often a pack joins samples of one source is reported (run with -s), not limited: packs that
// are to be full and even must choose.
inline void require_random(const two_sources& table, const arrangement& arrange,
                           const loads<2>& capacity, double most_variance) {
  const randomness found = randomness_meter(table, capacity).measure(arrange);
  INFO(describe(found));
  CHECK(found.worst_chi_square <= 1);
  CHECK(found.worst_class_z <= 1);
  CHECK(found.worst_source_z <= 1);
  CHECK(found.source_variance <= most_variance);
}

inline void check_assigned_packs_are_a_random_draw(const two_sources& table) {
  require_random(table, assigned, {18, 6016}, 1.1);
  require_random(table, assigned, {10, 4096}, 1.1);
  require_random(table, assigned, {15, 5056}, 1.1);
}

inline void check_packed_order_is_a_random_draw(const two_sources& table) {
  require_random(table, as_packed, {18, 6016}, 1.1);
  require_random(table, as_packed, {10, 4096}, alike_variance);
}

inline void check_bias_is_found(const two_sources& table) {
  const randomness gross = randomness_meter(table, {18, 6016}).measure(sorted);
  INFO(describe(gross));
  CHECK(gross.worst_chi_square > 1);
  CHECK(gross.worst_class_z > 1);
  CHECK(gross.worst_source_z > 1);
  CHECK(gross.source_variance > 1.1);
  const randomness slight = randomness_meter(table, {18, 6016}).measure(slightly_sorted);
  INFO(describe(slight));
  CHECK(slight.worst_class_z > 1);
}

inline void check_epochs_differ(const two_sources& table) {
  const auto pack = [&](std::uint64_t epoch) {
    return pack_balanced(table.samples, {.capacity = {18, 6016}, .seed = 1, .epoch = epoch}).packs;
  };
  // Packs as sets, in order.
  const auto packs_of = [](const grouping<std::uint32_t>& packs) {
    std::vector<std::vector<std::uint32_t>> sets;
    for (std::size_t k = 0; k < packs.size(); ++k) {
      sets.emplace_back(packs[k].begin(), packs[k].end());
      std::ranges::sort(sets.back());
    }
    std::ranges::sort(sets);
    return sets;
  };
  auto before = packs_of(pack(0));
  for (std::uint64_t epoch = 1; epoch < 20; ++epoch) {
    auto now = packs_of(pack(epoch));
    std::vector<std::vector<std::uint32_t>> again;
    std::ranges::set_intersection(before, now, std::back_inserter(again));
    CHECK(again.size() * 50 <= now.size());
    before = std::move(now);
  }
}

}  // namespace omnibal::test
