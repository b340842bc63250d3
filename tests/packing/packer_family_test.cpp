// SPDX-License-Identifier: Apache-2.0
// What every packer promises, checked against the least number of packs of small tables; a packer
// of a program's own keeps it, packers that are wrong on purpose are found out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/packers.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

/// Each sample into the first pack that it fits: in no list.
struct first_fit {
  static constexpr std::string_view name = "first fit";

  template <std::size_t R>
  static bool fits(const loads<R>& sample, const loads<R>& sum, const loads<R>& capacity) {
    for (std::size_t r = 0; r < R; ++r)
      if (sample[r] > capacity[r] - sum[r]) return false;
    return true;
  }

  template <std::size_t R>
  [[nodiscard]] packing_result pack(std::span<const loads<R>> samples,
                                    const packing_options<R>& options) const {
    const std::uint64_t bound = bound_packs(samples, bound_options<R>{.capacity = options.capacity,
                                                                      .oversize = options.oversize,
                                                                      .names = options.names})
                                    .packs;
    std::vector<std::vector<std::uint32_t>> packs;
    std::vector<loads<R>> sums;
    packing_result result;
    for (std::uint32_t id = 0; id < samples.size(); ++id) {
      if (!fits(samples[id], loads<R>{}, options.capacity)) {
        result.oversize.push_back(id);
        continue;
      }
      std::size_t k = 0;
      while (k < packs.size() && !fits(samples[id], sums[k], options.capacity)) ++k;
      if (k == packs.size()) packs.emplace_back(), sums.emplace_back();
      packs[k].push_back(id);
      for (std::size_t r = 0; r < R; ++r) sums[k][r] += samples[id][r];
    }
    if (options.oversize == oversize_policy::own_pack)
      for (const std::uint32_t id : result.oversize) packs.push_back({id});
    for (const auto& one : packs) result.packs.append(one);
    result.objective = packs.size();
    result.bound = bound;
    result.status =
        result.bound == result.objective ? search_status::optimal : search_status::feasible;
    return result;
  }
};

/// The least number of packs, by enumeration of all ways to put one sample after the other.
template <std::size_t R>
std::size_t least_packs(std::span<const loads<R>> samples, const loads<R>& capacity) {
  std::size_t least = samples.size();
  std::vector<loads<R>> sums;
  const auto place = [&](const auto& self, std::size_t id) -> void {
    if (sums.size() >= least) return;
    if (id == samples.size()) {
      least = sums.size();
      return;
    }
    for (std::size_t k = 0; k <= sums.size(); ++k) {
      const bool fresh = k == sums.size();
      if (fresh) sums.emplace_back();
      const loads<R> before = sums[k];
      if (first_fit::fits(samples[id], before, capacity)) {
        for (std::size_t r = 0; r < R; ++r) sums[k][r] += samples[id][r];
        self(self, id + 1);
        sums[k] = before;
      }
      if (fresh) {
        sums.pop_back();
        break;
      }
    }
  };
  place(place, 0);
  return least;
}

/// What is wrong with the samples of packs: each belongs in one pack, or is left out as listed.
template <std::size_t R>
std::string wrong_samples(const packing_result& result, std::span<const loads<R>> samples,
                          const packing_options<R>& options) {
  std::vector<std::uint32_t> over;
  for (std::uint32_t id = 0; id < samples.size(); ++id)
    if (!first_fit::fits(samples[id], loads<R>{}, options.capacity)) over.push_back(id);
  if (result.oversize != over) return "a list of oversize samples that is not true";
  std::vector<std::size_t> times(samples.size(), 0);
  for (const std::uint32_t id : result.packs.indices()) {
    if (id >= samples.size()) return "a sample that is not there";
    ++times[id];
  }
  for (const std::uint32_t id : over)
    if (options.oversize == oversize_policy::skip) ++times[id];
  for (const std::size_t seen : times)
    if (seen != 1) return "a sample lost or repeated";
  return "";
}

