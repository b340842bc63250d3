// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <list>
#include <vector>

#include <omnibal/packing.hpp>

using samples = std::vector<omnibal::loads<2>>;

struct user_sample {
  int tokens;
};

const auto tokens_of = [](const user_sample& one) { return std::array{one.tokens}; };

void right(const samples& table, const std::vector<user_sample>& users) {
  const auto packing = omnibal::pack_balanced(table, {.capacity = {9, 4096}});
  (void)omnibal::pack_balanced(users, {.capacity = {4096}}, tokens_of);
  (void)omnibal::pack_loads(packing.packs, table);
}

#ifdef OMNIBAL_MISTAKE
const auto number_of = [](const user_sample& one) { return one.tokens; };
const auto seconds_of = [](const user_sample& one) { return std::array{0.1 * one.tokens}; };

void wrong(const samples& table, const std::vector<user_sample>& users,
           const std::list<omnibal::loads<2>>& list, const omnibal::grouping<>& packs) {
  // clang-format off
  (void)omnibal::pack_balanced(users, {.capacity = {4096}});                // error: load_array|Loads = user_sample
  (void)omnibal::pack_balanced(users, {.capacity = {4096}}, number_of);     // error: load_array|Loads = int
  (void)omnibal::pack_balanced(users, {.capacity = {4096}}, seconds_of);    // error: load_array|Loads = std::array<double
  (void)omnibal::pack_balanced(list, {.capacity = {9, 4096}});              // error: random_access_(range|iterator)
  (void)omnibal::pack_balanced(table, {.capacity = {9, 4096, 7}});          // error: packing_options<2>|no matching function
  (void)omnibal::pack_balanced(table, {.capcity = {9, 4096}});              // error: packing_options<2>|no matching function
  (void)omnibal::pack_isf(users, {.capacity = {4096}}, {}, number_of);      // error: load_array|Loads = int
  (void)omnibal::pack_loads(packs, users, number_of);                       // error: load_array|Loads = int
  (void)omnibal::improve_by_swaps(packs, users, {.capacity = {1}}, seconds_of);  // error: load_array|Loads = std::array<double
  (void)omnibal::bound_packs(users, {.capacity = {1}}, seconds_of);         // error: load_array|Loads = std::array<double
  (void)omnibal::pack_cost_variation(std::span<const double>());            // error: integral
  omnibal::streaming_packer<2> packer = {{.capacity = {9, 4096}}};          // error: explicit
  // clang-format on
}
#endif
