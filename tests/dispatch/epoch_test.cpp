// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/epoch.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A run as a trainer makes it: each epoch packs and assigns afresh.
struct trainer {
  const length_table* samples;
  std::uint32_t ranks = 4;
  std::uint32_t microbatches = 3;
  std::uint64_t seed = 6;
  last_step_policy last_step = last_step_policy::spread;

  [[nodiscard]] grouping<std::uint32_t> packs(std::uint64_t epoch) const {
    return pack_balanced(*samples, {.capacity = {9, 4096}, .seed = seed, .epoch = epoch}).packs;
  }
  epoch_plan operator()(std::uint64_t epoch) const {
    epoch_plan planned{.packs = packs(epoch)};
    const auto loads = pack_loads(planned.packs, *samples);
    planned.plan =
        dispatch_packs(loads.size(), [&](std::size_t k) { return 311 * loads[k][0] + loads[k][1]; },
                       {.ranks = ranks,
                        .microbatches = microbatches,
                        .seed = seed,
                        .epoch = epoch,
                        .last_step = last_step,
                        .largest_first = epoch == 0});
    return planned;
  }
};

/// The samples of a step, on all ranks, ascending.
template <typename Source>
std::vector<std::uint32_t> samples_of_step(const epoch_iterator<Source>& run) {
  std::vector<std::uint32_t> samples;
  for (std::uint32_t rank = 0; rank < run.plan().ranks; ++rank)
    for (const auto microbatch : run.samples(rank))
      samples.insert(samples.end(), microbatch.begin(), microbatch.end());
  std::ranges::sort(samples);
  return samples;
}

/// The samples of all micro-batches of a rank from here on.
template <typename Source>
std::vector<std::vector<std::uint32_t>> rest_of(epoch_iterator<Source> run, std::uint32_t rank) {
  std::vector<std::vector<std::uint32_t>> seen;
  for (; !run.done(); run.advance())
    for (const auto microbatch : run.samples(rank))
      seen.emplace_back(microbatch.begin(), microbatch.end());
  return seen;
}

/// Plans without packs but in some epochs, of one rank and one pack a step.
struct counted_steps {
  std::vector<std::uint32_t> steps;
  epoch_plan operator()(std::uint64_t epoch) const {
    epoch_plan planned{
        .plan = dispatch_packs(steps.at(epoch), [](std::size_t) { return 1; }, {.epoch = epoch})};
    for (std::uint32_t sample = 0; sample < steps[epoch]; ++sample)
      planned.packs.append({&sample, 1});
    return planned;
  }
};

}  // namespace

TEST_CASE("epoch_iterator runs every sample once an epoch, in fresh packs") {
  const auto samples = tiled_table(500, 1);
  const trainer source{&samples};
  std::vector<std::vector<std::uint32_t>> seen(3);
  std::uint64_t steps = 0;
  for (epoch_iterator run(source, {.epochs = 3}); !run.done(); run.advance(), ++steps) {
    const auto step = samples_of_step(run);
    seen[run.epoch()].insert(seen[run.epoch()].end(), step.begin(), step.end());
    REQUIRE(run.step() < run.steps());
  }
  CHECK(steps == source(0).plan.steps() + source(1).plan.steps() + source(2).plan.steps());
  for (auto& epoch : seen) {
    std::ranges::sort(epoch);
    REQUIRE(epoch.size() == samples.size());
    for (std::uint32_t id = 0; id < epoch.size(); ++id) REQUIRE(epoch[id] == id);
  }
  CHECK(source.packs(0) != source.packs(1));
  CHECK(source(1).plan != source(2).plan);
}

TEST_CASE("a run stopped anywhere goes on exactly where it stopped") {
  const auto samples = tiled_table(200, 2);
  const auto policy =
      GENERATE(last_step_policy::spread, last_step_policy::drop, last_step_policy::pad);
  const trainer source{.samples = &samples, .last_step = policy};
  const epoch_options options{.epochs = 3, .inputs = 99};
  for (epoch_iterator run(source, options);; run.advance()) {
    const auto checkpoint = to_bytes(run.state());
    epoch_iterator resumed(source, options);
    resumed.restore(epoch_state_from_bytes(checkpoint));
    REQUIRE(resumed.state() == run.state());
    REQUIRE(resumed.done() == run.done());
    for (const std::uint32_t rank : {0U, 3U}) REQUIRE(rest_of(resumed, rank) == rest_of(run, rank));
    if (run.done()) break;
  }
}