/// What is wrong with the loads of packs.
template <std::size_t R>
std::string wrong_packs(const packing_result& result, std::span<const loads<R>> samples,
                        const packing_options<R>& options) {
  const std::size_t own =
      options.oversize == oversize_policy::own_pack ? result.oversize.size() : 0;
  for (std::size_t k = 0; k < result.packs.size(); ++k) {
    if (result.packs[k].empty()) return "an empty pack";
    const bool of_its_own = k + own >= result.packs.size();
    if (of_its_own && result.packs[k].size() != 1) return "company for an oversize sample";
    loads<R> sum{};
    for (const std::uint32_t id : result.packs[k])
      for (std::size_t r = 0; r < R; ++r) sum[r] += samples[id][r];
    if (!of_its_own && !first_fit::fits(sum, loads<R>{}, options.capacity))
      return "a pack beyond the capacity";
  }
  return "";
}

/// What is wrong with objective, bound and status.
template <std::size_t R>
std::string wrong_figures(const packing_result& result, std::span<const loads<R>> samples,
                          const packing_options<R>& options) {
  std::vector<loads<R>> fitting;
  for (const loads<R>& one : samples)
    if (first_fit::fits(one, loads<R>{}, options.capacity)) fitting.push_back(one);
  std::size_t least = least_packs<R>(fitting, options.capacity);
  if (options.oversize == oversize_policy::own_pack) least += samples.size() - fitting.size();
  if (result.objective != result.packs.size()) return "another number of packs than stated";
  if (result.bound > least) return "a bound above the least number of packs";
  if ((result.status == search_status::optimal) != (result.bound == result.objective))
    return "a status that is not true";
  return "";
}

