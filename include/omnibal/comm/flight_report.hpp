// SPDX-License-Identifier: Apache-2.0
/// @file
/// The flight records of a whole run, of any channels and ranks in any order, compared channel by
/// channel: who is absent, who failed and why, and the first operation in which ranks differ.
///
///     for (const omnibal::channel_report& channel : omnibal::compare_flights(logs))
///       if (channel.difference) std::cerr << channel.difference->explanation << '\n';
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/config.hpp>

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

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/flight_report.ipp>
#endif
