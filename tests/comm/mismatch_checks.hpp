// SPDX-License-Identifier: Apache-2.0
/// @file
/// Calls of one rank that differ from those of the others in one thing, for every model of
/// tensor_channel over host memory: all ranks must get an error that says what both called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include <omnibal/comm/tensor_channel.hpp>

namespace mismatch_checks {

using omnibal::reduction;
using omnibal::view_of;

/// Rank 0 runs `first` and every other one `other`.
template <omnibal::tensor_channel Channel>
struct mismatch {
  using body = std::function<void(Channel&)>;

  std::string name;
  body first;
  body other;
  std::string first_call;  // in the errors of all ranks
  std::string other_call;
};

template <typename Element, typename Channel>
auto all_reduce(std::size_t count, reduction how = reduction::sum) {
  return [=](Channel& channel) {
    std::vector<Element> values(count);
    channel.all_reduce(view_of(values), how, {}).wait();
  };
}

template <typename Element, typename Channel>
auto broadcast(std::size_t count, std::size_t root) {
  return [=](Channel& channel) {
    std::vector<Element> values(count);
    channel.broadcast(view_of(values), root, {}).wait();
  };
}

/// Counts 2, 3, 4 … by rank, or the same turned by one rank.
inline std::vector<std::size_t> counts_of(std::size_t ranks, std::size_t turn) {
  std::vector<std::size_t> counts(ranks);
  for (std::size_t r = 0; r < ranks; ++r) counts[r] = 2 + (r + turn) % ranks;
  return counts;
}

template <typename Channel>
auto all_gather(std::size_t turn) {
  return [=](Channel& channel) {
    const auto counts = counts_of(channel.size(), turn);
    const std::vector<float> own(counts[channel.rank()]);
    std::vector<float> all(std::accumulate(counts.begin(), counts.end(), std::size_t{0}));
    channel.all_gather(view_of(own), view_of(all), counts, {}).wait();
  };
}

template <typename Channel>
auto reduce_scatter(std::size_t turn, reduction how = reduction::sum) {
  return [=](Channel& channel) {
    const auto counts = counts_of(channel.size(), turn);
    const std::vector<float> all(std::accumulate(counts.begin(), counts.end(), std::size_t{0}));
    std::vector<float> own(counts[channel.rank()]);
    channel.reduce_scatter(view_of(all), view_of(own), counts, how, {}).wait();
  };
}

/// Every rank sends every other one this many elements.
template <typename Element, typename Channel>
auto all_to_all(std::size_t count) {
  return [=](Channel& channel) {
    const std::vector<std::size_t> counts(channel.size(), count);
    const std::vector<Element> sent(count * channel.size());
    std::vector<Element> received(sent.size());
    channel.all_to_all(view_of(sent), counts, view_of(received), counts, {}).wait();
  };
}

/// Rank 0 sends to rank 1.
template <typename Element, typename Channel>
auto message(std::size_t count) {
  return [=](Channel& channel) {
    std::vector<Element> values(count);
    if (channel.rank() == 0) channel.send(view_of(values), 1, {}).wait();
    if (channel.rank() == 1) channel.receive(view_of(values), 0, {}).wait();
  };
}

/// Where MPI has messages of up to 96 bytes, 24 elements of f32 are a whole piece of one. Roots
/// that both send have nothing to compare before their next operation.
template <omnibal::tensor_channel C>
std::vector<mismatch<C>> mismatches() {
  return {
      {"an operation", all_reduce<float, C>(6), all_gather<C>(0), "all_reduce #0 of 6 f32, sum",
       "all_gather #0 of "},
      {"a message and a broadcast", message<float, C>(6), broadcast<float, C>(6, 0),
       "rank 0 sends ", "broadcast #0 of 6 f32, from rank 0"},
      {"the type of a reduction", all_reduce<double, C>(6), all_reduce<std::int64_t, C>(6),
       "all_reduce #0 of 6 f64, sum", "all_reduce #0 of 6 i64, sum"},
      {"the type of a message", message<float, C>(6), message<double, C>(3), "send #0 of 6 f32",
       "receive #0 of 3 f64"},
      {"the type of an exchange", all_to_all<float, C>(6), all_to_all<double, C>(3),
       "all_to_all #0 of f32", "all_to_all #0 of f64"},
      {"the count of a reduction", all_reduce<float, C>(8), all_reduce<float, C>(9),
       "all_reduce #0 of 8 f32, sum", "all_reduce #0 of 9 f32, sum"},
      {"a reduction", all_reduce<float, C>(8, reduction::sum),
       all_reduce<float, C>(8, reduction::largest), "all_reduce #0 of 8 f32, sum",
       "all_reduce #0 of 8 f32, largest"},
      {"a scattered reduction", reduce_scatter<C>(0, reduction::smallest),
       reduce_scatter<C>(0, reduction::sum), "f32, smallest", "f32, sum"},
      {"the counts of gathered parts", all_gather<C>(0), all_gather<C>(1), "counts with hash",
       "counts with hash"},
      {"the counts of scattered parts", reduce_scatter<C>(0), reduce_scatter<C>(1),
       "counts with hash", "counts with hash"},
      {"roots that both send", broadcast<float, C>(5, 0), broadcast<float, C>(5, 1),
       "broadcast #0 of 5 f32, from rank", "all_reduce #1 of 1 f32"},
      {"an exchange of more", all_to_all<float, C>(24 * 3), all_to_all<float, C>(24 * 2),
       "288 bytes", "192 bytes"},
      {"a message of a little more", message<float, C>(5), message<float, C>(4),
       "sends 20 bytes to rank 1 in send #0 of 5 f32", "expects 16 bytes in receive #0 of 4 f32"},
      {"a message of whole pieces more", message<float, C>(24 * 4), message<float, C>(24 * 2),
       "sends 384 bytes to rank 1 in send #0 of 96 f32", "expects 192 bytes in receive #0 of 48"},
      {"a message of whole pieces fewer", message<float, C>(24 * 2), message<float, C>(24 * 4),
       "sends 192 bytes to rank 1 in send #0 of 48 f32", "expects 384 bytes in receive #0 of 96"},
      {"a large message of more", message<float, C>(40'000), message<float, C>(30'000),
       "sends 160000 bytes", "expects 120000 bytes"},
      {"a large message of fewer", message<float, C>(30'000), message<float, C>(40'000),
       "sends 120000 bytes", "expects 160000 bytes"},
      {"a message of nothing", message<float, C>(0), message<float, C>(4), "send #0 of 0 f32",
       "receive #0 of 4 f32"},
  };
}

/// Throws communication_error on every rank.
template <omnibal::tensor_channel Channel>
void run(const mismatch<Channel>& differing, Channel& channel) {
  (channel.rank() == 0 ? differing.first : differing.other)(channel);
  // Who was not concerned, or had sent its message and gone on, learns of it here.
  std::vector<float> sum(1);
  channel.all_reduce(view_of(sum), reduction::sum, {}).wait();
}

/// What is wrong with the error of a rank; empty where nothing is.
template <omnibal::tensor_channel Channel>
std::string complaint(const mismatch<Channel>& differing, std::size_t rank,
                      const std::string& error) {
  for (const std::string& part : {"rank " + std::to_string(rank) + ", ", std::string(" #"),
                                  differing.first_call, differing.other_call})
    if (error.find(part) == std::string::npos)
      return differing.name + ": \"" + error + "\" has no \"" + part + "\"";
  return "";
}

}  // namespace mismatch_checks