/// What happens to this call: nothing, or the start of the error.
template <std::size_t R>
std::string error_of(const any_packer<R>& packer, std::span<const loads<R>> samples,
                     const packing_options<R>& options) {
  try {
    (void)packer.pack(samples, options);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

template <std::size_t R>
std::string wrong_refusals(const any_packer<R>& packer) {
  loads<R> capacity;
  capacity.fill(10);
  std::vector<loads<R>> samples(4);
  samples[2][R - 1] = 11;
  packing_options<R> options{.capacity = capacity};
  options.names[R - 1] = "tokens";
  if (!error_of<R>(packer, samples, options).starts_with("tokens[2] = 11: exceeds the capacity 10"))
    return "an oversize sample not refused";
  samples[2][R - 1] = -1;
  options.oversize = oversize_policy::skip;
  if (!error_of<R>(packer, samples, options).starts_with("tokens[2] = -1: must not be negative"))
    return "a negative load not refused";
  options.capacity[R - 1] = 0;
  if (!error_of<R>(packer, {}, options).starts_with("capacity of tokens = 0: must be at least 1"))
    return "a capacity of nothing not refused";
  return "";
}

template <std::size_t R>
std::string broken_promise(const any_packer<R>& packer, std::span<const loads<R>> samples,
                           const packing_options<R>& options) {
  const packing_result result = packer.pack(samples, options);
  if (std::string wrong = wrong_samples(result, samples, options); !wrong.empty()) return wrong;
  if (std::string wrong = wrong_packs(result, samples, options); !wrong.empty()) return wrong;
  if (std::string wrong = wrong_figures(result, samples, options); !wrong.empty()) return wrong;
  if (packer.pack(samples, options).packs != result.packs) return "other packs the second time";
  return "";
}

template <std::size_t R>
std::vector<loads<R>> draw_samples(random_stream& random, std::size_t count, std::uint32_t most) {
  std::vector<loads<R>> samples(count);
  for (loads<R>& sample : samples)
    for (std::int64_t& load : sample) load = uniform_below(random, most + 1);
  return samples;
}

/// The first promise that a packer breaks with so many resources; nothing if it keeps all.
template <std::size_t R>
std::string broken_promise(const any_packer<R>& packer) {
  if (packer.name().empty()) return "no name";
  if (std::string wrong = wrong_refusals(packer); !wrong.empty()) return wrong;
  random_stream random(11);
  for (int round = 0; round < 150; ++round) {
    const std::size_t count = uniform_below(random, 8);
    const auto samples = draw_samples<R>(random, count, 12);
    packing_options<R> options{.capacity = {}, .seed = random(), .epoch = uniform_below(random, 3)};
    for (std::int64_t& most : options.capacity) most = 6 + uniform_below(random, 10);
    options.oversize = round % 2 == 0 ? oversize_policy::skip : oversize_policy::own_pack;
    if (std::string wrong = broken_promise<R>(packer, samples, options); !wrong.empty())
      return wrong;
  }
  return "";
}

template <typename Packer>
std::string broken_promise_of() {
  if (std::string wrong = broken_promise<1>(Packer{}); !wrong.empty()) return wrong;
  if (std::string wrong = broken_promise<2>(Packer{}); !wrong.empty()) return wrong;
  return broken_promise<3>(Packer{});
}

// ---- wrong on purpose -------------------------------------------------------------------------

/// First fit, changed by `Change` afterwards.
template <typename Change>
struct changed {
  static constexpr std::string_view name = "changed";

  template <std::size_t R>
  [[nodiscard]] packing_result pack(std::span<const loads<R>> samples,
                                    const packing_options<R>& options) const {
    packing_result result = first_fit{}.pack(samples, options);
    if (!result.packs.empty()) Change{}(result);
    return result;
  }
};
void set_packs(packing_result& result, const std::vector<std::vector<std::uint32_t>>& packs) {
  result.packs = {};
  for (const auto& one : packs) result.packs.append(one);
  result.objective = packs.size();
}
std::vector<std::vector<std::uint32_t>> packs_of(const packing_result& result) {
  std::vector<std::vector<std::uint32_t>> packs;
  for (std::size_t k = 0; k < result.packs.size(); ++k)
    packs.emplace_back(result.packs[k].begin(), result.packs[k].end());
  return packs;
}
struct loses_a_sample {
  void operator()(packing_result& result) const {
    auto packs = packs_of(result);
    if (packs.front().size() > 1) packs.front().pop_back();
    set_packs(result, packs);
  }
};
struct repeats_a_sample {
  void operator()(packing_result& result) const {
    auto packs = packs_of(result);
    packs.push_back({packs.front().front()});
    set_packs(result, packs);
  }
};
struct adds_an_empty_pack {
  void operator()(packing_result& result) const {
    auto packs = packs_of(result);
    packs.insert(packs.begin(), std::vector<std::uint32_t>{});
    set_packs(result, packs);
  }
};
struct joins_two_packs {
  void operator()(packing_result& result) const {
    auto packs = packs_of(result);
    if (packs.size() < 2) return;
    packs[1].insert(packs[1].end(), packs[0].begin(), packs[0].end());
    packs.erase(packs.begin());
    set_packs(result, packs);
    result.bound = std::min<std::uint64_t>(result.bound, result.objective);
    result.status =
        result.bound == result.objective ? search_status::optimal : search_status::feasible;
  }
};
struct proves_what_it_has {
  void operator()(packing_result& result) const {
    result.bound = result.objective;
    result.status = search_status::optimal;
  }
};
struct always_optimal {
  void operator()(packing_result& result) const { result.status = search_status::optimal; }
};
struct states_one_more {
  void operator()(packing_result& result) const { ++result.objective; }
};
struct forgets_oversize {
  void operator()(packing_result& result) const { result.oversize.clear(); }
};

struct packs_all_as_skip : first_fit {
  template <std::size_t R>
  [[nodiscard]] packing_result pack(std::span<const loads<R>> samples,
                                    packing_options<R> options) const {
    options.oversize = oversize_policy::skip;
    return first_fit{}.pack(samples, options);
  }
};
struct takes_no_notice_of_names : first_fit {
  template <std::size_t R>
  [[nodiscard]] packing_result pack(std::span<const loads<R>> samples,
                                    packing_options<R> options) const {
    options.names = {};
    return first_fit{}.pack(samples, options);
  }
};
struct differs_each_time : first_fit {
  template <std::size_t R>
  [[nodiscard]] packing_result pack(std::span<const loads<R>> samples,
                                    const packing_options<R>& options) const {
    static bool backward = false;
    packing_result result = first_fit{}.pack(samples, options);
    auto packs = packs_of(result);
    const auto fitting =
        packs.end() - static_cast<std::ptrdiff_t>(options.oversize == oversize_policy::own_pack
                                                      ? result.oversize.size()
                                                      : 0);
    backward = !backward;
    if (backward) std::reverse(packs.begin(), fitting);
    set_packs(result, packs);
    return result;
  }
};

struct without_a_name {
  template <std::size_t R>
  [[nodiscard]] packing_result pack(std::span<const loads<R>>, const packing_options<R>&) const {
    return {};
  }
};
struct for_two_resources {
  static constexpr std::string_view name = "two";
  [[nodiscard]] packing_result pack(std::span<const loads<2>>, const packing_options<2>&) const {
    return {};
  }
};

}  // namespace

static_assert(packer<packers::balanced, 4> && packer<first_fit, 1>);
static_assert(!packer<without_a_name, 2> && !packer<int, 2>);
static_assert(packer<for_two_resources, 2> && !packer<for_two_resources, 3>);

TEMPLATE_LIST_TEST_CASE("Every packer of the list keeps the promises of packers", "", all_packers) {
  CHECK(broken_promise_of<TestType>() == "");
}

TEST_CASE("A packer of a program's own keeps the promises of packers") {
  CHECK(broken_promise_of<first_fit>() == "");
  CHECK(broken_promise<2>(packers::isf{.iterations = 1}) == "");
  CHECK(broken_promise<2>(packers::streaming{.buffer = 2, .age_limit = 1}) == "");
}

TEST_CASE("Packers that are wrong on purpose are found out") {
  CHECK(broken_promise_of<changed<loses_a_sample>>() == "a sample lost or repeated");
  CHECK(broken_promise_of<changed<repeats_a_sample>>() == "a sample lost or repeated");
  CHECK(broken_promise_of<changed<adds_an_empty_pack>>() == "an empty pack");
  CHECK(broken_promise_of<changed<joins_two_packs>>() == "a pack beyond the capacity");
  CHECK(broken_promise_of<changed<proves_what_it_has>>() ==
        "a bound above the least number of packs");
  CHECK(broken_promise_of<changed<always_optimal>>() == "a status that is not true");
  CHECK(broken_promise_of<changed<states_one_more>>() == "another number of packs than stated");
  CHECK(broken_promise_of<changed<forgets_oversize>>() ==
        "a list of oversize samples that is not true");
  CHECK(broken_promise_of<packs_all_as_skip>() == "an oversize sample not refused");
  CHECK(broken_promise_of<takes_no_notice_of_names>() == "an oversize sample not refused");
  CHECK(broken_promise_of<differs_each_time>() == "other packs the second time");
}

TEST_CASE("Packers are found by their names") {
  std::vector<std::string_view> names(packer_names.begin(), packer_names.end());
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  for (const std::string_view name : packer_names) CHECK(packer_named<2>(name)->name() == name);
  CHECK_FALSE(packer_named<2>("first fit").has_value());
}

TEST_CASE("A packer whose epochs differ packs each afresh") {
  random_stream random(3);
  const auto samples = draw_samples<2>(random, 300, 9);
  const auto packs = [&](const any_packer<2>& packer, std::uint64_t epoch) {
    return packer.pack(samples, {.capacity = {20, 30}, .seed = 4, .epoch = epoch}).packs;
  };
  for (const any_packer<2>& packer :
       {any_packer<2>(packers::balanced{}), any_packer<2>(packers::isf{})}) {
    CHECK(packs(packer, 0) != packs(packer, 1));
    CHECK(packs(packer, std::uint64_t{1} << 60) != packs(packer, 1));
    CHECK(packs(packer, 1) == packs(packer, 1));
  }
  CHECK(packs(packers::streaming{}, 0) == packs(packers::streaming{}, 1));
  CHECK_THROWS_WITH(packs(packers::isf{.stream = isf_stream::published}, 1),
                    "epoch = 1: must be 0 for the published stream, which has no epochs; give "
                    "another seed instead");
  CHECK_THROWS_WITH(packs(packers::isf{.threshold = {3}}, 0),
                    "number of thresholds = 1: must be one for each resource, 2");
}

TEST_CASE("Capacities are chosen for any packer") {
  random_stream random(5);
  const auto samples = draw_samples<2>(random, 400, 9);
  const auto ratio = [&](const any_packer<2>& packer) {
    const auto choice =
        choose_capacity<2>({.samples = samples, .samples_per_pack = 4}, {.packer = packer});
    for (const auto& one : choice.candidates)
      if (one.found.capacity == choice.best) return one.found.capacity_ratio;
    return std::int64_t{0};
  };
  // What each wastes is its own: the balanced packer needs the fewest packs.
  CHECK(ratio(packers::balanced{}) < ratio(first_fit{}));
  CHECK(ratio(packers::isf{.iterations = 1}) > ratio(first_fit{}));
}
