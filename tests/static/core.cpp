// SPDX-License-Identifier: Apache-2.0
// Which types of loads and samples are accepted, and what can be computed while compiling.
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <limits>
#include <list>
#include <map>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/core.hpp>
#include <omnibal/version.hpp>

#include "statements.hpp"

namespace omnibal::statements {

// ---- loads: integers of any width, one or more -------------------------------------------------

static_assert(std::is_same_v<loads<2>, std::array<std::int64_t, 2>>);
static_assert(load_array<std::array<int, 1>> && load_array<std::array<std::uint8_t, 7>>);
static_assert(load_array<const std::array<int, 2>&> && load_array<loads<3>&&>);
static_assert(!load_array<std::array<int, 0>>);
static_assert(!load_array<std::array<bool, 2>> && !load_array<std::array<double, 2>>);
static_assert(!load_array<int> && !load_array<std::vector<int>> && !load_array<int[2]>);
static_assert(!load_array<std::tuple<int, int>>);
static_assert(resource_count<const loads<5>&> == 5);

// ---- samples: any sized random-access range, whatever its elements are -------------------------

struct user_sample {
  int tiles;
  int tokens;
  [[nodiscard]] std::array<int, 2> weights() const;
};
struct loads_of_user_sample {
  std::array<int, 2> operator()(const user_sample&) const;
};
struct texts_of_user_sample {
  std::string operator()(const user_sample&) const;
};
struct changes_user_sample {
  std::array<int, 2> operator()(user_sample&) const;
};
struct mutable_projection {
  std::array<int, 2> operator()(const user_sample&);
};

static_assert(sample_range<std::vector<loads<2>>> && sample_range<std::span<const loads<3>>>);
static_assert(sample_range<std::deque<loads<1>>> && sample_range<std::array<loads<1>, 4>>);
static_assert(sample_range<const std::vector<user_sample>, loads_of_user_sample>);
static_assert(sample_range<const std::vector<user_sample>, decltype(&user_sample::weights)>);
static_assert(!sample_range<std::list<loads<2>>> && !sample_range<std::forward_list<loads<2>>>);
static_assert(!sample_range<std::map<int, loads<2>>>);
static_assert(!sample_range<std::vector<int>> && !sample_range<std::vector<user_sample>>);
static_assert(!sample_range<std::vector<user_sample>, texts_of_user_sample>);
static_assert(!sample_range<const std::vector<user_sample>, changes_user_sample>);
static_assert(!sample_range<const std::vector<user_sample>, mutable_projection>);
static_assert(std::is_same_v<projected_loads<const std::vector<user_sample>, loads_of_user_sample>,
                             std::array<int, 2>>);

// ---- groups of indices -------------------------------------------------------------------------

static_assert(std::regular<grouping<>> && movable_for_free<grouping<>>);
static_assert(std::is_same_v<grouping<>::index_type, std::uint32_t>);
static_assert(
    std::is_same_v<decltype(grouping<std::uint64_t>()[0]), std::span<const std::uint64_t>>);
static_assert(noexcept(std::declval<const grouping<>&>()[0].size()));

// ---- numbers -----------------------------------------------------------------------------------

static_assert(sizeof(wide_integer) == 16);
static_assert(try_add(std::int8_t{100}, std::int8_t{27}) == std::int8_t{127});
static_assert(!try_add(std::int8_t{100}, std::int8_t{28}));
static_assert(!try_multiply(std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}));
static_assert(checked_add(2, 3, "sum") == 5 && checked_multiply(2, 3, "product") == 6);
static_assert(divide_rounding_up(7, 2) == 4 && divide_rounding_up(8, 2) == 4);

static_assert(plain_and_regular<rational> && bytes_alone<rational, 16>);
static_assert(rational{} == rational{0, 1} && rational{1, 2} == rational{2, 4});
static_assert(rational{1, 3} < rational{1, 2});
static_assert(scaled_rounding_up(10, {1, 3}) == 4);
static_assert(reduced(6, 4, "ratio").numerator == 3 && reduced(6, 4, "ratio").denominator == 2);

// ---- random numbers: usable with the standard library, and while compiling ---------------------

static_assert(std::uniform_random_bit_generator<random_stream>);
static_assert(std::is_trivially_copyable_v<random_stream>);
static_assert(!std::is_convertible_v<std::uint64_t, random_stream>);
static_assert(!std::default_initializable<random_stream>);

consteval bool same_seed_gives_the_same_permutation() {
  const auto shuffled = [] {
    std::array<int, 8> order = {0, 1, 2, 3, 4, 5, 6, 7};
    random_stream random(7, 1);
    shuffle_randomly(order, random);
    return order;
  };
  return shuffled() == shuffled() && shuffled() != std::array<int, 8>{0, 1, 2, 3, 4, 5, 6, 7};
}
static_assert(same_seed_gives_the_same_permutation());
static_assert(noexcept(uniform_below(std::declval<random_stream&>(), 5)));

// ---- hashes of plans ---------------------------------------------------------------------------

static_assert(plan_hash() == 0xEF46DB3751D8E999);  // XXH64 of nothing, by its authors
static_assert(plan_hash(1, 2) != plan_hash(2, 1));
static_assert(plan_hash(std::string_view("ab")) != plan_hash(std::string_view("a"), 'b'));
static_assert(plan_hash(std::int8_t{-1}) == plan_hash(std::int64_t{-1}));

// ---- status of a search, progress, errors ------------------------------------------------------

static_assert(search_status{} == search_status::optimal);
static_assert(to_string(search_status::infeasible) == "infeasible");
static_assert(relative_gap(0, 0) == 0.0 && relative_gap(3, 2) == 0.5);
static_assert(plain_with_defaults<search_control> && plain_with_defaults<progress>);

static_assert(std::derived_from<invalid_input, std::invalid_argument>);
static_assert(std::is_copy_constructible_v<invalid_input>);  // or it could not be thrown

// ---- version -----------------------------------------------------------------------------------

static_assert(std::is_same_v<omnibal::rational, omnibal::v0::rational>);
static_assert(!version.empty() && version.find_first_not_of("0123456789.") == version.npos);

}  // namespace omnibal::statements
