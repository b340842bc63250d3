// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/detail/meeting_point.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "comm/collective_checks.hpp"

namespace {

using omnibal::communication_error;
using omnibal::run_as_ranks;
using omnibal::thread_communicator;

static_assert(omnibal::communicator<thread_communicator>);

/// The error of each rank when `body` runs as `size` ranks; "" for those without one.
template <typename Body>
std::vector<std::string> errors_of(std::size_t size, const Body& body,
                                   const omnibal::thread_communicator_options& options = {}) {
  std::vector<std::string> errors(size);
  run_as_ranks(
      size,
      [&](thread_communicator& ranks) {
        try {
          body(ranks);
        } catch (const communication_error& error) {
          errors[ranks.rank()] = error.what();
        }
      },
      options);
  return errors;
}

}  // namespace

TEST_CASE("ranks as threads do what every communicator must") {
  for (std::size_t size = 1; size <= 8; ++size)
    REQUIRE_NOTHROW(run_as_ranks(
        size, [](thread_communicator& ranks) { collective_checks::check_communicator(ranks); }));
}

TEST_CASE("many operations in a row keep the ranks apart and together") {
  run_as_ranks(4, [](thread_communicator& ranks) {
    for (int round = 0; round < 500; ++round) collective_checks::check_all_gather_variable(ranks);
  });
}

TEST_CASE("no rank passes a barrier before all have come") {
  std::atomic<int> came = 0;
  std::atomic<bool> early = false;
  run_as_ranks(8, [&](thread_communicator& ranks) {
    ++came;
    omnibal::barrier(ranks);
    if (came != 8) early = true;
  });
  CHECK_FALSE(early);
}

TEST_CASE("a group needs a rank") {
  CHECK_THROWS_AS(omnibal::make_thread_communicators(0), omnibal::invalid_input);
}

TEST_CASE("different operations are an error on every rank that says who called what") {
  const auto errors = errors_of(3, [](thread_communicator& ranks) {
    omnibal::barrier(ranks);
    std::array<int, 2> values{};
    if (ranks.rank() == 2)
      omnibal::broadcast(ranks, values, 0);
    else
      (void)omnibal::all_gather(ranks, values);
  });
  CHECK(errors[0] == "rank 0, all_gather #1: rank 0 called all_gather, rank 2 called broadcast");
  CHECK(errors[1] == "rank 1, all_gather #1: rank 0 called all_gather, rank 2 called broadcast");
  CHECK(errors[2] == "rank 2, broadcast #1: rank 0 called all_gather, rank 2 called broadcast");
}

TEST_CASE("broadcasts of different sizes or roots are an error") {
  const auto sizes = errors_of(2, [](thread_communicator& ranks) {
    std::vector<char> values(ranks.rank() == 0 ? 16 : 12);
    omnibal::broadcast(ranks, values, 0);
  });
  CHECK(sizes[0] == "rank 0, broadcast #0: rank 0 broadcasts 16 bytes, rank 1 12");
  const auto roots = errors_of(2, [](thread_communicator& ranks) {
    std::array<char, 4> values{};
    omnibal::broadcast(ranks, values, ranks.rank());
  });
  CHECK(roots[1] == "rank 1, broadcast #0: rank 0 broadcasts from rank 0, rank 1 from rank 1");
}

TEST_CASE("an all_gather of different sizes is an error") {
  const auto errors = errors_of(3, [](thread_communicator& ranks) {
    (void)omnibal::all_gather(ranks, std::vector<char>(ranks.rank() == 1 ? 5 : 4));
  });
  for (const std::string& error : errors)
    CHECK_THAT(error, Catch::Matchers::ContainsSubstring(
                          "rank 0 sends 4 bytes to rank 1, which expects 5"));
}

TEST_CASE("an all_to_all whose counts do not fit is an error") {
  const auto errors = errors_of(2, [](thread_communicator& ranks) {
    const std::array<std::byte, 2> sent{};
    std::array<std::byte, 3> received{};
    const std::array<std::size_t, 2> sent_counts = {1, 1};
    const std::array<std::size_t, 2> received_counts = {1, 2};
    ranks.all_to_all_bytes(sent, sent_counts, received, received_counts);
  });
  CHECK(errors[0] == "rank 0, all_to_all #0: rank 1 sends 1 bytes to rank 0, which expects 2");
}

