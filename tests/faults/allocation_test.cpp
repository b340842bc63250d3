// SPDX-License-Identifier: Apache-2.0
// What objects with state promise after a call that ran out of memory, after they were moved from,
// and after what their caller passed is gone.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/core/byte_stream.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/dataset/table_index.hpp>
#include <omnibal/packing/streaming.hpp>

#include "catch.hpp"
#include "faults/failing_allocations.hpp"

using namespace omnibal;
using namespace omnibal::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Loads of three resources; which two are tightest changes twice, so the grid does too.
loads<3> changing_load(random_stream& random, std::uint64_t k) {
  loads<3> load{1 + uniform_below(random, 20), 1 + uniform_below(random, 20),
                1 + uniform_below(random, 20)};
  load[k / 150 % 3] += 30;
  return load;
}

/// Pushes a stream twice, once with every allocation failing in turn, and requires that nothing of
/// the state changes by a failed call and that both streams are equal after each call.
std::size_t require_strong_guarantee(const packing_options<3>& options,
                                     const packers::streaming& method, std::size_t pushes) {
  streaming_packer<3> undisturbed(options, method);
  streaming_packer<3> tried(options, method);
  random_stream random(5);
  std::size_t failures = 0;
  for (std::uint64_t k = 0; k < pushes; ++k) {
    loads<3> load = changing_load(random, k);
    if (options.oversize != oversize_policy::reject && k % 13 == 0) load[0] = 1000;
    const streaming_state<3> before = undisturbed.state();
    undisturbed.push(k, load);
    failures += fail_each_allocation(
        tried, [&](streaming_packer<3>& packer) { packer.push(k, load); },
        [&](const streaming_packer<3>& packer) { REQUIRE(packer.state() == before); });
    REQUIRE(tried.state() == undisturbed.state());
    if (k % 5 == 0) REQUIRE(tried.pop() == undisturbed.pop());
  }
  const streaming_state<3> before = undisturbed.state();
  undisturbed.flush();
  failures += fail_each_allocation(
      tried, [](streaming_packer<3>& packer) { packer.flush(); },
      [&](const streaming_packer<3>& packer) { REQUIRE(packer.state() == before); });
  REQUIRE(tried.state() == undisturbed.state());
  return failures;
}

}  // namespace

TEST_CASE("a push or flush without memory loses no sample and changes nothing") {
  CHECK(require_strong_guarantee({.capacity = {100, 100, 100}}, {.buffer = 20}, 600) > 1000);
  CHECK(require_strong_guarantee({.capacity = {100, 100, 100}}, {.buffer = 150}, 400) > 100);
  CHECK(require_strong_guarantee({.capacity = {60, 70, 200}}, {.buffer = 30, .age_limit = 9}, 200) >
        100);
  CHECK(require_strong_guarantee({.capacity = {60, 70, 200}}, {.buffer = 30, .good_enough = 900},
                                 200) > 100);
  for (const oversize_policy oversize : {oversize_policy::skip, oversize_policy::own_pack})
    CHECK(require_strong_guarantee({.capacity = {100, 100, 100}, .oversize = oversize},
                                   {.buffer = 8}, 100) > 100);
}

TEST_CASE("a push without memory changes nothing when statistics are halved") {
  // They are halved every 2048 + 16 · buffer pushes, after twice as many.
  streaming_packer<2> packer({.capacity = {9, 4096}}, {.buffer = 1});
  random_stream random(2);
  std::uint64_t k = 0;
  const auto load = [&] {
    return loads<2>{1 + uniform_below(random, 9), 1 + uniform_below(random, 2000)};
  };
  for (; k < 2 * 2064 - 3; ++k) {
    packer.push(k, load());
    while (packer.pop()) continue;
  }
  bool halved = false;
  for (; k < 2 * 2064 + 3; ++k) {
    const loads<2> next = load();
    const streaming_state<2> before = packer.state();
    fail_each_allocation(
        packer, [&](streaming_packer<2>& one) { one.push(k, next); },
        [&](const streaming_packer<2>& one) { REQUIRE(one.state() == before); });
    halved = halved || packer.state().volume[0] < before.volume[0];
  }
  CHECK(halved);
}

TEST_CASE("copies are made whole or not at all") {
  streaming_packer<1> packer({.capacity = {100}}, {.buffer = 10});
  for (std::uint64_t k = 0; k < 50; ++k) packer.push(k, loads<1>{7 + std::int64_t(k) % 30});
  streaming_packer<1> other({.capacity = {50}}, {.buffer = 3});
  other.push(1, loads<1>{20});
  const auto before = other.state();
  CHECK(fail_each_allocation(
            other, [&](streaming_packer<1>& one) { one = packer; },
            [&](const streaming_packer<1>& one) { REQUIRE(one.state() == before); }) > 3);
  CHECK(other.state() == packer.state());

  const grouping<> groups({0, 2, 5}, {4, 3, 2, 1, 0});
  grouping<> copy({0, 1}, {9});
  const grouping<> old = copy;
  CHECK(fail_each_allocation(
            copy, [&](grouping<>& one) { one = groups; },
            [&](const grouping<>& one) { REQUIRE(one == old); }) == 2);
  CHECK(copy == groups);
}