TEST_CASE("a run goes on with other ranks over the same samples when the global batch stays") {
  const auto samples = tiled_table(400, 3);
  const trainer before{.samples = &samples, .ranks = 4, .microbatches = 3};
  epoch_iterator run(before, {.epochs = 2});
  for (int k = 0; k < 7; ++k) run.advance();
  const std::uint32_t ranks = GENERATE(1U, 2U, 3U, 6U, 12U);
  const trainer after{.samples = &samples, .ranks = ranks, .microbatches = 12 / ranks};
  epoch_iterator resumed(after, {.epochs = 2});
  resumed.restore(run.state());
  for (; !run.done(); run.advance(), resumed.advance()) {
    REQUIRE(resumed.epoch() == run.epoch());
    REQUIRE(resumed.step() == run.step());
    REQUIRE(samples_of_step(resumed) == samples_of_step(run));
  }
  CHECK(resumed.done());
}

TEST_CASE("a run that is done goes on where it is given more epochs") {
  const counted_steps source{{3, 2, 4}};
  epoch_iterator run(source, {.epochs = 1});
  while (!run.done()) run.advance();
  CHECK(run.state().step == 3);
  epoch_iterator longer(source, {.epochs = 3});
  longer.restore(run.state());
  CHECK(longer.epoch() == 1);
  CHECK(longer.step() == 0);
  CHECK_FALSE(longer.done());
}

TEST_CASE("epochs without steps are passed over") {
  const counted_steps source{{0, 2, 0, 0, 1, 0}};
  epoch_iterator run(source, {.epochs = 6});
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (; !run.done(); run.advance()) seen.emplace_back(run.epoch(), run.step());
  CHECK(seen == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{1, 0}, {1, 1}, {4, 0}});
  CHECK(epoch_iterator(counted_steps{{0, 0}}, {.epochs = 2}).done());
}

TEST_CASE("a state is refused where the run differs, and the field is named") {
  const auto samples = tiled_table(200, 4);
  const trainer source{&samples};
  epoch_iterator run(source, {.epochs = 2, .inputs = 5});
  run.advance();
  const epoch_state state = run.state();
  const auto refusal = [&](trainer other, epoch_options options, epoch_state wanted) {
    epoch_iterator target(other, options);
    target.advance();
    const epoch_state stood = target.state();
    const auto samples_before = samples_of_step(target);
    const auto rest = rest_of(target, 0);
    try {
      target.restore(wanted);
    } catch (const invalid_input& error) {
      CHECK(target.state() == stood);
      CHECK(samples_of_step(target) == samples_before);
      CHECK(rest_of(target, 0) == rest);
      return error.field();
    }
    return std::string("taken");
  };
  const epoch_options options{.epochs = 2, .inputs = 5};
  CHECK(refusal(source, options, state) == "taken");
  CHECK(refusal(source, {.epochs = 2, .inputs = 6}, state) == "state inputs");
  auto wrong = state;
  wrong.epoch = 2;
  CHECK(refusal(source, options, wrong) == "state epoch");
  wrong = state;
  wrong.step = run.steps() + 1;
  CHECK(refusal(source, options, wrong) == "state step");
  wrong = state;
  wrong.plan ^= 1;
  CHECK(refusal(source, options, wrong) == "state plan");
  auto other = source;
  other.microbatches = 2;
  CHECK(refusal(other, options, state) == "state global_batch");
  other = source;
  other.seed = 7;
  CHECK(refusal(other, options, state) == "state plan");
  const auto more_samples = tiled_table(201, 4);
  CHECK(refusal({&more_samples}, options, state) == "state plan");
  // Of another epoch, so that its packs are made before it is refused.
  wrong = state;
  wrong.epoch = 1;
  CHECK(refusal(source, options, wrong) == "state plan");
}

TEST_CASE("a state is refused for the same plan over other packs") {
  const auto source = [](std::uint32_t first) {
    return [first](std::uint64_t) {
      epoch_plan planned{.plan = dispatch_packs(6, [](std::size_t) { return 1; }, {.ranks = 2})};
      for (std::uint32_t pack = 0; pack < 6; ++pack) {
        const std::uint32_t sample = pack ^ first;
        planned.packs.append({&sample, 1});
      }
      return planned;
    };
  };
  epoch_iterator run(source(0));
  run.advance();
  epoch_iterator other(source(1));
  CHECK(other.plan() == run.plan());
  CHECK_THROWS_WITH(other.restore(run.state()), ContainsSubstring("state plan"));
  CHECK(other.step() == 0);
}

