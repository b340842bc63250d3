// SPDX-License-Identifier: Apache-2.0
/// @file
/// What ranks repeat in the benchmarks of communication, over any communicator and channel: a
/// balanced exchange and a reduction of gradients, each beside the way that it replaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/comm.hpp>

namespace channel_programs {

/// Rank 0 has 64 samples, of eight fields each, of `bytes` bytes in all; the others have none.
template <omnibal::communicator Communicator>
omnibal::exchange_samples samples_of(const Communicator& ranks, std::size_t bytes) {
  constexpr std::size_t fields = 8;
  const std::size_t own = ranks.rank() == 0 ? 64 : 0;
  const auto of_field = static_cast<std::int64_t>(bytes / (fields * 64));
  return {.costs = std::vector<std::int64_t>(own, 1),
          .bytes = std::vector<std::vector<std::int64_t>>(
              fields, std::vector<std::int64_t>(own, of_field))};
}

/// All fields in one all_to_all, whose plans are compared before, or one all_to_all per field
/// without any comparison.
template <omnibal::communicator Communicator, omnibal::tensor_channel Channel>
std::function<void()> exchange(Communicator& ranks, Channel& channel, std::size_t bytes,
                               bool at_once) {
  using namespace omnibal;
  const exchange_samples samples = samples_of(ranks, bytes);
  std::vector<std::byte> values(samples.costs.size() * bytes / (8 * 64));
  return [at_once, &channel, plan = plan_exchange(ranks, samples), values = std::move(values)] {
    std::vector<field_bytes> fields;
    for (std::size_t f = 0; f < plan.fields(); ++f) fields.push_back({f, values});
    if (at_once) {
      benchmark::DoNotOptimize(exchange(channel, plan, fields));
      return;
    }
    for (const field_bytes& field : fields) {
      const detail::field_exchange moves(plan, std::span(&field, 1),
                                         detail::exchange_direction::to_target);
      const std::vector<std::byte> sent = moves.pack();
      std::vector<std::byte> received(std::accumulate(
          moves.received_counts().begin(), moves.received_counts().end(), std::size_t{0}));
      channel
          .all_to_all(view_of(sent), moves.sent_counts(), view_of(received),
                      moves.received_counts())
          .wait();
      benchmark::DoNotOptimize(moves.unpack(received));
    }
  };
}

/// Tensors of `count` floats, 8 Mi of them in all: in buckets of 25 MB or each by itself, the last
/// first.
template <omnibal::tensor_channel Channel>
std::function<void()> reduction(Channel& channel, std::size_t count, bool in_buckets) {
  using namespace omnibal;
  constexpr std::size_t total = 1U << 23U;
  return [=, &channel, values = std::vector<float>(total)]() mutable {
    const std::vector<std::size_t> counts(total / count, count);
    if (in_buckets) {
      gradient_buckets<Channel> buckets(channel, view_of(values), counts);
      for (std::size_t p = counts.size(); p-- > 0;) buckets.ready(p);
      buckets.finish();
      return;
    }
    std::vector<typename Channel::ticket> tickets;
    for (std::size_t p = counts.size(); p-- > 0;)
      tickets.push_back(
          channel.all_reduce(view_of(values).part(p * count, count), omnibal::reduction::sum));
    for (auto& each : tickets) each.wait();
  };
}

}  // namespace channel_programs
