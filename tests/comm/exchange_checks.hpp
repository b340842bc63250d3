// SPDX-License-Identifier: Apache-2.0
/// @file
/// The balanced exchange, checked over any communicator and channel: what moves, and that ranks
/// whose exchanges differ are found before bytes move.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/balanced_exchange.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>

#include "comm/collective_checks.hpp"

namespace exchange_checks {

using collective_checks::expect;
using collective_checks::expect_throw;

/// Bytes of a field that tell sample and field.
inline std::vector<std::byte> bytes_of(std::size_t owner, std::size_t number, std::size_t field,
                                       std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>(owner * 131 + number * 17 + field * 5 + i);
  return bytes;
}

/// Random samples, none on some ranks or all on one, three fields with zero sizes among them. There
/// and back is the identity, no byte more is sent than the plan says, and costs are those of the
/// plan.
template <omnibal::communicator Communicator, omnibal::tensor_channel Channel>
void check_exchange(Communicator& ranks, Channel& channel, std::uint64_t seed) {
  std::mt19937_64 random(seed + 77 * ranks.rank());
  const std::size_t owned =
      seed % 3 == 0 ? (ranks.rank() == seed % ranks.size() ? 30 : 0) : random() % 12;
  omnibal::exchange_samples samples{.bytes = std::vector<std::vector<std::int64_t>>(3)};
  std::vector<std::vector<std::byte>> own(3);
  for (std::size_t s = 0; s < owned; ++s) {
    samples.costs.push_back(static_cast<std::int64_t>(random() % 100));
    for (std::size_t f = 0; f < 3; ++f) {
      const std::size_t bytes = random() % 3 == 0 ? 0 : random() % 50;
      samples.bytes[f].push_back(static_cast<std::int64_t>(bytes));
      const auto content = bytes_of(ranks.rank(), s, f, bytes);
      own[f].insert(own[f].end(), content.begin(), content.end());
    }
  }
  const omnibal::exchange_plan plan = omnibal::plan_exchange(ranks, samples);
  const std::array<omnibal::field_bytes, 2> there = {{{0, own[0]}, {2, own[2]}}};
  const auto moved = omnibal::exchange(channel, plan, there);

  std::vector<std::vector<std::byte>> expected(3);
  for (const auto& place : plan.places()) {
    if (place.target != ranks.rank()) continue;
    for (std::size_t f = 0; f < 3; ++f) {
      const auto content =
          bytes_of(place.owner, place.number, f, static_cast<std::size_t>(place.bytes[f]));
      expected[f].insert(expected[f].end(), content.begin(), content.end());
    }
  }
  expect(moved[0] == expected[0] && moved[1] == expected[2], "fields of the received samples");
  const auto received = plan.received();
  expect(
      received.size() == static_cast<std::size_t>(std::ranges::count(
                             plan.places(), ranks.rank(), &omnibal::exchange_plan::place::target)),
      "received samples");

  const std::array<omnibal::field_bytes, 3> back = {
      {{0, moved[0]}, {1, expected[1]}, {2, moved[1]}}};
  const auto returned = omnibal::exchange_back(channel, plan, back);
  expect(returned == own, "there and back");

  std::int64_t moved_bytes = 0;
  for (const auto& place : plan.places())
    if (place.target != place.owner)
      moved_bytes += std::accumulate(place.bytes.begin(), place.bytes.end(), std::int64_t{0});
  expect(moved_bytes == plan.balance().plan().bytes, "bytes of the plan");
  const std::array<omnibal::field_bytes, 1> unknown = {{{3, {}}}};
  expect_throw<omnibal::invalid_input>([&] { (void)omnibal::exchange(channel, plan, unknown); },
                                       "no such field");
}

/// Calls the action, which throws plan_divergence that names the last rank.
template <typename Action>
void expect_last_differs(std::size_t ranks, const Action& action, const std::string& what) {
  try {
    action();
  } catch (const omnibal::plan_divergence& error) {
    return expect(error.ranks() == std::vector<std::size_t>{ranks - 1}, what + ": who differs");
  }
  throw std::logic_error(what + ": nothing was thrown");
}

/// Two plans with the same bytes from rank to rank that move another sample: a rank that holds the
/// other plan, passes another field, or calls the reverse, is found before bytes move.
template <omnibal::communicator Communicator, omnibal::tensor_channel Channel>
void check_other_exchange(Communicator& ranks, Channel& channel) {
  if (ranks.size() == 1) return;
  const bool owns = ranks.rank() == 0;
  const bool is_last = ranks.rank() + 1 == ranks.size();
  const auto samples_of = [&](std::int64_t first, std::int64_t second) {
    omnibal::exchange_samples samples{.bytes = std::vector<std::vector<std::int64_t>>(2)};
    if (owns) samples = {.costs = {first, second}, .bytes = {{8, 8}, {8, 8}}};
    return samples;
  };
  const auto plan = omnibal::plan_exchange(ranks, samples_of(6, 7));
  const auto other = omnibal::plan_exchange(ranks, samples_of(7, 6));
  expect(plan.hash() != other.hash(), "plans that move another sample");
  const std::vector<std::byte> content(owns ? 16 : 0, std::byte{1});
  const std::array<omnibal::field_bytes, 1> field = {{{0, content}}};
  const std::array<omnibal::field_bytes, 1> other_field = {{{1, content}}};
  expect_last_differs(
      ranks.size(), [&] { (void)omnibal::exchange(channel, is_last ? other : plan, field); },
      "another plan");
  expect_last_differs(
      ranks.size(), [&] { (void)omnibal::exchange(channel, plan, is_last ? other_field : field); },
      "another field");
  const auto moved = omnibal::exchange(channel, plan, field);
  expect_last_differs(
      ranks.size(),
      [&] {
        if (is_last)
          (void)omnibal::exchange_back(channel, plan,
                                       std::array<omnibal::field_bytes, 1>{{{0, moved.at(0)}}});
        else
          (void)omnibal::exchange(channel, plan, field);
      },
      "the other direction");
}

/// A rank whose field has other bytes says so, and the others do not wait for it.
template <omnibal::communicator Communicator, omnibal::tensor_channel Channel>
void check_invalid_exchange(Communicator& ranks, Channel& channel) {
  if (ranks.size() == 1) return;
  const bool is_last = ranks.rank() + 1 == ranks.size();
  const auto plan = omnibal::plan_exchange(ranks, {.costs = {1}, .bytes = {{4}}});
  const std::vector<std::byte> content(is_last ? 3 : 4);
  const std::array<omnibal::field_bytes, 1> field = {{{0, content}}};
  const auto call = [&] { (void)omnibal::exchange(channel, plan, field); };
  if (is_last)
    expect_throw<omnibal::invalid_input>(call, "a field of other bytes");
  else
    expect_last_differs(ranks.size(), call, "a field of other bytes elsewhere");
}

/// A rank that plans with other options.
template <omnibal::communicator Communicator>
void check_other_options(Communicator& ranks) {
  if (ranks.size() == 1) return;
  const omnibal::exchange_samples samples{
      .costs = std::vector<std::int64_t>(20, 5 + 5 * (ranks.rank() == 0)),
      .bytes = {std::vector<std::int64_t>(20, 8)}};
  omnibal::rebalance_options options;
  if (ranks.rank() + 1 == ranks.size()) options.tolerance = 4'000'000'000;
  expect_last_differs(
      ranks.size(), [&] { (void)omnibal::plan_exchange(ranks, samples, options); },
      "other options");
}

}  // namespace exchange_checks
