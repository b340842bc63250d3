// SPDX-License-Identifier: Apache-2.0
// What a communicator of a program's own has to offer, which values may be sent, and which errors
// ranks throw.
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <omnibal/comm.hpp>

#include "statements.hpp"

namespace omnibal::statements {

// ---- a user's own communicator needs nine functions, no base class -----------------------------

template <typename Self>
struct nine_functions {
  [[nodiscard]] std::size_t rank() const;
  [[nodiscard]] std::size_t size() const;
  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root);
  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts);
  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts);
  void send_bytes(std::span<const std::byte> sent, std::size_t to);
  void receive_bytes(std::span<std::byte> received, std::size_t from);
  [[nodiscard]] std::optional<Self> split(std::optional<int> color, int key);
  void abort(std::string_view reason) noexcept;
};
struct alone : nine_functions<alone> {};
struct without_exchange : nine_functions<without_exchange> {
  void all_to_all_bytes();
};
struct without_parts : nine_functions<without_parts> {
  void split();
};
struct with_signed_rank : nine_functions<with_signed_rank> {
  [[nodiscard]] int rank() const;
};
struct that_returns_errors : nine_functions<that_returns_errors> {
  int broadcast_bytes(std::span<std::byte> buffer, std::size_t root);
};
struct whose_abort_throws : nine_functions<whose_abort_throws> {
  void abort(std::string_view reason);
};
static_assert(tensor_channel<thread_channel> && !tensor_channel<alone>);
static_assert(communicator<alone> && communicator<thread_communicator>);
static_assert(!communicator<without_exchange> && !communicator<int>);
static_assert(!communicator<without_parts> && !communicator<with_signed_rank>);
static_assert(!communicator<whose_abort_throws>);
static_assert(!communicator<that_returns_errors>);  // errors are thrown
static_assert(!communicator<const thread_communicator>);

static_assert(!std::is_copy_constructible_v<thread_communicator>);
static_assert(std::is_nothrow_move_constructible_v<thread_communicator>);
static_assert(plain_with_defaults<thread_communicator_options>);
static_assert(thread_communicator_options{}.deadline == std::chrono::minutes(5));

// ---- which values may be sent ------------------------------------------------------------------

struct message {
  std::uint32_t step;
  std::array<std::int64_t, 2> loads;
};
static_assert(transferable<std::int64_t> && transferable<double> && transferable<message>);
static_assert(!transferable<bool> && !transferable<int*> && !transferable<std::string>);
static_assert(!transferable<std::vector<int>> && !transferable<const int&>);
static_assert(transferable_range<std::vector<int>> && transferable_range<std::span<const message>>);
static_assert(transferable_range<const std::array<double, 3>> && transferable_range<std::string>);
static_assert(!transferable_range<std::vector<bool>> && !transferable_range<std::list<int>>);
static_assert(!transferable_range<std::vector<std::string>> && !transferable_range<int>);

static_assert(std::is_same_v<decltype(all_gather_value(std::declval<alone&>(), message())),
                             std::vector<message>>);
static_assert(std::is_same_v<decltype(all_reduce_sum(std::declval<alone&>(), 1.5)), double>);
static_assert(plain_with_defaults<values_by_rank<int>>);

// ---- errors ------------------------------------------------------------------------------------

static_assert(std::derived_from<communication_error, std::runtime_error>);
static_assert(std::derived_from<plan_divergence, std::runtime_error>);
static_assert(std::is_copy_constructible_v<communication_error>);
static_assert(std::is_copy_constructible_v<plan_divergence>);

}  // namespace omnibal::statements
