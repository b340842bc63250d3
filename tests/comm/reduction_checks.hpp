// SPDX-License-Identifier: Apache-2.0
/// @file
/// Weighted sums, gradient buckets and the sharded step, checked over any communicator and channel
/// against what one process computes; and the balanced exchange.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <omnibal/comm/gradient_reduction.hpp>
#include <omnibal/comm/sharded_step.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>

#include "comm/channel_checks.hpp"
#include "comm/exchange_checks.hpp"

namespace reduction_checks {

using collective_checks::expect;
using collective_checks::expect_throw;
using omnibal::reduction;
using omnibal::view_of;

/// The mean loss over all tokens is the same however samples are split over ranks, also where a
/// rank has none; the mean of the ranks' means is not.
template <omnibal::communicator Communicator>
void check_weighted_sum(Communicator& ranks, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  omnibal::weighted_sum own;
  long double numerator = 0;
  long double weight = 0;
  for (int sample = 0; sample < 40; ++sample) {
    const auto tokens = static_cast<double>(1 + random() % 4000);
    const double loss = static_cast<double>(random() % 1'000'000) / 1e5;
    // Never on the last of several ranks.
    const std::size_t rank = random() % std::max<std::size_t>(1, ranks.size() - 1);
    numerator += static_cast<long double>(tokens) * loss;
    weight += static_cast<long double>(tokens);
    if (rank != ranks.rank()) continue;
    own.numerator += tokens * loss;
    own.weight += tokens;
  }
  const auto all = omnibal::sum_over_ranks(ranks, own);
  const auto expected = static_cast<double>(numerator / weight);
  expect(std::abs(all.mean() - expected) <= 1e-12 * expected, "mean over tokens");
  const auto nothing = omnibal::sum_over_ranks(ranks, {});
  expect_throw<omnibal::invalid_input>([&] { (void)nothing.mean(); }, "a mean of nothing");
}

inline float gradient_of(std::uint64_t seed, std::size_t rank, std::size_t i) {
  std::uint64_t bits = (seed * 7919 + rank) * 1'000'003 + i;
  bits = (bits ^ bits >> 30U) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ bits >> 27U) * 0x94d049bb133111ebU;
  return static_cast<float>((bits ^ bits >> 31U) % 2'000'001) / 1e6F - 1.0F;
}

inline std::vector<float> gradients_of(std::uint64_t seed, std::size_t rank, std::size_t count) {
  std::vector<float> gradients(count);
  for (std::size_t i = 0; i < count; ++i) gradients[i] = gradient_of(seed, rank, i);
  return gradients;
}

/// Two steps of backward passes whose gradients come in another order on every rank; the last rank
/// has no tokens.
template <omnibal::tensor_channel Channel>
void check_buckets(Channel& channel, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> counts(23);
  for (std::size_t& count : counts) count = random() % 90;
  const std::size_t total = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
  std::vector<float> gradients(total);
  omnibal::gradient_buckets buckets(channel, view_of(gradients), counts, {.bytes = 1000});
  expect(buckets.buckets() > 2, "several buckets");
  const bool is_idle = channel.size() > 1 && channel.rank() + 1 == channel.size();
  for (std::uint64_t step = 0; step < 2; ++step) {
    std::ranges::copy(
        is_idle ? std::vector<float>(total) : gradients_of(seed + step, channel.rank(), total),
        gradients.begin());
    std::vector<std::size_t> order(counts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937_64 own_random(seed + 31 * channel.rank());
    std::shuffle(order.begin(), order.end(), own_random);
    if (!is_idle) {
      for (std::size_t p = 0; p + 1 < order.size(); ++p) buckets.ready(order[p]);
      expect_throw<omnibal::invalid_input>([&] { buckets.finish(); }, "a gradient is missing");
      expect_throw<omnibal::invalid_input>([&] { buckets.ready(order[0]); }, "ready twice");
      buckets.ready(order.back());
    }
    if (is_idle) buckets.ready_without_backward();
    buckets.finish();
    const std::size_t active = std::max<std::size_t>(1, channel.size() - 1);
    for (std::size_t i = 0; i < total; ++i) {
      float sum = gradient_of(seed + step, 0, i);
      for (std::size_t r = 1; r < active; ++r) sum += gradient_of(seed + step, r, i);
      expect(gradients[i] == sum, "bucket, element " + std::to_string(i));
    }
    omnibal::scale(view_of(gradients), 0.5);
    expect(total == 0 || std::isfinite(gradients[0]), "scaled");
  }
  expect_throw<omnibal::invalid_input>([&] { buckets.ready(counts.size()); }, "no such parameter");
}

/// A step of two buckets that the last rank leaves by an exception, after `ready` of its four
/// parameters: the others learn the reason on this channel, and on no other one. After all four its
/// reductions may have ended.
template <omnibal::tensor_channel Channel>
void check_destroyed_buckets(Channel& channel, Channel& other, std::size_t ready) {
  const std::size_t last = channel.size() - 1;
  if (last == 0) return;
  const std::vector<std::size_t> counts(4, 100);
  std::string error;
  try {
    std::vector<float> gradients(400, 1.0F);
    omnibal::gradient_buckets buckets(channel, view_of(gradients), counts, {.bytes = 800});
    for (std::size_t p = 4; p-- > 0;) {
      if (channel.rank() == last && p + ready < 4) throw std::domain_error("not a number");
      buckets.ready(p);
    }
    if (channel.rank() == last) throw std::domain_error("not a number");
    buckets.finish();
  } catch (const std::domain_error&) {
  } catch (const omnibal::communication_error& thrown) {
    error = thrown.what();
  }
  const std::string reason =
      "rank " + std::to_string(last) + " aborted: an exception destroyed gradient buckets";
  if (channel.rank() != last && (ready < 4 || !error.empty()))
    expect(error.find(reason) != std::string::npos, "\"" + error + "\" has no \"" + reason + "\"");
  std::vector<float> sum(1, 1.0F);
  other.all_reduce(view_of(sum), reduction::sum, {}).wait();
  expect(sum[0] == static_cast<float>(channel.size()), "another channel goes on");
}

/// Buckets whose step has not begun, or whose reductions have all ended, abort nothing.
template <omnibal::tensor_channel Channel>
void check_idle_buckets(Channel& channel) {
  const std::vector<std::size_t> counts(4, 100);
  std::vector<float> gradients(400, 1.0F);
  try {
    omnibal::gradient_buckets buckets(channel, view_of(gradients), counts, {.bytes = 800});
    throw std::domain_error("not a number");
  } catch (const std::domain_error&) {
  }
  try {
    omnibal::gradient_buckets buckets(channel, view_of(gradients), counts, {.bytes = 800});
    buckets.ready_without_backward();
    std::vector<float> sum(1, 1.0F);
    channel.all_reduce(view_of(sum), reduction::sum, {}).wait();
    throw std::domain_error("not a number");
  } catch (const std::domain_error&) {
  }
  std::vector<float> sum(1, 1.0F);
  channel.all_reduce(view_of(sum), reduction::sum, {}).wait();
  expect(sum[0] == static_cast<float>(channel.size()), "the channel goes on");
  expect(gradients[0] == static_cast<float>(channel.size()), "reduced once");
}

/// SGD with momentum on a shard.
struct momentum {
  std::vector<float> state;

  void operator()(std::span<float> parameters, std::span<const float> gradients) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      state[i] = 0.9F * state[i] + gradients[i];
      parameters[i] -= 0.1F * state[i];
    }
  }
};