TEST_CASE("an exception on one rank ends the others and is the one rethrown") {
  std::atomic<int> informed = 0;
  const auto body = [&](thread_communicator& ranks) {
    omnibal::barrier(ranks);
    if (ranks.rank() == 2) throw std::domain_error("the loss is not a number");
    try {
      omnibal::barrier(ranks);
    } catch (const communication_error& error) {
      if (std::string(error.what()).find("rank 2 has left") != std::string::npos) ++informed;
      throw;
    }
  };
  CHECK_THROWS_AS(run_as_ranks(4, body), std::domain_error);
  CHECK(informed == 3);
}

TEST_CASE("a rank that ends early does not leave the others waiting") {
  const auto errors = errors_of(3, [](thread_communicator& ranks) {
    if (ranks.rank() != 1) omnibal::barrier(ranks);
  });
  CHECK(errors[0] == "rank 0, all_gather #0: rank 1 has left");
  CHECK(errors[1].empty());
  CHECK(errors[2] == "rank 2, all_gather #0: rank 1 has left");
}

TEST_CASE("ranks that already wait get an error when another leaves") {
  const auto errors =
      errors_of(3,
                [](thread_communicator& ranks) {
                  // Gives the others time to wait; the errors are the same if they do not.
                  if (ranks.rank() == 1)
                    return std::this_thread::sleep_for(std::chrono::milliseconds(20));
                  omnibal::barrier(ranks);
                },
                {.deadline = std::chrono::seconds(30)});
  CHECK(errors[0] == "rank 0, all_gather #0: rank 1 has left");
  CHECK(errors[2] == "rank 2, all_gather #0: rank 1 has left");
}

TEST_CASE("an argument that is wrong on one rank does not leave the others waiting") {
  const auto body = [](thread_communicator& ranks) {
    std::array<int, 2> values{};
    omnibal::broadcast(ranks, values, ranks.rank() == 0 ? 9 : 0);
  };
  CHECK_THROWS_AS(run_as_ranks(3, body), omnibal::invalid_input);
}