TEST_CASE("a group is appended whole or not at all") {
  grouping<> groups;
  std::size_t failures = 0;
  const std::vector<std::uint32_t> group{1, 2, 3};
  for (std::size_t k = 0; k < 40; ++k) {
    const grouping<> before = groups;
    failures += fail_each_allocation(
        groups, [&](grouping<>& one) { one.append(group); },
        [&](const grouping<>& one) { REQUIRE(one == before); });
    REQUIRE(groups.size() == k + 1);
    REQUIRE(groups[k].size() == 3);
  }
  CHECK(failures > 8);
}

TEST_CASE("a byte writer without memory has written nothing") {
  const std::vector<std::uint64_t> numbers{1, 2, 3, 4, 5};
  byte_writer undisturbed("OMNITEST", 1);
  byte_writer tried("OMNITEST", 1);
  std::size_t failures = 0;
  const auto write = [&](byte_writer& writer) { writer.add(std::span(numbers)); };
  for (int k = 0; k < 20; ++k) {
    write(undisturbed);
    // Nothing can be read from a writer that goes on, so the bytes are compared at the end.
    failures += fail_each_allocation(tried, write, [](const byte_writer&) {});
  }
  CHECK(failures > 3);
  CHECK(tried.finish() == undisturbed.finish());
}

TEST_CASE("a packer owns the names of its resources") {
  auto names = std::make_unique<std::array<std::string, 2>>(
      std::array<std::string, 2>{"images that nobody keeps", "tokens that nobody keeps either"});
  streaming_packer<2> packer({.capacity = {9, 4096}, .names = {(*names)[0], (*names)[1]}});
  names.reset();
  CHECK_THROWS_WITH(packer.push(3, loads<2>{1, 5000}),
                    ContainsSubstring("tokens that nobody keeps either[3] = 5000"));
  const streaming_packer<2> copy = packer;
  streaming_packer<2> moved = std::move(packer);
  CHECK_THROWS_WITH(moved.push(4, loads<2>{10, 1}),
                    ContainsSubstring("images that nobody keeps[4] = 10"));
}

TEST_CASE("a packer that was moved from is a new one") {
  static_assert(std::is_nothrow_move_constructible_v<streaming_packer<3>> &&
                std::is_nothrow_move_assignable_v<streaming_packer<3>>);
  const packing_options<3> options{.capacity = {100, 100, 100}};
  const packers::streaming method{.buffer = 20};
  streaming_packer<3> packer(options, method);
  random_stream random(6);
  const auto push_some = [&](streaming_packer<3>& to, random_stream from) {
    for (std::uint64_t k = 0; k < 400; ++k) to.push(k, changing_load(from, k));
  };
  push_some(packer, random);
  const auto expected = packer.state();
  streaming_packer<3> taken = std::move(packer);
  CHECK(taken.state() == expected);
  // NOLINTBEGIN(bugprone-use-after-move): what is tested
  CHECK(packer.state() == streaming_packer<3>(options, method).state());
  CHECK(packer.buffered() + packer.ready() + packer.pushed() + packer.packs() == 0);
  CHECK(packer.oldest_age() == 0);
  CHECK(packer.oversize().empty());
  CHECK(packer.pop() == std::nullopt);
  packer.flush();
  CHECK(packer.ready() == 0);
  push_some(packer, random);
  CHECK(packer.state() == expected);
  packer = std::move(taken);
  CHECK(taken.state() == streaming_packer<3>(options, method).state());
  // NOLINTEND(bugprone-use-after-move)
}

TEST_CASE("groupings and table indices that were moved from are empty") {
  grouping<> groups({0, 2, 5}, {4, 3, 2, 1, 0});
  const grouping<> taken = std::move(groups);
  // NOLINTBEGIN(bugprone-use-after-move): what is tested
  CHECK(groups == grouping<>());
  CHECK(groups.size() == 0);
  CHECK(groups.offsets().size() == 1);
  groups.append(taken[1]);
  CHECK(groups.size() == 1);

  const std::vector<std::uint64_t> rows{3, 0, 4};
  table_index index(rows);
  const table_index moved = std::move(index);
  CHECK(moved.samples() == 7);
  CHECK(index == table_index());
  CHECK(index.samples() == 0);
  CHECK_THROWS_WITH(index.locate(0), ContainsSubstring("sample = 0"));
  // NOLINTEND(bugprone-use-after-move)
}
