// SPDX-License-Identifier: Apache-2.0
/// @file
/// Typed collective operations over any communicator: barrier, broadcast, gather, exchange and
/// reduction of values. Every rank must call them in the same order; all block. Values are sent as
/// their bytes, so all machines must have the same architecture.
///
///     const std::int64_t total = all_reduce_sum(ranks, own_cost);
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>

namespace omnibal::inline v0 {

/// A type that can be sent as bytes. Not pointers, which are invalid on other ranks, and not bool,
/// since vectors of bool are not contiguous.
template <typename Type>
concept transferable = std::is_trivially_copyable_v<Type> && std::default_initializable<Type> &&
                       !std::is_pointer_v<Type> &&
                       !std::same_as<Type, bool>;

/// A contiguous range of transferable values.
template <typename Range>
concept transferable_range = std::ranges::contiguous_range<Range> &&
    std::ranges::sized_range<Range> && transferable<std::ranges::range_value_t<Range>>;

/// Values received from all ranks, those of rank r at values[offsets[r] .. offsets[r + 1]).
template <transferable Value>
struct values_by_rank {
  std::vector<std::size_t> offsets = {0};
  std::vector<Value> values = {};

  /// The number of ranks.
  [[nodiscard]] std::size_t size() const noexcept { return offsets.size() - 1; }
  [[nodiscard]] std::span<const Value> operator[](std::size_t rank) const noexcept {
    return std::span(values).subspan(offsets[rank], offsets[rank + 1] - offsets[rank]);
  }
};

namespace detail {

template <transferable_range Range>
[[nodiscard]] std::span<const std::byte> bytes_of(const Range& values) noexcept {
  return std::as_bytes(std::span(std::ranges::data(values), std::ranges::size(values)));
}

template <typename Value>
[[nodiscard]] std::vector<std::size_t> in_bytes(std::span<const std::size_t> counts) {
  std::vector<std::size_t> bytes;
  bytes.reserve(counts.size());
  for (const std::size_t count : counts)
    bytes.push_back(checked_multiply(count, sizeof(Value), "counts"));
  return bytes;
}

/// Values with space for `counts[r]` from each rank r.
template <typename Value>
[[nodiscard]] values_by_rank<Value> space_for(std::span<const std::size_t> counts) {
  values_by_rank<Value> gathered;
  for (const std::size_t count : counts)
    gathered.offsets.push_back(checked_add(gathered.offsets.back(), count, "counts"));
  gathered.values.resize(gathered.offsets.back());
  return gathered;
}

}  // namespace detail

/// Returns when every rank has called it. One message of one byte.
template <communicator Communicator>
void barrier(Communicator& ranks) {
  const std::byte token{};
  std::vector<std::byte> tokens(ranks.size());
  const std::vector<std::size_t> counts(ranks.size(), 1);
  ranks.all_gather_bytes(std::span(&token, 1), tokens, counts);
}

/// Copies the values of `root` to all ranks. The ranges of all ranks must have the same size.
template <communicator Communicator, transferable_range Range>
void broadcast(Communicator& ranks, Range&& values, std::size_t root) {
  const std::span writable(std::ranges::data(values), std::ranges::size(values));
  ranks.broadcast_bytes(std::as_writable_bytes(writable), root);
}

/// The values of all ranks, in rank order. The ranges of all ranks must have the same size.
template <communicator Communicator, transferable_range Range>
[[nodiscard]] auto all_gather(Communicator& ranks, const Range& values) {
  using value = std::ranges::range_value_t<Range>;
  const auto sent = detail::bytes_of(values);
  const std::vector<std::size_t> counts(ranks.size(), sent.size());
  std::vector<value> gathered(
      checked_multiply(ranks.size(), std::size_t{std::ranges::size(values)}, "values"));
  ranks.all_gather_bytes(sent, std::as_writable_bytes(std::span(gathered)), counts);
  return gathered;
}

/// One value from every rank, in rank order.
template <communicator Communicator, transferable Value>
[[nodiscard]] std::vector<Value> all_gather_value(Communicator& ranks, const Value& value) {
  return all_gather(ranks, std::span(&value, 1));
}

/// The values of all ranks, whose ranges may differ in size. Two messages: counts, then values.
template <communicator Communicator, transferable_range Range>
[[nodiscard]] auto all_gather_variable(Communicator& ranks, const Range& values) {
  using value = std::ranges::range_value_t<Range>;
  const auto counts = all_gather_value(ranks, std::size_t{std::ranges::size(values)});
  auto gathered = detail::space_for<value>(counts);
  ranks.all_gather_bytes(detail::bytes_of(values),
                         std::as_writable_bytes(std::span(gathered.values)),
                         detail::in_bytes<value>(counts));
  return gathered;
}

/// Sends the first counts[0] values to rank 0, the next counts[1] to rank 1 and so on; returns
/// the values that all ranks sent to this one. Two messages: counts, then values. Throws
/// invalid_input unless there is one count per rank and they add up to the number of values.
template <communicator Communicator, transferable_range Range>
[[nodiscard]] auto all_to_all_variable(Communicator& ranks, const Range& values,
                                       std::span<const std::size_t> counts) {
  using value = std::ranges::range_value_t<Range>;
  detail::require_counts("counts", counts, ranks.size(), std::ranges::size(values));
  const std::vector<std::size_t> one_count(ranks.size(), sizeof(std::size_t));
  std::vector<std::size_t> received_counts(ranks.size());
  ranks.all_to_all_bytes(std::as_bytes(counts), one_count,
                         std::as_writable_bytes(std::span(received_counts)), one_count);
  auto received = detail::space_for<value>(received_counts);
  ranks.all_to_all_bytes(detail::bytes_of(values), detail::in_bytes<value>(counts),
                         std::as_writable_bytes(std::span(received.values)),
                         detail::in_bytes<value>(received_counts));
  return received;
}

/// Reduction combine(… combine(combine(v₀, v₁), v₂) …, vₙ₋₁) of the ranks' values. Every rank folds
/// in rank order, so all get identical bits, also for doubles. For few values, since each rank
/// receives all of them.
template <communicator Communicator, transferable Value, typename Combine>
requires std::is_invocable_r_v<Value, const Combine&, const Value&, const Value&>
[[nodiscard]] Value all_reduce(Communicator& ranks, const Value& value, const Combine& combine) {
  const std::vector<Value> values = all_gather_value(ranks, value);
  Value result = values.front();
  for (std::size_t r = 1; r < values.size(); ++r) result = combine(result, values[r]);
  return result;
}

/// The sum of the ranks' values. Throws invalid_input on every rank when an integer sum overflows
/// its type.
template <communicator Communicator, transferable Value>
requires std::integral<Value> || std::floating_point<Value>
[[nodiscard]] Value all_reduce_sum(Communicator& ranks, Value value) {
  return all_reduce(ranks, value, [](Value left, Value right) {
    if constexpr (std::integral<Value>)
      return checked_add(left, right, "sum over ranks");
    else
      return left + right;
  });
}

}  // namespace omnibal::inline v0
