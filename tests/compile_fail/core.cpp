// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/parallel.hpp>
#include <omnibal/core/random.hpp>

template <omnibal::sample_range Samples>
void take(const Samples&) {}

void right(omnibal::random_stream& random) {
  (void)omnibal::checked_add(1, 2, "sum");
  omnibal::grouping<std::uint64_t> groups;
  take(std::vector<omnibal::loads<2>>{});
  (void)omnibal::plan_hash(1, groups, std::string("text"));
  throw omnibal::invalid_input("field", 1, "must be 2");
}

#ifdef OMNIBAL_MISTAKE
void wrong(omnibal::random_stream& random, std::list<int> list) {
  // clang-format off
  (void)omnibal::checked_add(1.0, 2.0, "sum");           // error: integral
  (void)omnibal::checked_add(1, 2L, "sum");              // error: (deduced )?conflicting types
  omnibal::grouping<int> signed_indices;                 // error: unsigned_integral
  take(std::vector<std::array<double, 2>>{});            // error: load_array
  take(std::vector<int>{});                              // error: load_array
  take(std::list<omnibal::loads<2>>{});                  // error: random_access_(range|iterator)
  (void)omnibal::plan_hash(1.5);                         // error: add_to_hash
  omnibal::shuffle_randomly(list, random);                        // error: random_access_(range|iterator)
  omnibal::random_stream stream = 7;                     // error: conversion
  throw omnibal::invalid_input("field", 1.5, "advice");  // error: integral
  // clang-format on
}
#endif