TEST_CASE("a state is refused for another plan of the same packs") {
  const auto source = [](std::uint64_t seed) {
    return [seed](std::uint64_t) {
      epoch_plan planned{
          .plan = dispatch_packs(6, [](std::size_t) { return 1; }, {.ranks = 2, .seed = seed})};
      for (std::uint32_t sample = 0; sample < 6; ++sample) planned.packs.append({&sample, 1});
      return planned;
    };
  };
  epoch_iterator run(source(1));
  run.advance();
  epoch_iterator other(source(2));
  REQUIRE(step_fingerprint(other.plan()) != step_fingerprint(run.plan()));
  CHECK(std::ranges::equal(other.packs().indices(), run.packs().indices()));
  CHECK_THROWS_WITH(other.restore(run.state()), ContainsSubstring("state plan"));
  CHECK(other.step() == 0);
}

TEST_CASE("a plan that names a pack beyond the last is refused") {
  const auto source = [](std::uint64_t) {
    epoch_plan planned{.plan = dispatch_packs(2, [](std::size_t) { return 1; }, {})};
    const std::uint32_t sample = 0;
    planned.packs.append({&sample, 1});
    return planned;
  };
  CHECK_THROWS_WITH(epoch_iterator(source),
                    ContainsSubstring("= 1: must be less than the number of packs, 1"));
}

TEST_CASE("an iterator that was moved from is done, and copies share the source") {
  std::optional<epoch_iterator<counted_steps>> run(std::in_place, counted_steps{{3, 2}},
                                                   epoch_options{.epochs = 2});
  run->advance();
  epoch_iterator copy = *run;
  epoch_iterator taken = std::move(*run);
  CHECK(taken.state() == copy.state());
  // NOLINTBEGIN(bugprone-use-after-move): what is tested
  CHECK(run->done());
  CHECK(run->steps() == 0);
  CHECK(run->packs().empty());
  CHECK_THROWS_AS(run->advance(), invalid_input);
  CHECK_THROWS_AS(run->samples(0), invalid_input);
  CHECK_THROWS_WITH(run->restore(taken.state()), ContainsSubstring("moved from"));
  *run = copy;
  // NOLINTEND(bugprone-use-after-move)
  run->restore(taken.state());
  CHECK(rest_of(*run, 0) == rest_of(taken, 0));
}

TEST_CASE("damaged states are refused") {
  const auto bytes = to_bytes(epoch_state{.epoch = 1, .step = 2, .global_batch = 8});
  CHECK(bytes.size() == 60);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto changed = bytes;
    changed[at] ^= std::byte{1};
    REQUIRE_THROWS_AS(epoch_state_from_bytes(changed), invalid_input);
  }
  CHECK_THROWS_AS(epoch_state_from_bytes({}), invalid_input);
}

TEST_CASE("epoch_iterator refuses ranks and steps that are not there, and no epochs") {
  const counted_steps source{{1}};
  epoch_iterator run(source);
  CHECK(run.packs(0).size() == 1);
  CHECK(run.real(0).empty());
  CHECK_THROWS_WITH(run.packs(1), "rank = 1: must be less than 1");
  run.advance();
  CHECK_THROWS_AS(run.packs(0), invalid_input);
  CHECK_THROWS_AS(run.advance(), invalid_input);
  CHECK_THROWS_WITH(epoch_iterator(source, {.epochs = 0}), "epochs = 0: must be at least 1");
}

TEST_CASE("a run stays where it is when the next epoch cannot be planned") {
  struct failing {
    epoch_plan operator()(std::uint64_t epoch) const {
      if (epoch == 2) throw std::runtime_error("no such file");
      return counted_steps{{2, 0}}(epoch);
    }
  };
  epoch_iterator run(failing{}, {.epochs = 3});
  run.advance();
  const epoch_state stood = run.state();
  CHECK_THROWS_AS(run.advance(), std::runtime_error);
  CHECK(run.state() == stood);
  CHECK(run.packs(0).size() == 1);
}

TEST_CASE("golden: the bytes of a state never change") {
  hash_stream hash;
  hash.add(to_bytes({.epoch = 1, .step = 2, .global_batch = 3, .inputs = 4, .plan = 5}));
  CHECK(hash.value() == 0x717F9A932B6AC31D);
}
