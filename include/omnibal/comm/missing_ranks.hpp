// SPDX-License-Identifier: Apache-2.0
/// @file
/// Who a process waits for, asked over a communicator when a watchdog has found an operation late.
///
///     channel_watchdog watchdog({.missing = [&] { return missing_ranks(control, logs_of_all());
///     }});
///
/// Every rank whose watchdog expires calls it; a rank that is not in a late operation does not, and
/// the deadline of the communicator then names it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// For ranks that run the same program.
[[nodiscard]] std::vector<std::byte> pack_flights(std::span<const flight_log> logs);
[[nodiscard]] std::vector<flight_log> unpack_flights(std::span<const std::byte> bytes);

/// One sentence a channel.
[[nodiscard]] std::string describe_differences(std::vector<flight_log> logs);

}  // namespace detail

/// Gathers the records of channels of all ranks over `control` and says for each channel what ranks
/// are without a record, which have failed, and the first operation in which ranks differ. Where
/// ranks do not answer, says what `control` says of them. `control` has the ranks of the channels,
/// and is used for nothing else meanwhile; its deadline ends the wait for ranks that do not call.
/// O(n log n) for n operations in all.
template <communicator Communicator>
[[nodiscard]] std::string missing_ranks(Communicator& control, std::span<const flight_log> logs) {
  try {
    const auto gathered = all_gather_variable(control, detail::pack_flights(logs));
    return detail::describe_differences(detail::unpack_flights(gathered.values));
  } catch (const communication_error& error) {
    return std::string("not all ranks answer: ") + error.what();
  }
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/missing_ranks.ipp>
#endif
