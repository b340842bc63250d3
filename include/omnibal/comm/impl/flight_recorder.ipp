// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::string describe(const flight_entry& entry) {
  std::string text = std::string(name_of(entry.operation)) + " #" + std::to_string(entry.sequence) +
                     " of " + std::to_string(entry.count) + " " + std::string(name_of(entry.type));
  if (entry.how) text += ", " + std::string(name_of(*entry.how));
  text += ", " + std::to_string(entry.bytes) + " bytes";
  if (!entry.peer) return text;
  const bool receives = entry.operation == channel_operation::receive ||
                        entry.operation == channel_operation::broadcast;
  return text + (receives ? ", from rank " : ", to rank ") + std::to_string(*entry.peer);
}

OMNIBAL_INLINE flight_recorder::flight_recorder() : ring_(capacity) {}

OMNIBAL_INLINE void flight_recorder::issue(const flight_entry& entry) {
  const std::scoped_lock lock(mutex_);
  flight_entry& slot = ring_[issued_++ % capacity];
  slot = entry;
  slot.issued = now();
}

OMNIBAL_INLINE void flight_recorder::start(std::uint64_t sequence) {
  mark(sequence, &flight_entry::started);
}

OMNIBAL_INLINE void flight_recorder::end(std::uint64_t sequence) {
  mark(sequence, &flight_entry::ended);
}

OMNIBAL_INLINE std::vector<flight_entry> flight_recorder::entries() const {
  const std::scoped_lock lock(mutex_);
  std::vector<flight_entry> entries;
  for (std::uint64_t i = issued_ - std::min<std::uint64_t>(issued_, capacity); i < issued_; ++i)
    entries.push_back(ring_[i % capacity]);
  return entries;
}

OMNIBAL_INLINE std::optional<flight_entry> flight_recorder::oldest_unfinished() const {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t oldest = issued_ - std::min<std::uint64_t>(issued_, capacity);
  unfinished_ = std::max(unfinished_, oldest);
  while (unfinished_ < issued_ && ring_[unfinished_ % capacity].ended != 0) ++unfinished_;
  if (unfinished_ == issued_) return std::nullopt;
  return ring_[unfinished_ % capacity];
}

OMNIBAL_INLINE std::int64_t flight_recorder::now() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

OMNIBAL_INLINE void flight_recorder::mark(std::uint64_t sequence,
                                          std::int64_t flight_entry::*when) {
  const std::scoped_lock lock(mutex_);
  flight_entry& slot = ring_[sequence % capacity];
  if (slot.sequence == sequence) slot.*when = now();
}

namespace detail {

[[nodiscard]] inline std::string json_string(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      quoted.append({'\\', c});
    else if (code < 0x20)
      quoted.append("\\u00").append({digits[code >> 4U], digits[code & 15U]});
    else
      quoted += c;
  }
  return quoted + "\"";
}

[[nodiscard]] inline std::string to_json(const flight_entry& entry) {
  std::string text =
      "{\"sequence\":" + std::to_string(entry.sequence) + ",\"operation\":\"" +
      std::string(name_of(entry.operation)) + "\",\"type\":\"" + std::string(name_of(entry.type)) +
      "\",\"count\":" + std::to_string(entry.count) + ",\"bytes\":" + std::to_string(entry.bytes);
  if (entry.peer) text += ",\"peer\":" + std::to_string(*entry.peer);
  if (entry.how) text += ",\"reduction\":\"" + std::string(name_of(*entry.how)) + "\"";
  return text + ",\"order\":" + std::to_string(entry.order) +
         ",\"issued_ns\":" + std::to_string(entry.issued) +
         ",\"started_ns\":" + std::to_string(entry.started) +
         ",\"ended_ns\":" + std::to_string(entry.ended) + "}";
}

}  // namespace detail

OMNIBAL_INLINE std::string to_json(const flight_log& log) {
  std::string text = "{\"version\":1,\"channel\":" + detail::json_string(log.channel) +
                     ",\"rank\":" + std::to_string(log.rank) +
                     ",\"size\":" + std::to_string(log.size) +
                     ",\"failure\":" + detail::json_string(log.failure) + ",\"operations\":[";
  for (std::size_t i = 0; i < log.entries.size(); ++i)
    text += (i == 0 ? "\n" : ",\n") + detail::to_json(log.entries[i]);
  return text + "\n]}\n";
}

