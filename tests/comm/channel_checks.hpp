// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every model of tensor_channel must do, checked on one rank of it by throwing. Every rank
/// derives what the others send from the same random numbers, so it knows what must arrive.
#pragma once

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>

#include "comm/collective_checks.hpp"

namespace channel_checks {

using collective_checks::expect;
using collective_checks::expect_throw;
using omnibal::element_type;
using omnibal::reduction;
using omnibal::view_of;

/// Small numbers, exact in every type, that tell who sends which element of what.
template <typename Element>
Element element_of(std::uint64_t seed, std::size_t rank, std::size_t index) {
  const auto number =
      static_cast<int>((seed * 31 + rank * 17 + index * 7 + (index >> 5U)) % 61) - 30;
  if constexpr (std::is_same_v<Element, omnibal::bf16>)
    return omnibal::to_bf16(static_cast<float>(number));
  else
    return static_cast<Element>(number);
}

template <typename Element>
std::vector<Element> elements_of(std::uint64_t seed, std::size_t rank, std::size_t count) {
  std::vector<Element> elements(count);
  for (std::size_t i = 0; i < count; ++i) elements[i] = element_of<Element>(seed, rank, i);
  return elements;
}

template <typename Element>
double value_of(Element element) {
  if constexpr (std::is_same_v<Element, omnibal::bf16>)
    return omnibal::to_float(element);
  else
    return static_cast<double>(element);
}

/// Zeros, ones, many, and in every third case all of it on one rank; equal on all ranks.
inline std::vector<std::size_t> random_counts(std::uint64_t seed, std::size_t ranks) {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> counts(ranks, 0);
  if (seed % 3 == 0) {
    counts[random() % ranks] = random() % 2000;
    return counts;
  }
  for (std::size_t& count : counts) count = random() % 4 == 0 ? 0 : random() % (1 + random() % 900);
  return counts;
}

inline std::size_t sum_of(std::span<const std::size_t> counts) {
  std::size_t sum = 0;
  for (const std::size_t count : counts) sum += count;
  return sum;
}

template <typename Element, omnibal::tensor_channel Channel>
void check_all_reduce(Channel& channel, std::uint64_t seed) {
  for (const reduction how : {reduction::sum, reduction::smallest, reduction::largest}) {
    const std::size_t count = random_counts(seed, channel.size())[0];
    auto values = elements_of<Element>(seed, channel.rank(), count);
    channel.all_reduce(view_of(values), how, {}).wait();
    for (std::size_t i = 0; i < count; ++i) {
      double expected = value_of(element_of<Element>(seed, 0, i));
      for (std::size_t r = 1; r < channel.size(); ++r) {
        const double other = value_of(element_of<Element>(seed, r, i));
        if (how == reduction::sum) expected += other;
        if (how == reduction::smallest) expected = std::min(expected, other);
        if (how == reduction::largest) expected = std::max(expected, other);
      }
      expect(value_of(values[i]) == expected, "all_reduce, element " + std::to_string(i));
    }
  }
}

template <typename Element, omnibal::tensor_channel Channel>
void check_reduce_scatter_and_all_gather(Channel& channel, std::uint64_t seed) {
  const auto counts = random_counts(seed, channel.size());
  const std::size_t total = sum_of(counts);
  const auto sent = elements_of<Element>(seed, channel.rank(), total);
  std::vector<Element> part(counts[channel.rank()]);
  std::vector<Element> all(total);
  auto reduced = channel.reduce_scatter(view_of(sent), view_of(part), counts, reduction::sum, {});
  auto gathered = channel.all_gather(view_of(std::as_const(part)), view_of(all), counts, {});
  gathered.wait();
  expect(reduced.done(), "operations of a channel end in their order");
  for (std::size_t i = 0; i < total; ++i) {
    double expected = 0;
    for (std::size_t r = 0; r < channel.size(); ++r)
      expected += value_of(element_of<Element>(seed, r, i));
    expect(value_of(all[i]) == expected, "reduce_scatter, then all_gather");
  }
}

template <typename Element, omnibal::tensor_channel Channel>
void check_all_to_all(Channel& channel, std::uint64_t seed) {
  const auto count = [&](std::size_t from, std::size_t to) {
    return random_counts(seed + from, channel.size())[to];
  };
  std::vector<std::size_t> sent_counts;
  std::vector<std::size_t> received_counts;
  for (std::size_t r = 0; r < channel.size(); ++r) {
    sent_counts.push_back(count(channel.rank(), r));
    received_counts.push_back(count(r, channel.rank()));
  }
  const auto sent = elements_of<Element>(seed, channel.rank(), sum_of(sent_counts));
  std::vector<Element> received(sum_of(received_counts));
  channel.all_to_all(view_of(sent), sent_counts, view_of(received), received_counts, {}).wait();
  std::size_t position = 0;
  for (std::size_t from = 0; from < channel.size(); ++from) {
    std::size_t first = 0;
    for (std::size_t r = 0; r < channel.rank(); ++r) first += count(from, r);
    for (std::size_t i = 0; i < received_counts[from]; ++i)
      expect(received[position++] == element_of<Element>(seed, from, first + i), "all_to_all");
  }
}

template <typename Element, omnibal::tensor_channel Channel>
void check_broadcast(Channel& channel, std::uint64_t seed) {
  for (std::size_t root = 0; root < channel.size(); ++root) {
    const std::size_t count = random_counts(seed + root, channel.size())[0];
    std::vector<Element> values(count);
    if (channel.rank() == root) values = elements_of<Element>(seed, root, count);
    channel.broadcast(view_of(values), root, {}).wait();
    expect(values == elements_of<Element>(seed, root, count), "broadcast");
  }
}

/// All pairs at once, as one operation, in an order that would hang without the group.
template <typename Element, omnibal::tensor_channel Channel>
void check_group(Channel& channel, std::uint64_t seed) {
  const std::size_t size = channel.size();
  const auto count = [&](std::size_t from, std::size_t to) {
    return random_counts(seed + from, size)[to];
  };
  std::vector<std::vector<Element>> sent(size);
  std::vector<std::vector<Element>> received(size);
  omnibal::in_group(channel, [&] {
    for (std::size_t r = 0; r < size; ++r) {
      if (r == channel.rank()) continue;
      sent[r] = elements_of<Element>(seed + r, channel.rank(), count(channel.rank(), r));
      received[r].resize(count(r, channel.rank()));
      channel.send(view_of(std::as_const(sent[r])), r, {});
      channel.receive(view_of(received[r]), r, {});
    }
  }).wait();
  for (std::size_t r = 0; r < size; ++r)
    if (r != channel.rank())
      expect(
          received[r] == elements_of<Element>(seed + channel.rank(), r, count(r, channel.rank())),
          "group");
}

/// A message passed around the ring, one hop after the other: work on the same memory is in order.
template <typename Element, omnibal::tensor_channel Channel>
void check_forwarding(Channel& channel, std::uint64_t seed) {
  const std::size_t size = channel.size();
  if (size == 1) return;
  const std::size_t count = random_counts(seed, size)[size - 1];
  auto values = elements_of<Element>(seed, 0, channel.rank() == 0 ? count : 0);
  values.resize(count);
  if (channel.rank() > 0) channel.receive(view_of(values), channel.rank() - 1, {});
  auto last = channel.rank() + 1 < size ? channel.send(view_of(values), channel.rank() + 1, {})
                                        : channel.send(view_of(values), 0, {});
  if (channel.rank() == 0) last = channel.receive(view_of(values), size - 1, {});
  last.wait();
  expect(values == elements_of<Element>(seed, 0, count), "forwarding");
}

template <typename Element, omnibal::tensor_channel Channel>
void check_element(Channel& channel, std::uint64_t seed) {
  check_all_to_all<Element>(channel, seed);
  check_broadcast<Element>(channel, seed);
  check_group<Element>(channel, seed);
  check_forwarding<Element>(channel, seed);
  if constexpr (!std::is_same_v<Element, std::byte>) {
    check_all_reduce<Element>(channel, seed);
    check_reduce_scatter_and_all_gather<Element>(channel, seed);
  }
}

/// The messages of an open group have not begun: who waits for one is told so, and the group goes
/// on.
template <omnibal::tensor_channel Channel>
void check_open_group(Channel& channel) {
  const std::size_t size = channel.size();
  if (size == 1) return;
  const auto sent = elements_of<float>(3, channel.rank(), 5);
  std::vector<float> received(5);
  std::vector<float> sum(1, 1.0F);
  auto before = channel.all_reduce(view_of(sum), reduction::sum, {});
  channel.begin_group();
  auto send = channel.send(view_of(sent), (channel.rank() + 1) % size, {});
  auto receive = channel.receive(view_of(received), (channel.rank() + size - 1) % size, {});
  expect_throw<omnibal::invalid_input>([&] { send.wait(); }, "wait() in an open group");
  expect_throw<omnibal::invalid_input>([&] { receive.wait(std::chrono::milliseconds(50)); },
                                       "wait(deadline) in an open group");
  expect_throw<omnibal::invalid_input>([&] { (void)receive.done(); }, "done() in an open group");
  expect_throw<omnibal::invalid_input>([&] { (void)channel.split(0, 0); },
                                       "split in an open group");
  before.wait();
  channel.end_group().wait();
  expect(send.done() && receive.done(), "the group has ended");
  expect(received == elements_of<float>(3, (channel.rank() + size - 1) % size, 5), "open group");
}

/// A negative deadline is refused, and the channel goes on; the longest one does not overflow.
template <omnibal::tensor_channel Channel>
void check_deadlines(Channel& channel) {
  using std::chrono::milliseconds;
  std::vector<float> sum(1, 1.0F);
  auto ticket = channel.all_reduce(view_of(sum), reduction::sum, {});
  for (const auto wait : {milliseconds(-1), milliseconds::min()})
    expect_throw<omnibal::invalid_input>([&] { ticket.wait(wait); }, "a negative deadline");
  ticket.wait(milliseconds::max());
  ticket.wait(milliseconds(0));
  expect(sum[0] == static_cast<float>(channel.size()), "sum");
}

/// In a group that an abort left open, the abort is what every call and ticket of rank 0 says.
template <omnibal::tensor_channel Channel>
void check_aborted_group(Channel& channel) {
  if (channel.rank() != 0) return;
  using omnibal::communication_error;
  const std::vector<float> sent(4);
  std::vector<float> sum(4);
  std::optional<typename Channel::ticket> message;
  expect_throw<std::domain_error>(
      [&] {
        omnibal::in_group(channel, [&] {
          message = channel.send(view_of(sent), (channel.rank() + 1) % channel.size(), {});
          throw std::domain_error("not a number");
        });
      },
      "an exception within a group");
  const auto fails = [](const auto& call) { expect_throw<communication_error>(call, "aborted"); };
  fails([&] { (void)channel.all_reduce(view_of(sum), reduction::sum, {}); });
  fails([&] { (void)channel.send(view_of(sent), (channel.rank() + 1) % channel.size(), {}); });
  fails([&] { (void)message->done(); });
  fails([&] { message->wait(); });
  fails([&] { channel.end_group(); });
}

/// A channel that rank 0 destroys within a group ends with an error on the others. Called by all
/// ranks with a function that opens a channel; returns the error of this one.
template <typename Open>
std::string error_of_destroyed_group(const Open& open, bool by_exception) {
  std::string error;
  std::vector<float> values(4);
  const auto run = [&](auto& channel) {
    if (channel.rank() == 0) {
      channel.begin_group();
      channel.send(view_of(values), 1, {});
      if (by_exception) throw std::domain_error("the loss is not a number");
      return;
    }
    if (channel.rank() == 1) channel.receive(view_of(values), 0, {}).wait();
    channel.all_reduce(view_of(values), reduction::sum, {}).wait();
  };
  try {
    auto channel = open();
    run(channel);
  } catch (const omnibal::communication_error& thrown) {
    error = thrown.what();
  } catch (const std::domain_error&) {
  }
  return error;
}

inline std::string expected_of_destroyed_group(bool by_exception) {
  return by_exception ? "rank 0 aborted: an exception"
                      : "rank 0 aborted: its channel was destroyed within a group";
}

/// Arguments that are wrong by themselves throw, and the channel goes on.
template <omnibal::tensor_channel Channel>
void check_preconditions(Channel& channel) {
  using omnibal::invalid_input;
  std::vector<float> values(4);
  std::vector<std::byte> bytes(4);
  std::vector<std::size_t> counts(channel.size(), 0);
  const auto view = view_of(values);
  expect_throw<invalid_input>([&] { (void)channel.send(view, channel.rank(), {}); }, "oneself");
  expect_throw<invalid_input>([&] { (void)channel.receive(view, channel.size(), {}); }, "nobody");
  expect_throw<invalid_input>([&] { (void)channel.broadcast(view, channel.size(), {}); }, "root");
  expect_throw<invalid_input>([&] { (void)channel.all_gather(view, view, counts, {}); }, "counts");
  expect_throw<invalid_input>([&] { (void)channel.all_reduce(view_of(bytes), reduction::sum, {}); },
                              "bytes");
  expect_throw<invalid_input>([&] { (void)channel.all_to_all(view, counts, view, counts, {}); },
                              "sum of counts");
  const std::vector<std::size_t> none(channel.size(), 0);
  const omnibal::tensor_view nowhere{nullptr, 4, element_type::f32};
  const omnibal::tensor_view endless{view.data, std::size_t{1} << 62U, element_type::f32};
  for (const auto& bad : {nowhere, endless}) {
    const std::size_t peer = (channel.rank() + 1) % channel.size();
    const auto refused = [](const auto& call) { expect_throw<invalid_input>(call, "no memory"); };
    if (channel.size() > 1) refused([&] { (void)channel.send(bad, peer, {}); });
    if (channel.size() > 1) refused([&] { (void)channel.receive(bad, peer, {}); });
    refused([&] { (void)channel.all_reduce(bad, reduction::sum, {}); });
    refused([&] { (void)channel.broadcast(bad, 0, {}); });
    refused([&] { (void)channel.reduce_scatter(bad, view, none, reduction::sum, {}); });
    refused([&] { (void)channel.all_gather(view, bad, none, {}); });
    refused([&] { (void)channel.all_to_all(bad, none, view, none, {}); });
  }
  counts[channel.rank()] = 4;
  expect_throw<invalid_input>([&] { (void)channel.all_gather(view, view_of(bytes), counts, {}); },
                              "types");
  expect_throw<invalid_input>([&] { (void)channel.end_group(); }, "a group that did not begin");
  expect_throw<invalid_input>([&] { (void)channel.split(-1, 0); }, "color");
  omnibal::in_group(channel, [] {}).wait();
}

template <omnibal::tensor_channel Channel>
void check_split(Channel& channel) {
  const std::size_t rank = channel.rank();
  const auto color = rank == 0 ? std::nullopt : std::optional(static_cast<int>(rank % 2));
  auto part = channel.split(color, -static_cast<int>(rank));
  expect(part.has_value() == (rank != 0), "only ranks with a color are in a part");
  if (!part) return;
  expect(part->size() == (channel.size() - (rank % 2 == 0 ? 1 : 0)) / 2, "size of the part");
  std::vector<std::int64_t> sum = {static_cast<std::int64_t>(rank)};
  part->all_reduce(view_of(sum), reduction::sum, {}).wait();
  std::int64_t expected = 0;
  for (std::size_t r = 1; r < channel.size(); ++r)
    if (r % 2 == rank % 2) expected += static_cast<std::int64_t>(r);
  expect(sum[0] == expected, "sum over the part");
  // Split once more: every channel has a name of its own, in its flight record.
  auto next = part->split(0, 0);
  const std::string whole = channel.log().channel;
  const std::string ending = "/" + std::to_string(*color);
  const std::string name = part->log().channel;
  expect(name.starts_with(whole + "/") && name.ends_with(ending), "name of a part: " + name);
  expect(next->log().channel == name + "/0/0", "name of a part of it: " + next->log().channel);
}

/// Rank 0 aborts a part of all ranks in reverse order, which throws on the others.
template <omnibal::tensor_channel Channel>
void abort_part(Channel& channel) {
  auto part = channel.split(0, -static_cast<int>(channel.rank()));
  std::vector<float> values(4);
  part->all_reduce(view_of(values), reduction::sum, {}).wait();  // the part is open on all ranks
  if (channel.rank() == 0) return part->abort("stopped");
  part->all_reduce(view_of(values), reduction::sum, {}).wait();
}

/// What is wrong with what they throw: ranks of a part are numbered anew, so it says which they
/// are.
inline std::string complaint_of_aborted_part(const std::string& error, std::size_t size,
                                             const std::string& whole) {
  std::string ranks;
  for (std::size_t r = size; r-- > 0 && size - r <= 8;)
    ranks += (ranks.empty() ? "" : ", ") + std::to_string(r);
  if (size > 8) ranks += ", ... of " + std::to_string(size);
  const bool is_right =
      error.find(": rank " + std::to_string(size - 1) + " aborted: stopped") != std::string::npos &&
      error.ends_with(" (in a part: ranks " + ranks + " of " + whole + ")");
  return is_right ? "" : "an error of a part: " + error;
}

/// Channels that are split off one after the other by the same colors have names of their own.
template <omnibal::tensor_channel Channel>
void check_names(Channel& channel) {
  const auto first = channel.split(0, 0);
  const auto second = channel.split(0, 0);
  expect(first->log().channel != second->log().channel, "names of two splits");
}

/// Everything above, `rounds` times with other sizes. Called by all ranks.
template <omnibal::tensor_channel Channel>
void check_channel(Channel& channel, std::uint64_t rounds) {
  check_preconditions(channel);
  check_open_group(channel);
  check_deadlines(channel);
  for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
    check_element<std::byte>(channel, seed);
    check_element<omnibal::bf16>(channel, seed);
    check_element<float>(channel, seed);
    check_element<double>(channel, seed);
    check_element<std::int64_t>(channel, seed);
  }
  check_split(channel);
  check_names(channel);
}

}  // namespace channel_checks
