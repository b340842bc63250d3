// SPDX-License-Identifier: Apache-2.0
// How few packs pack_balanced needs on tables that it was not made for: near its own bound on
// tables drawn from those of two sources in other proportions, and no worse than simple rivals on
// tables of any other kind.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"
#include "packing/table_family.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

/// Packs as the sums of their loads.
template <std::size_t Resources>
using sums_of_packs = std::vector<loads<Resources>>;

/// What loads take of a pack, each resource weighing the same when full.
template <std::size_t Resources>
double size_of(const loads<Resources>& load, const loads<Resources>& capacity) {
  double sum = 0;
  for (std::size_t r = 0; r < Resources; ++r)
    sum += static_cast<double>(load[r]) / static_cast<double>(capacity[r]);
  return sum;
}

/// Best-fit decreasing by the book: samples by size, each into the fullest pack that it fits.
/// Quadratic, and nothing of it is the library's.
template <std::size_t Resources>
sums_of_packs<Resources> best_fit_decreasing(std::vector<loads<Resources>> samples,
                                             const loads<Resources>& capacity) {
  const auto size = [&](const loads<Resources>& load) {
    return size_of<Resources>(load, capacity);
  };
  std::ranges::stable_sort(samples, std::ranges::greater{}, size);
  sums_of_packs<Resources> packs;
  for (const auto& sample : samples) {
    loads<Resources>* best = nullptr;
    double fullest = -1;
    for (auto& pack : packs) {
      bool fits = true;
      for (std::size_t r = 0; r < Resources; ++r) fits &= pack[r] + sample[r] <= capacity[r];
      if (fits && size(pack) > fullest) fullest = size(pack), best = &pack;
    }
    if (best == nullptr) best = &packs.emplace_back();
    for (std::size_t r = 0; r < Resources; ++r) (*best)[r] += sample[r];
  }
  return packs;
}

/// With two resources the packer may prefer even packs to one pack in so many.
template <std::size_t Resources>
void check_against_rivals(const std::vector<loads<Resources>>& samples,
                          const loads<Resources>& capacity) {
  constexpr std::size_t hardly_differ = Resources == 2 ? 100 : 1'000'000;
  const auto ours = pack_balanced(samples, {.capacity = capacity, .seed = 1});
  const auto isf = pack_isf(samples, {.capacity = capacity, .seed = 1}, {.iterations = 50});
  const auto decreasing = best_fit_decreasing<Resources>(samples, capacity);
  INFO(ours.objective << " packs, bound " << ours.bound << ", ISF " << isf.objective
                      << ", best-fit decreasing " << decreasing.size());
  CHECK(ours.objective <= isf.objective);
  CHECK(ours.objective <= decreasing.size() + decreasing.size() / hardly_differ);
}

}  // namespace

TEST_CASE("the balanced packer is within two thousandths of its bound on tables of the family") {
  length_table charts = tiled_table(18000, 2);
  for (auto& sample : charts) sample = {5, 1300 + sample[1] % 200};
  check_packs_are_near_their_bound(tiled_table(12000, 1), charts, GENERATE(1U, 2U));
}

TEST_CASE("the balanced packer is no worse than simple rivals: three resources") {
  random_stream random(1);
  std::vector<loads<3>> samples;
  for (const auto& [tiles, tokens] : tiled_table(3000, 4))
    samples.push_back({uniform_below(random, 3) == 0 ? 0 : tiles, tokens,
                       uniform_below(random, 2) * uniform_below(random, 1500)});
  check_against_rivals<3>(samples, {10, 4096, 3000});
  check_against_rivals<3>(samples, {20, 8192, 3000});
}

TEST_CASE("the balanced packer is no worse than simple rivals: samples all alike") {
  check_against_rivals<2>(std::vector<loads<2>>(3000, {3, 700}), {10, 4096});
  check_against_rivals<1>(std::vector<loads<1>>(3000, {7}), {100});
}

TEST_CASE("the balanced packer is no worse than simple rivals: a giant among dwarfs") {
  std::vector<loads<2>> samples(3000, {1, 20});
  samples[1234] = {10, 4096};
  check_against_rivals<2>(samples, {10, 4096});
  check_against_rivals<2>(samples, {1000, 4096});
}

TEST_CASE("the balanced packer is no worse than simple rivals: heavy tails") {
  // A Pareto distribution of index 6/5 by its inverse, u^(-5/6) ≈ 2^(5k/6) for u from 2^-k on.
  random_stream random(3);
  std::vector<loads<1>> samples(4000);
  for (auto& [load] : samples) {
    std::int64_t scaled = 100 * (1000 + uniform_below(random, 782));
    while (uniform_below(random, 2) == 0 && scaled < 100'000'000) scaled = scaled * 1782 / 1000;
    load = std::min<std::int64_t>(scaled / 1000, 4096);
  }
  check_against_rivals<1>(samples, {4096});
  check_against_rivals<1>(samples, {16384});
}

TEST_CASE("the balanced packer is no worse than simple rivals: text-only rows mixed in") {
  random_stream random(4);
  length_table samples = tiled_table(2500, 5);
  for (std::size_t k = 0; k < 2500; ++k) samples.push_back({0, text_tokens(random)});
  shuffle_randomly(samples, random);
  for (const std::int64_t images : {9, 10, 14, 18})
    check_against_rivals<2>(samples, {images, token_capacity(images)});
}
