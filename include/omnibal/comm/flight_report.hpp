// SPDX-License-Identifier: Apache-2.0
/// @file
/// The flight records of a whole run, of any channels and ranks in any order, compared channel by
/// channel: who is absent, who failed and why, and the first operation in which ranks differ.
///
///     for (const omnibal::channel_report& channel : omnibal::compare_flights(logs))
///       if (channel.difference) std::cerr << channel.difference->explanation << '\n';
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// What a rank says of its failure.
struct rank_failure {
  std::size_t rank = 0;
  std::string reason = {};
};

/// The records of one channel, compared.
struct channel_report {
  std::string channel = {};
  std::size_t ranks = 1;                             ///< Of the channel.
  std::vector<std::size_t> absent = {};              ///< Ranks without a record, ascending.
  std::vector<rank_failure> failures = {};           ///< By ascending rank.
  std::optional<flight_difference> difference = {};  ///< The first one; absent where none differ.
};

/// Compares the records of every channel, by ascending name. Throws invalid_input naming the record
/// for a rank that is not below its size or has two records of a channel, for another size than
/// other records of the channel have, and for a message whose peer is no other rank.
/// O(n log n) for n operations in all, and the ranks.
[[nodiscard]] std::vector<channel_report> compare_flights(std::vector<flight_log> logs);

namespace detail {

/// Throws unless every operation of a record can be looked up on its peer.
inline void expect_comparable(const flight_log& log, std::size_t index) {
  if (log.rank >= log.size)
    throw invalid_input("logs[].rank", index, log.rank,
                        "must be less than the size, " + std::to_string(log.size));
  for (std::size_t i = 0; i < log.entries.size(); ++i) {
    const flight_entry& entry = log.entries[i];
    if (entry.operation > channel_operation::receive) continue;
    if (!entry.peer || *entry.peer >= log.size || *entry.peer == log.rank)
      throw invalid_input("logs[].entries[].peer", {index, i},
                          entry.peer ? std::to_string(*entry.peer) : "nothing",
                          "must be another rank");
  }
}

/// The records by channel, each rank once.
[[nodiscard]] inline std::map<std::string, std::vector<flight_log>> by_channel(
    std::vector<flight_log> logs) {
  std::map<std::string, std::vector<flight_log>> channels;
  for (std::size_t k = 0; k < logs.size(); ++k) {
    expect_comparable(logs[k], k);
    std::vector<flight_log>& others = channels[logs[k].channel];
    for (const flight_log& other : others) {
      if (other.rank == logs[k].rank)
        throw invalid_input("logs[].rank", k, logs[k].rank,
                            "is in another record of this channel too");
      if (other.size != logs[k].size)
        throw invalid_input("logs[].size", k, logs[k].size,
                            "must be that of the other records, " + std::to_string(other.size));
    }
    others.push_back(std::move(logs[k]));
  }
  for (auto& [name, some] : channels) std::ranges::sort(some, {}, &flight_log::rank);
  return channels;
}

/// Of records by ascending rank.
[[nodiscard]] inline channel_report report_of(const std::string& name,
                                              std::span<const flight_log> logs) {
  channel_report report{.channel = name, .ranks = logs.front().size};
  std::size_t next = 0;
  for (std::size_t rank = 0; rank < report.ranks; ++rank)
    if (next < logs.size() && logs[next].rank == rank)
      ++next;
    else
      report.absent.push_back(rank);
  for (const flight_log& log : logs)
    if (!log.failure.empty()) report.failures.push_back({log.rank, log.failure});
  report.difference = first_difference(logs);
  return report;
}

}  // namespace detail

inline std::vector<channel_report> compare_flights(std::vector<flight_log> logs) {
  std::vector<channel_report> reports;
  for (const auto& [name, some] : detail::by_channel(std::move(logs)))
    reports.push_back(detail::report_of(name, some));
  return reports;
}

}  // namespace omnibal::inline v0