namespace detail {

/// What must be equal on the ranks that take part, apart from which rank is sender and receiver.
[[nodiscard]] inline bool agree(const flight_entry& left, const flight_entry& right) {
  if (left.type != right.type || left.count != right.count) return false;
  if (left.operation <= channel_operation::receive) return true;  // a message
  // Records of older versions do not say how.
  const bool reduces_alike = !left.how || !right.how || left.how == right.how;
  return left.operation == right.operation && left.peer == right.peer && reduces_alike;
}

[[nodiscard]] inline std::string did_not_call(const flight_log& log) {
  if (log.entries.empty()) return "rank " + std::to_string(log.rank) + " called nothing";
  return "rank " + std::to_string(log.rank) + " did not call it, its last is " +
         describe(log.entries.back());
}

/// The operations of a log that other ranks take part in too, by (sender, receiver, order);
/// collective operations have the same number in place of both.
using flight_key = std::tuple<std::size_t, std::size_t, std::uint64_t>;
[[nodiscard]] inline flight_key key_of(const flight_log& log, const flight_entry& entry) {
  if (entry.operation == channel_operation::send) return {log.rank, *entry.peer, entry.order};
  if (entry.operation == channel_operation::receive) return {*entry.peer, log.rank, entry.order};
  return {log.size, log.size, entry.order};
}

class flight_comparison {
 public:
  explicit flight_comparison(std::span<const flight_log> logs) : logs_(logs) {
    for (const flight_log& log : logs_)
      for (const flight_entry& entry : log.entries) {
        const flight_key key = key_of(log, entry);
        calls_[key].emplace_back(&log, &entry);
        auto& [low, high] = spans_
                                .try_emplace({log.rank, std::get<0>(key), std::get<1>(key)},
                                             entry.order, entry.order)
                                .first->second;
        low = std::min(low, entry.order);
        high = std::max(high, entry.order);
      }
  }

  [[nodiscard]] std::optional<flight_difference> first() const {
    std::optional<flight_difference> found;
    for (const auto& [key, calls] : calls_) {
      const auto explanation = differs(key, calls);
      const auto& [log, entry] = calls.front();
      if (explanation && (!found || entry->sequence < found->sequence))
        found = {log->channel, log->rank, entry->sequence, *explanation};
    }
    return found;
  }

 private:
  using call = std::pair<const flight_log*, const flight_entry*>;

  [[nodiscard]] std::optional<std::string> differs(const flight_key& key,
                                                   const std::vector<call>& calls) const {
    const auto& [first_log, first] = calls.front();
    const std::string text =
        "rank " + std::to_string(first_log->rank) + " called " + describe(*first);
    for (const auto& [log, entry] : calls)
      if (!agree(*first, *entry))
        return text + ", rank " + std::to_string(log->rank) + " called " + describe(*entry);
    for (const flight_log& log : logs_)
      if (takes_part(log, key) && !has(log, key, calls)) return text + "; " + did_not_call(log);
    return std::nullopt;
  }

  [[nodiscard]] static bool takes_part(const flight_log& log, const flight_key& key) {
    const auto& [from, to, order] = key;
    return from == log.size || from == log.rank || to == log.rank;
  }

  /// Also true for operations so old that the rank has forgotten them.
  [[nodiscard]] bool has(const flight_log& log, const flight_key& key,
                         const std::vector<call>& calls) const {
    if (std::ranges::any_of(calls, [&](const call& each) { return each.first == &log; }))
      return true;
    const auto found = spans_.find({log.rank, std::get<0>(key), std::get<1>(key)});
    if (found != spans_.end()) return std::get<2>(key) < found->second.first;
    return log.entries.size() == flight_recorder::capacity;
  }

  std::span<const flight_log> logs_;
  std::map<flight_key, std::vector<call>> calls_;
  std::map<std::tuple<std::size_t, std::size_t, std::size_t>,
           std::pair<std::uint64_t, std::uint64_t>>
      spans_;
};

}  // namespace detail

OMNIBAL_INLINE std::optional<flight_difference> first_difference(std::span<const flight_log> logs) {
  return detail::flight_comparison(logs).first();
}

}  // namespace omnibal::inline v0
