// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/flight_report.hpp>
#include <omnibal/comm/missing_ranks.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

namespace detail {

static_assert(std::is_trivially_copyable_v<flight_entry>);

/// Appends a number of elements and their bytes.
template <typename Range>
void append(std::vector<std::byte>& bytes, const Range& values) {
  const std::size_t count = values.size();
  const std::size_t first = bytes.size();
  const std::size_t size = count * sizeof(typename Range::value_type);
  bytes.resize(first + sizeof(count) + size);
  std::memcpy(bytes.data() + first, &count, sizeof(count));
  if (size > 0) std::memcpy(bytes.data() + first + sizeof(count), values.data(), size);
}

/// Takes what append() has written off the front.
template <typename Range>
[[nodiscard]] Range take(std::span<const std::byte>& bytes) {
  std::size_t count = 0;
  std::memcpy(&count, bytes.data(), sizeof(count));
  Range values(count, typename Range::value_type());
  const std::size_t size = count * sizeof(typename Range::value_type);
  if (size > 0) std::memcpy(values.data(), bytes.data() + sizeof(count), size);
  bytes = bytes.subspan(sizeof(count) + size);
  return values;
}

OMNIBAL_INLINE std::vector<std::byte> pack_flights(std::span<const flight_log> logs) {
  std::vector<std::byte> bytes;
  for (const flight_log& log : logs) {
    append(bytes, log.channel);
    append(bytes, std::vector<std::size_t>{log.rank, log.size});
    append(bytes, log.failure);
    append(bytes, log.entries);
  }
  return bytes;
}

OMNIBAL_INLINE std::vector<flight_log> unpack_flights(std::span<const std::byte> bytes) {
  std::vector<flight_log> logs;
  while (!bytes.empty()) {
    flight_log& log = logs.emplace_back();
    log.channel = take<std::string>(bytes);
    const auto rank_and_size = take<std::vector<std::size_t>>(bytes);
    log.rank = rank_and_size[0];
    log.size = rank_and_size[1];
    log.failure = take<std::string>(bytes);
    log.entries = take<std::vector<flight_entry>>(bytes);
  }
  return logs;
}

OMNIBAL_INLINE std::string describe_differences(std::vector<flight_log> logs) {
  std::string text;
  for (const channel_report& channel : compare_flights(std::move(logs))) {
    std::vector<std::string> faults;
    if (!channel.absent.empty()) faults.push_back(list_ranks(channel.absent) + " without a record");
    for (const rank_failure& failure : channel.failures)
      faults.push_back(on_rank(failure.rank) + " failed: " + failure.reason);
    if (channel.difference) faults.push_back(channel.difference->explanation);
    if (faults.empty()) continue;
    text += (text.empty() ? "channel " : "; channel ") + channel.channel + ": ";
    for (std::size_t i = 0; i < faults.size(); ++i) text += (i == 0 ? "" : "; ") + faults[i];
  }
  return text.empty() ? "none, all ranks called the same" : text;
}

}  // namespace detail

}  // namespace omnibal::inline v0
