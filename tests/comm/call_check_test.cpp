// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <omnibal/comm/detail/call_check.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "catch.hpp"

namespace {

using Catch::Matchers::ContainsSubstring;
using omnibal::channel_operation;
using omnibal::element_type;
using omnibal::detail::call_check;
using omnibal::detail::call_header;
using omnibal::detail::called_message;

using body = std::function<void(const call_check&, std::size_t rank)>;

/// The error of each rank; empty where its calls fit.
std::vector<std::string> errors_of(std::size_t size, const body& run) {
  std::vector<std::string> errors(size);
  omnibal::run_as_ranks(size, [&](omnibal::thread_communicator& ranks) {
    try {
      run(call_check(ranks), ranks.rank());
    } catch (const std::runtime_error& error) {
      errors[ranks.rank()] = error.what();
    }
  });
  return errors;
}

call_header reduction_of(std::uint64_t count) {
  return {.order = 7,
          .operation = channel_operation::all_reduce,
          .type = element_type::f32,
          .count = count};
}

called_message message(std::size_t peer, bool sends, std::uint64_t count) {
  return {peer,
          sends,
          {.operation = sends ? channel_operation::send : channel_operation::receive,
           .type = element_type::f64,
           .count = count}};
}

}  // namespace

TEST_CASE("calls that are equal pass, and one that differs is reported to all") {
  const auto all_reduce_of = [](const std::vector<std::uint64_t>& counts) {
    return errors_of(counts.size(), [&](const call_check& check, std::size_t rank) {
      const std::vector<call_header> call(counts.size(), reduction_of(counts[rank]));
      check.collective(call, call);
    });
  };
  CHECK(all_reduce_of({5, 5, 5}) == std::vector<std::string>(3));
  for (const std::string& error : all_reduce_of({5, 5, 6})) {
    CHECK_THAT(error, ContainsSubstring("all_reduce, number 7 of its kind, of 5 f32"));
    CHECK_THAT(error, ContainsSubstring("rank 2"));
    CHECK_THAT(error, ContainsSubstring("all_reduce, number 7 of its kind, of 6 f32"));
  }
}

TEST_CASE("a group of messages passes in whatever order ranks call them") {
  // Every rank sends to every other one, twice, the receives of odd ranks first.
  const auto exchange = [](std::size_t size, std::uint64_t last) {
    return errors_of(size, [&](const call_check& check, std::size_t rank) {
      std::vector<called_message> messages;
      for (const bool sends : {rank % 2 == 0, rank % 2 != 0})
        for (std::size_t shift = 1; shift < size; ++shift)
          for (std::uint64_t turn = 0; turn < 2; ++turn) {
            const std::size_t peer = (rank + shift) % size;
            const std::size_t from = sends ? rank : peer;
            const bool changes = turn == 1 && from == 0 && rank == 1;
            messages.push_back(message(peer, sends, changes ? last : from * 10 + turn));
          }
      check.group(messages);
    });
  };
  for (const std::size_t size : {2U, 3U, 5U})
    CHECK(exchange(size, 1) == std::vector<std::string>(size));
  const auto errors = exchange(3, 99);
  CHECK_THAT(errors[0], ContainsSubstring("rank 0 calls send, number 0 of its kind, of 1 f64, "
                                          "rank 1 receive, number 0 of its kind, of 99 f64"));
  CHECK_THAT(errors[1], ContainsSubstring("of 99 f64"));
  CHECK_THAT(errors[2], ContainsSubstring("of 99 f64"));
}

TEST_CASE("the order of counts is part of their hash") {
  const std::vector<std::size_t> counts = {1, 2, 3};
  const std::vector<std::size_t> others = {1, 3, 2};
  CHECK(omnibal::detail::hash_of(counts) != omnibal::detail::hash_of(others));
}
