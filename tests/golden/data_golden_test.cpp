// SPDX-License-Identifier: Apache-2.0
// Golden hashes of packing, dispatch, rebalancing and costs; golden_table.hpp says how to record
// them again.
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/baselines/trainer_samplers.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/dataset/mixture.hpp>
#include <omnibal/dataset/sample_keys.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/epoch.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/dispatch/microbatch_order.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/dispatch/serialize.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/streaming.hpp>
#include <omnibal/packing/swap_improvement.hpp>
#include <omnibal/rebalance/differencing.hpp>
#include <omnibal/rebalance/rebalance.hpp>

#include "golden/golden_table.hpp"

using namespace omnibal;
using test::digits;
using test::each;
using test::golden_hashes;

namespace {

std::int64_t draw(random_stream& random, std::int64_t least, std::int64_t most) {
  return least + uniform_below(random, static_cast<std::uint32_t>(most - least + 1));
}

/// Image tiles and tokens as in instruction tuning: some text alone, tokens that follow the tiles.
std::vector<loads<2>> some_samples(std::size_t count, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<loads<2>> samples(count);
  for (auto& [tiles, tokens] : samples) {
    tiles = draw(random, 0, 3) == 0 ? 0 : draw(random, 1, 9);
    tokens = 256 * tiles + draw(random, 20, draw(random, 0, 9) == 0 ? 1500 : 300);
  }
  return samples;
}

std::vector<loads<3>> samples_of_three_resources(std::size_t count, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<loads<3>> samples(count);
  for (auto& one : samples)
    one = {draw(random, 0, 5), draw(random, 50, 900), draw(random, 0, 2000)};
  return samples;
}

std::vector<std::int64_t> some_costs(std::size_t count, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<std::int64_t> costs(count);
  for (std::int64_t& cost : costs) cost = draw(random, 1, 1000);
  return costs;
}

std::uint64_t hash_of(const packing_result& one) {
  return plan_hash(one.status, one.packs, one.oversize, one.objective, one.bound);
}

std::uint64_t hash_of(const dispatch_plan& one) {
  return plan_hash(one.ranks, one.groups, one.dropped, one.mask);
}

std::uint64_t hash_of(const linear_cost& one) {
  return plan_hash(one.constant, one.per_tile, one.per_token, one.per_squared_token);
}

std::uint64_t hash_of(std::span<const std::byte> bytes) {
  hash_stream hash;
  hash.add(bytes);
  return hash.value();
}

template <std::size_t Resources>
std::uint64_t hash_of(const streaming_state<Resources>& one) {
  const auto buffered = each(one.buffered, [](const streamed_sample<Resources>& sample) {
    return plan_hash(sample.id, sample.arrival, sample.load);
  });
  return plan_hash(one.version, one.capacity, one.buffer, one.pushed, one.packed, one.packs,
                   one.skipped, one.oversize,
                   each(one.ready, [](const auto& pack) { return plan_hash(pack); }), buffered,
                   one.plane, one.seen, one.volume);
}

template <std::size_t Resources>
std::vector<std::uint64_t> pop_all(streaming_packer<Resources>& packer) {
  std::vector<std::uint64_t> hashes;
  while (const auto pack = packer.pop()) hashes.push_back(plan_hash(*pack));
  return hashes;
}

/// The packs of a stream as they come, its state in the middle, and what a packer makes of the rest
/// that goes on from there.
std::uint64_t hash_of_stream(const std::vector<loads<2>>& samples,
                             const packing_options<2>& options, const packers::streaming& method) {
  std::optional<streaming_packer<2>> packer(std::in_place, options, method);
  hash_stream hash;
  for (std::size_t k = 0; k < samples.size(); ++k) {
    packer->push(k, samples[k]);
    if (k % 7 == 0) add_to_hash(hash, pop_all(*packer));
    if (k != samples.size() / 2) continue;
    const streaming_state<2> state = packer->state();
    add_to_hash(hash, hash_of(state));
    packer.emplace(options, method, state);
  }
  packer->flush();
  add_to_hash(hash, pop_all(*packer));
  return hash.value();
}

template <std::size_t Resources>
std::uint64_t hash_of(const capacity_choice_result<Resources>& one) {
  return plan_hash(one.best, each(one.candidates, [](const auto& candidate) {
                     return plan_hash(candidate.found.capacity, candidate.found.capacity_ratio,
                                      digits(candidate.found.samples_per_pack),
                                      candidate.passed_over);
                   }));
}

rebalance_problem some_ranks(std::uint32_t ranks, std::size_t samples, std::uint64_t seed) {
  random_stream random(seed);
  rebalance_problem problem{.ranks = ranks};
  for (std::size_t k = 0; k < samples; ++k)
    problem.samples.push_back({.rank = uniform_below(random, ranks),
                               .cost = draw(random, 1, 99),
                               .bytes = draw(random, 0, 5000)});
  return problem;
}

std::uint64_t hash_of(const rebalance_result& one) {
  const auto points = each(one.frontier, [](const rebalance_point& point) {
    return plan_hash(point.cost, point.bytes, each(point.moves, [](const sample_move& move) {
                       return plan_hash(move.sample, move.from, move.to);
                     }));
  });
  return plan_hash(one.status, points, one.chosen, one.objective, one.bound, one.bytes_bound);
}

std::uint64_t hash_of(const layer_cost& one) {
  const auto modes = each(one.modes, [](const mode_cost& mode) {
    return plan_hash(mode.name, hash_of(mode.extra_time), hash_of(mode.saved_bytes),
                     hash_of(mode.transient_bytes));
  });
  return plan_hash(one.name, one.parameters, one.trainable, hash_of(one.forward_time),
                   hash_of(one.backward_time), hash_of(one.weight_gradient_time),
                   hash_of(one.forward_latency), hash_of(one.backward_latency), one.static_bytes,
                   one.step_time, modes);
}

std::uint64_t hash_of(const std::vector<layer_cost>& chain) {
  return plan_hash(each(chain, [](const layer_cost& one) { return hash_of(one); }));
}

std::uint64_t hash_of(const std::optional<linear_fit>& one) {
  if (!one) return plan_hash(0);
  const auto number = [](double value) { return plan_hash(digits(value)); };
  return plan_hash(1, each(one->coefficients, number), each(one->standard_errors, number),
                   each(one->undetermined, [](const std::string& name) { return plan_hash(name); }),
                   one->measurements, digits(one->largest_residual), digits(one->rms_residual),
                   digits(one->margin));
}

std::uint64_t hash_of(const layer_fit& one) {
  const auto modes = each(one.modes, [](const mode_fit& mode) {
    return plan_hash(mode.name, hash_of(mode.extra_time), hash_of(mode.saved_bytes),
                     hash_of(mode.transient_bytes), mode.extra_over_fitted);
  });
  return plan_hash(one.name, hash_of(one.forward_time), hash_of(one.backward_time),
                   digits(one.weight_gradient_share.value_or(-1)), modes);
}

/// Layers of two kinds, off by up to 3 % from linear costs.
std::vector<measured_layer> some_measurements() {
  random_stream random(8);
  std::vector<measured_layer> rows;
  for (const std::string name : {"vision", "language"})
    for (const std::string mode : {"none", "full"})
      for (int k = 0; k < 12; ++k) {
        const workload work{.tiles = draw(random, 1, 9),
                            .tokens = draw(random, 300, 4000),
                            .squared_tokens = draw(random, 500'000, 9'000'000)};
        const double off = 1 + 0.0001 * static_cast<double>(draw(random, -300, 300));
        const double amount =
            static_cast<double>(name == "vision" ? 500 * work.tiles : work.tokens);
        rows.push_back({.name = name,
                        .mode = mode,
                        .work = work,
                        .forward_time = off * (1000 + amount),
                        .backward_time = off * (mode == "none" ? 2 : 3) * (1000 + amount),
                        .saved_bytes = off * (mode == "none" ? 90 : 9) * amount});
      }
  return rows;
}

}  // namespace

TEST_CASE("Golden hashes of random numbers") {
  golden_hashes golden;
  random_stream random(42, 7);
  std::vector<std::uint32_t> numbers(100);
  for (std::uint32_t& number : numbers) number = random();
  golden.add("words", plan_hash(numbers));
  for (std::uint32_t& number : numbers) number = uniform_below(random, 1000);
  golden.add("numbers below a thousand", plan_hash(numbers));
  std::iota(numbers.begin(), numbers.end(), 0U);
  shuffle_randomly(numbers, random);
  golden.add("permutation", plan_hash(numbers));
  golden.expect({
      {"numbers below a thousand", 0x5e7e787bd59b716a},
      {"permutation", 0xbd4b0fa4c2a33952},
      {"words", 0x8f41c73a47ba33fd},
  });
}

TEST_CASE("Golden hashes of packers") {
  golden_hashes golden;
  const auto samples = some_samples(2000, 1);
  const auto balanced = [&](const packing_options<2>& options) {
    return hash_of(pack_balanced(samples, options));
  };
  const loads<2> capacity = {10, 4096};
  const loads<2> small = {5, 1500};
  golden.add("balanced", balanced({.capacity = capacity}));
  golden.add("balanced, seed", balanced({.capacity = capacity, .seed = 9}));
  golden.add("balanced, epoch", balanced({.capacity = capacity, .epoch = 3}));
  golden.add("balanced, cost", balanced({.capacity = capacity, .cost = loads<2>{300, 1}}));
  golden.add("balanced, own packs",
             balanced({.capacity = small, .oversize = oversize_policy::own_pack}));
  golden.add("balanced, skipped", balanced({.capacity = small, .oversize = oversize_policy::skip}));
  golden.add("balanced, one resource",
             hash_of(pack_balanced(some_costs(3000, 2), {.capacity = {4000}},
                                   [](std::int64_t cost) { return std::array{cost}; })));
  golden.add("balanced, three resources", hash_of(pack_balanced(samples_of_three_resources(2000, 3),
                                                                {.capacity = {9, 4096, 6000}})));
  golden.add("balanced, several threads",
             hash_of(pack_balanced(some_samples((std::size_t{1} << 18) + 77, 4),
                                   {.capacity = capacity, .threads = 3})));
  golden.add("balanced, nothing", hash_of(pack_balanced(some_samples(0, 1), {.capacity = small})));

  const auto isf = [&](const packing_options<2>& options, const packers::isf& method = {}) {
    return hash_of(pack_isf(samples, options, method));
  };
  const std::vector<std::int64_t> threshold = {9, 3968};
  golden.add("isf", isf({.capacity = capacity}));
  golden.add("isf, threshold", isf({.capacity = capacity, .seed = 5}, {.threshold = threshold}));
  golden.add("isf, one pass", isf({.capacity = capacity}, {.iterations = 1}));
  golden.add("isf, published stream", isf({.capacity = capacity}, {.stream = isf_stream::published,
                                                                   .threshold = threshold}));
  golden.add("isf, own packs", isf({.capacity = small, .oversize = oversize_policy::own_pack}));

  const auto stream = [&](const packing_options<2>& options,
                          const packers::streaming& method = {}) {
    return hash_of_stream(samples, options, method);
  };
  golden.add("stream", stream({.capacity = capacity}));
  golden.add("stream, small buffer",
             stream({.capacity = capacity}, {.buffer = 60, .age_limit = 150}));
  golden.add("stream, good enough",
             stream({.capacity = capacity}, {.buffer = 200, .good_enough = 950}));
  golden.add("stream, own packs",
             stream({.capacity = small, .oversize = oversize_policy::own_pack}, {.buffer = 100}));
  golden.add("stream, skipped",
             stream({.capacity = small, .oversize = oversize_policy::skip}, {.buffer = 100}));
  golden.expect({
      {"balanced", 0x1ecc52194ae7ce96},
      {"balanced, cost", 0x102b9710775e09e2},
      {"balanced, epoch", 0x603f6abb985bdcaa},
      {"balanced, nothing", 0xcd391529f498df0e},
      {"balanced, one resource", 0x58a0614da5b0d80b},
      {"balanced, own packs", 0x9dcea2b6246c59d6},
      {"balanced, seed", 0x4ac4f59592c6c189},
      {"balanced, several threads", 0xc10ed564fac6b0c7},
      {"balanced, skipped", 0x75914bde52fb6625},
      {"balanced, three resources", 0x7963cde6c8c13bdb},
      {"isf", 0x4c3cea4ac9be4f4d},
      {"isf, one pass", 0xcb86353df6aedf79},
      {"isf, own packs", 0xc08d04391ccce923},
      {"isf, published stream", 0x2c424975d1db7a78},
      {"isf, threshold", 0xbb955ec65e60e363},
      {"stream", 0x12a56a63df460889},
      {"stream, good enough", 0x3f9f3655b5e675b6},
      {"stream, own packs", 0x4b2883a705c02044},
      {"stream, skipped", 0xda7ca9071571fc72},
      {"stream, small buffer", 0xd1dcdb6134b2f8ba},
  });
}

TEST_CASE("Golden hashes of metrics of packs") {
  golden_hashes golden;
  const auto samples = some_samples(1500, 6);
  const loads<2> capacity = {10, 4096};
  const packing_result packing = pack_balanced(samples, {.capacity = capacity, .seed = 2});
  for (const std::uint32_t rounds : {1U, 16U})
    golden.add("improved by swaps, rounds " + std::to_string(rounds),
               plan_hash(improve_by_swaps(packing.packs, samples,
                                          {.capacity = capacity, .rounds = rounds})));
  golden.add("improved by swaps, cost",
             plan_hash(improve_by_swaps(packing.packs, samples,
                                        {.capacity = capacity, .cost = loads<2>{300, 1}})));
  golden.add("sizes", plan_hash(pack_sizes(packing.packs)));
  const auto sums = pack_loads(packing.packs, samples);
  golden.add("loads", plan_hash(each(sums, [](const loads<2>& sum) { return plan_hash(sum); })));
  const auto measured = measure_packing(packing.packs, samples, capacity);
  golden.add("metrics",
             plan_hash(measured.packs, measured.samples, digits(measured.samples_per_pack),
                       digits(measured.fill[0]), digits(measured.fill[1]),
                       digits(measured.padded_batch_ratio[1])));
  for (const loads<2>& bounded : {loads<2>{10, 4096}, {9, 3000}, {20, 100'000}, {9, 4'000'000}})
    golden.add(
        "bound at " + std::to_string(bounded[0]) + ", " + std::to_string(bounded[1]),
        bound_packs(samples, {.capacity = bounded, .oversize = oversize_policy::own_pack}).packs);
  golden.expect({
      {"bound at 10, 4096", 0x0000000000000243},
      {"bound at 20, 100000", 0x000000000000011f},
      {"bound at 9, 3000", 0x0000000000000292},
      {"bound at 9, 4000000", 0x0000000000000282},
      {"improved by swaps, cost", 0x9e62b770b50ba1ad},
      {"improved by swaps, rounds 1", 0x7334948cd9b76433},
      {"improved by swaps, rounds 16", 0x4490c753d67c1e99},
      {"loads", 0x246417890faa29bb},
      {"metrics", 0xb440b9866147b32e},
      {"sizes", 0x367799aa9228864e},
  });
}

TEST_CASE("Golden hashes of capacities") {
  golden_hashes golden;
  const auto samples = some_samples(1200, 11);
  golden.add("free", hash_of(choose_capacity<2>({.samples = samples})));
  golden.add("number of samples",
             hash_of(choose_capacity<2>({.samples = samples, .samples_per_pack = 6})));
  golden.add("limit", hash_of(choose_capacity<2>({.samples = samples, .most = {12, 9000}})));
  golden.add("part of the samples",
             hash_of(choose_capacity<2>({.samples = samples}, {.seed = 4, .sample_limit = 300})));
  const auto three = samples_of_three_resources(800, 12);
  golden.add("three resources", hash_of(choose_capacity<3>({.samples = three})));
  golden.expect({
      {"free", 0xa951e21cc926368d},
      {"limit", 0xe024b285058f642a},
      {"number of samples", 0xd7a74eed321944ab},
      {"part of the samples", 0x686eaa3d6b9fb61f},
      {"three resources", 0x107c5c41b1d0d943},
  });
}

TEST_CASE("Golden hashes of dispatch") {
  golden_hashes golden;
  const auto costs = some_costs(530, 21);
  std::vector<std::uint32_t> strata(costs.size());
  for (std::size_t k = 0; k < strata.size(); ++k) strata[k] = static_cast<std::uint32_t>(k % 3);
  const auto add = [&](const std::string& name, const dispatch_options& options) {
    const dispatch_plan plan = dispatch_packs(std::span<const std::int64_t>(costs), options);
    const std::span<const std::int64_t> pack_costs = costs;
    golden.add(name, hash_of(plan));
    golden.add(name + ", measured",
               plan_hash(step_fingerprint(plan), digits(cost_ratio(plan, pack_costs)),
                         digits(cost_ratio_bound(plan, pack_costs)),
                         digits(full_steps_cost_ratio(plan, pack_costs)),
                         digits(draw_deviation(plan, pack_costs)), hash_of(to_bytes(plan, 77))));
  };
  for (const auto& [name, policy] : {std::pair{"spread", last_step_policy::spread},
                                     {"drop", last_step_policy::drop},
                                     {"pad", last_step_policy::pad}}) {
    add(name, {.ranks = 8, .microbatches = 4, .last_step = policy});
    add(std::string(name) + ", all options", {.ranks = 4,
                                              .microbatches = 3,
                                              .seed = 5,
                                              .epoch = 2,
                                              .last_step = policy,
                                              .window = 3,
                                              .strata = strata,
                                              .largest_first = true});
  }
  add("window", {.ranks = 16, .window = 4});
  add("strata", {.ranks = 8, .microbatches = 2, .strata = strata});
  add("largest first", {.ranks = 8, .microbatches = 2, .largest_first = true});
  add("one rank", {.microbatches = 7});
  golden.add("in order", hash_of(dispatch_in_order(100, {.ranks = 6, .microbatches = 3})));
  golden.add("contiguous shards",
             hash_of(dispatch_contiguous_shards(100, {.ranks = 6, .microbatches = 3})));
  golden.expect({
      {"contiguous shards", 0xffe81e0451bbe471},
      {"drop", 0xb4f96ce9c5e96bce},
      {"drop, all options", 0x5fbeeaf09a4abb1b},
      {"drop, all options, measured", 0xb01e3e8acd21e2d3},
      {"drop, measured", 0xd5f31b7e0f6565d8},
      {"in order", 0xf185967b067454d1},
      {"largest first", 0x3cd179d6290f0122},
      {"largest first, measured", 0x1b24884346293b30},
      {"one rank", 0x8b2dc24b934b8b85},
      {"one rank, measured", 0x379fe58a328d6138},
      {"pad", 0xdb324274ef3de585},
      {"pad, all options", 0xfe9a66e99b71c21b},
      {"pad, all options, measured", 0x2cd54bb4ce529ecd},
      {"pad, measured", 0xbc3743b3225c3229},
      {"spread", 0x313481c71518470b},
      {"spread, all options", 0xf52533eb33a3b2aa},
      {"spread, all options, measured", 0x7eb3e5e563f5a778},
      {"spread, measured", 0x9dcc6d3882046975},
      {"strata", 0x2984571ec4afc530},
      {"strata, measured", 0x29a65294e7ea0f8a},
      {"window", 0x1f3e6724e23af1d9},
      {"window, measured", 0x57aaa2f5ade95e81},
  });
}

TEST_CASE("Golden hashes of epochs, mixtures, groups and keys") {
  golden_hashes golden;
  const auto costs = some_costs(130, 31);
  epoch_iterator run(
      [&](std::uint64_t epoch) {
        epoch_plan planned{.plan = dispatch_packs(std::span<const std::int64_t>(costs),
                                                  {.ranks = 4,
                                                   .microbatches = 3,
                                                   .seed = 3,
                                                   .epoch = epoch,
                                                   .last_step = last_step_policy::pad})};
        for (std::uint32_t pack = 0; pack < costs.size(); ++pack) planned.packs.append({&pack, 1});
        return planned;
      },
      {.epochs = 3, .inputs = 99});
  hash_stream epochs;
  for (; !run.done(); run.advance()) {
    for (std::uint32_t rank = 0; rank < 4; ++rank)
      add_to_hash(epochs, plan_hash(run.epoch(), run.step(), run.packs(rank), run.real(rank)));
    add_to_hash(epochs, hash_of(to_bytes(run.state())));
  }
  golden.add("epochs", epochs.value());

  const std::vector<std::uint64_t> rows = {40, 0, 25, 7};
  const table_index tables(rows);
  const std::vector<mixture_rate> rates = {{1, 1}, {1, 1}, {5, 2}, {1, 4}};
  for (const std::uint64_t epoch : {0U, 1U, 5U})
    golden.add("mixture, epoch " + std::to_string(epoch),
               plan_hash(draw_mixture(tables, rates, {.seed = 8, .epoch = epoch})));
  const std::vector<std::uint64_t> weights = {3, 0, 2, 2};
  golden.add("rates", plan_hash(each(rates_for(tables, weights, 1000), [](const mixture_rate& one) {
               return plan_hash(one.numerator, one.denominator);
             })));

  const auto packs = some_samples(205, 32);
  const auto groups = group_packs(std::span<const loads<2>>(packs), {.size = 4, .seed = 2});
  golden.add("groups", plan_hash(groups));
  const dispatch_plan grouped = dispatch_packs(
      groups.size(), [](std::size_t group) { return group % 7; }, {.ranks = 5, .microbatches = 2});
  golden.add("packs of groups", hash_of(plan_of_packs(grouped, groups)));
  golden.add("reordered", hash_of(order_microbatches(grouped, [](std::span<std::uint32_t> order) {
               std::ranges::reverse(order);
             })));
  golden.add("distances", plan_hash(digits(dist_ratio(plan_of_packs(grouped, groups),
                                                      std::span<const loads<2>>(packs))[1])));

  std::vector<std::string> keys;
  for (std::size_t k = 0; k < packs.size(); ++k) keys.push_back("sample " + std::to_string(k * k));
  const std::vector<std::string> turned(keys.rbegin(), keys.rend());
  golden.add("fingerprint", table_fingerprint(packs));
  golden.add("fingerprint with keys", keyed_fingerprint<std::string>(keys, packs));
  golden.add("matched keys", plan_hash(match_keys<std::string>(keys, turned)));
  golden.expect({
      {"distances", 0xbbc1de34bc1d74f7},
      {"epochs", 0x640d857528beace2},
      {"fingerprint", 0x00542b8145f8d815},
      {"fingerprint with keys", 0xec623aa99869b325},
      {"groups", 0x4f5766cddd36bd91},
      {"matched keys", 0x80e211b54a467074},
      {"mixture, epoch 0", 0x94115e1eb131e79e},
      {"mixture, epoch 1", 0x8800d02a9677d870},
      {"mixture, epoch 5", 0xc50866b134c9a38c},
      {"packs of groups", 0xce0b4a2de5d5e7a0},
      {"rates", 0x389c9ec2c6fef82d},
      {"reordered", 0x5cea445d771c62e2},
  });
}

TEST_CASE("Golden hashes of rebalancing") {
  golden_hashes golden;
  const auto add = [&](const std::string& name, const rebalance_problem& problem,
                       const rebalance_options& options = {}) {
    golden.add(name, hash_of(rebalance(problem, options)));
  };
  add("two ranks", some_ranks(2, 12, 41));
  add("four ranks", some_ranks(4, 16, 42));
  add("four ranks, crowded", some_ranks(4, 40, 43));
  add("sixteen ranks", some_ranks(16, 64, 44));
  add("sixteen ranks, tolerance", some_ranks(16, 64, 44), {.tolerance = 100'000});
  add("sixteen ranks, no tolerance", some_ranks(16, 64, 44), {.tolerance = 0});
  add("hundred ranks", some_ranks(100, 350, 45));
  add("nothing", {.ranks = 3});
  const auto numbers = some_costs(90, 46);
  for (const std::uint32_t parts : {1U, 2U, 7U, 200U})
    golden.add("differencing into " + std::to_string(parts),
               plan_hash(differencing_parts(numbers, parts)));
  golden.expect({
      {"differencing into 1", 0x7fa7b6ae64ca5c13},
      {"differencing into 2", 0x4f4c04a4135deddc},
      {"differencing into 200", 0x0262cd725f795e52},
      {"differencing into 7", 0xd067d0e3946804b2},
      {"four ranks", 0x3b3d0b47a6c1ccd1},
      {"four ranks, crowded", 0xbaa6ff0f7c411844},
      {"hundred ranks", 0xa8982506cdb17edc},
      {"nothing", 0xc56b4b070cbccb22},
      {"sixteen ranks", 0xe35229cd18d171a9},
      {"sixteen ranks, no tolerance", 0xe35229cd18d171a9},
      {"sixteen ranks, tolerance", 0xdc12bc3e177d7427},
      {"two ranks", 0xd5c6d9650a42f057},
  });
}

TEST_CASE("Golden hashes of costs") {
  golden_hashes golden;
  for (const model_shape& model : model_presets()) {
    golden.add(model.id, hash_of(cost_layers(model, device_presets()[0], {})));
    golden.add(model.id + ", parameters", plan_hash(total_parameters(model)));
  }
  const model_shape model = model_presets()[3];
  for (const device_shape& device : device_presets())
    golden.add("device " + device.id,
               hash_of(cost_layers(model, device, {.tensor_parallel = 4, .data_parallel = 16})));
  const auto pack_costs = [&](const training_setup& setup) {
    return hash_of(cost_layers(model, device_presets()[1], setup));
  };
  golden.add("vision frozen", pack_costs({.freeze = frozen_part::vision}));
  golden.add("language frozen", pack_costs({.freeze = frozen_part::language}));
  golden.add("divided", pack_costs({.tensor_parallel = 2,
                                    .data_parallel = 8,
                                    .sequence_parallel = true,
                                    .shard_optimizer = true,
                                    .optimizer_bytes = 8}));
  const std::vector<layer_fit> fits = fit_layers(some_measurements());
  golden.add("fits", plan_hash(each(fits, [](const layer_fit& one) { return hash_of(one); })));
  golden.add("margin", plan_hash(digits(suggested_margin(fits))));
  golden.expect({
      {"device a100", 0xf34f49a3ba1bc7a0},
      {"device h100", 0x7aa28c3d63da5d8b},
      {"device h200", 0x24a651dabb4d94e0},
      {"divided", 0xab744679fd18f76b},
      {"fits", 0x34b04c9d691b1eea},
      {"internvl-chat-1.5", 0x2cf286b3b798e8fe},
      {"internvl-chat-1.5, parameters", 0x597c7e6d5f4ccad5},
      {"internvl2-40b", 0x72c474bc08cc024d},
      {"internvl2-40b, parameters", 0xdb664dc87eac7f71},
      {"internvl2-8b", 0xabd59d046dc30330},
      {"internvl2-8b, parameters", 0x293a23c941aa30d2},
      {"internvl2-llama3-76b", 0xc88ef98403595fd6},
      {"internvl2-llama3-76b, parameters", 0xae2bbea9f2d411d5},
      {"language frozen", 0xc58548d824712cd0},
      {"llava-1.5-13b", 0x663ed03ecb1e58c9},
      {"llava-1.5-13b, parameters", 0x4feb53dc3ddfe90a},
      {"llava-1.5-7b", 0xf12b17ecf70ac539},
      {"llava-1.5-7b, parameters", 0x6e2619f0d45827b6},
      {"llava-onevision-7b", 0x5f7ebddcbb306006},
      {"llava-onevision-7b, parameters", 0xb5fc3c2f646704b9},
      {"margin", 0x96de92b84bded124},
      {"qwen2-vl-7b", 0x003c9734199442da},
      {"qwen2-vl-7b, parameters", 0xe1d18997e586a046},
      {"qwen2.5-vl-7b", 0x2b802020ed5ceb84},
      {"qwen2.5-vl-7b, parameters", 0x7f478ab26afba080},
      {"vision frozen", 0x8589c7071a888698},
  });
}