TEST_CASE("a rank may wait for ever, and no negative time") {
  run_as_ranks(3,
               [](thread_communicator& rank) {
                 if (rank.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
                 barrier(rank);
               },
               {.deadline = std::chrono::milliseconds::max()});
  for (const auto deadline : {std::chrono::milliseconds(-1), std::chrono::milliseconds::min()})
    CHECK_THROWS_WITH(omnibal::make_thread_communicators(2, {.deadline = deadline}),
                      Catch::Matchers::ContainsSubstring("milliseconds must not be negative"));
}

TEST_CASE("a rank that does not come by the deadline is named") {
  std::latch others_gave_up(2);
  const auto errors = errors_of(3,
                                [&](thread_communicator& ranks) {
                                  if (ranks.rank() == 1) return others_gave_up.wait();
                                  try {
                                    omnibal::barrier(ranks);
                                  } catch (...) {
                                    others_gave_up.count_down();
                                    throw;
                                  }
                                },
                                {.deadline = std::chrono::milliseconds(20)});
  // Where the other one is late as well, both are named.
  for (const std::size_t r : {0U, 2U})
    CHECK_THAT(errors[r],
               Catch::Matchers::Matches(
                   "rank [02], all_gather #0: ranks? (0, )?1(, 2)? did not come within 20 ms"));
}

TEST_CASE("a message of another size than expected is an error on both sides") {
  for (const std::size_t sent : {3U, 9U}) {
    const auto errors = errors_of(2, [&](thread_communicator& ranks) {
      std::vector<std::byte> bytes(ranks.rank() == 0 ? sent : 4);
      if (ranks.rank() == 0)
        ranks.send_bytes(bytes, 1);
      else
        ranks.receive_bytes(bytes, 0);
    });
    const std::string reason =
        "rank 0 sends " + std::to_string(sent) + " bytes to rank 1, which expects 4";
    CHECK(errors[0] == "rank 0, send #0: " + reason);
    CHECK(errors[1] == "rank 1, receive #0: " + reason);
  }
}

TEST_CASE("two ranks that both send first get an error at the deadline") {
  const auto errors = errors_of(2,
                                [](thread_communicator& ranks) {
                                  std::array<std::byte, 4> bytes{};
                                  ranks.send_bytes(bytes, 1 - ranks.rank());
                                  ranks.receive_bytes(bytes, 1 - ranks.rank());
                                },
                                {.deadline = std::chrono::milliseconds(20)});
  for (const std::size_t r : {0U, 1U})
    CHECK_THAT(errors[r], Catch::Matchers::ContainsSubstring("did not come within 20 ms"));
}

TEST_CASE("a rank that leaves ends a message with it") {
  const auto errors = errors_of(3, [](thread_communicator& ranks) {
    std::array<std::byte, 4> bytes{};
    if (ranks.rank() == 0) ranks.send_bytes(bytes, 2);
    if (ranks.rank() == 1) ranks.receive_bytes(bytes, 2);
  });
  // The other of the two may fail first, and is then the one that has left.
  for (const std::size_t r : {0U, 1U})
    CHECK_THAT(errors[r], Catch::Matchers::ContainsSubstring("has left"));
}

TEST_CASE("an abort ends all ranks, also those that wait in a part") {
  const auto errors = errors_of(4, [](thread_communicator& ranks) {
    auto part = ranks.split(static_cast<int>(ranks.rank() % 2), 0);
    if (ranks.rank() == 3) return ranks.abort("the loss is not a number");
    if (ranks.rank() == 1)
      omnibal::barrier(*part);
    else
      omnibal::barrier(ranks);
  });
  for (const std::size_t r : {0U, 2U})
    CHECK(errors[r] == "rank " + std::to_string(r) +
                           ", all_gather #1: rank 3 aborted: the loss is not a number");
  CHECK(errors[1] == "rank 0, all_gather #0: rank 3 aborted: the loss is not a number");
}

TEST_CASE("an abort after all have met keeps nobody from departing") {
  const auto meet = [](omnibal::detail::meeting_point& meeting, std::size_t rank, bool aborts) {
    try {
      (void)meeting.arrive(rank, {.operation = "split"});
      if (aborts) meeting.abort(1, "the loss is not a number");
      meeting.depart();
    } catch (const communication_error&) {
      return true;
    }
    return false;
  };
  for (int round = 0; round < 300; ++round) {
    omnibal::detail::meeting_point meeting(2, std::chrono::seconds(30));
    auto first = std::async(std::launch::async, meet, std::ref(meeting), 0, false);
    // Gives the first one time to wait; the end is the same if it does not.
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    auto second = std::async(std::launch::async, meet, std::ref(meeting), 1, true);
    for (auto* each : {&first, &second})
      if (each->wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
        std::fprintf(stderr, "round %d hangs\n", round);
        std::_Exit(1);  // its threads cannot be ended otherwise
      }
    CHECK_FALSE(first.get());
    CHECK_FALSE(second.get());
    CHECK(meet(meeting, 0, false));
  }
}

TEST_CASE("after a failure every further call fails with the first reason") {
  const auto errors = errors_of(2, [](thread_communicator& ranks) {
    try {
      std::array<int, 1> values{};
      omnibal::broadcast(ranks, values, ranks.rank());
    } catch (const communication_error&) {
    }
    omnibal::barrier(ranks);
  });
  for (const std::string& error : errors)
    CHECK_THAT(error, Catch::Matchers::ContainsSubstring("rank 0 broadcasts from rank 0"));
}

TEST_CASE("the error tells rank, operation and sequence number one by one") {
  const communication_error error(3, "broadcast", 12, "reason");
  CHECK(error.rank() == 3);
  CHECK(error.operation() == "broadcast");
  CHECK(error.sequence() == 12);
  CHECK(error.what() == std::string("rank 3, broadcast #12: reason"));
}