/// The same step by one process: sums in rank order, the norm over blocks.
inline void step_alone(std::uint64_t seed, std::size_t ranks, std::vector<float>& parameters,
                       double scale, double largest_norm, momentum& optimizer) {
  std::vector<float> sum = gradients_of(seed, 0, parameters.size());
  for (std::size_t r = 1; r < ranks; ++r)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += gradient_of(seed, r, i);
  for (float& gradient : sum) gradient = static_cast<float>(gradient * scale);
  double squares = 0;
  for (std::size_t first = 0; first < sum.size(); first += omnibal::shard_block) {
    double block = 0;
    for (std::size_t i = first; i < std::min(sum.size(), first + omnibal::shard_block); ++i)
      block += double{sum[i]} * sum[i];
    squares += block;
  }
  const double norm = std::sqrt(squares);
  if (norm > largest_norm)
    for (float& gradient : sum) gradient = static_cast<float>(gradient * (largest_norm / norm));
  optimizer(parameters, sum);
}

/// Three steps, the last of them with shards cut for other ranks: bit-equal to one process.
template <omnibal::tensor_channel Channel>
void check_sharded_step(Channel& channel, std::uint64_t seed, std::size_t elements) {
  std::vector<float> parameters = gradients_of(seed + 1000, 0, elements);
  std::vector<float> alone = parameters;
  momentum alone_optimizer{std::vector<float>(elements)};
  const auto own = omnibal::shard_of(elements, channel.size(), channel.rank());
  momentum optimizer{std::vector<float>(own.count)};
  for (std::uint64_t step = 0; step < 3; ++step) {
    const double largest_norm = step == 0 ? 1e9 : 0.25;
    const auto gradients = gradients_of(seed + step, channel.rank(), elements);
    const auto norm =
        omnibal::sharded_step(channel, std::span(parameters), std::span(gradients),
                              {.scale = 0.125, .largest_norm = largest_norm}, std::ref(optimizer));
    step_alone(seed + step, channel.size(), alone, 0.125, largest_norm, alone_optimizer);
    expect(norm.has_value(), "norm");
    expect(parameters == alone, "the sharded step is the plain step");
  }
  expect(std::ranges::equal(optimizer.state,
                            std::span(alone_optimizer.state).subspan(own.first, own.count)),
         "state of the shard");
}

template <omnibal::communicator Communicator, omnibal::tensor_channel Channel>
void check_reductions(Communicator& ranks, Channel& channel, std::uint64_t rounds) {
  for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
    check_weighted_sum(ranks, seed);
    check_buckets(channel, seed);
    exchange_checks::check_exchange(ranks, channel, seed);
  }
  check_idle_buckets(channel);
  exchange_checks::check_other_exchange(ranks, channel);
  exchange_checks::check_invalid_exchange(ranks, channel);
  exchange_checks::check_other_options(ranks);
  for (const std::size_t elements : {0U, 1U, 1024U, 5000U})
    check_sharded_step(channel, elements, elements);
}

}  // namespace reduction_checks
