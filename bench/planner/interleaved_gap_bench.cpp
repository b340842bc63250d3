// SPDX-License-Identifier: Apache-2.0
// The search for interleaved plans against the best that a long random search finds: 20 seeded
// chains of 30 to 100 layers on 4 to 16 devices of 2 to 5 virtual stages, up to 8 micro-batches per
// device. The counter `gap` is makespan / the rival's - 1; it is negative where the search is
// better. The rival simulates OMNIBAL_RIVAL_OPERATIONS operations per chain (10^9), by annealing
// and restarts from the best: too long for continuous integration.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedules/interleaved.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/planner/plan_jointly.hpp>

using namespace omnibal;

namespace {

std::int64_t draw(random_stream& random, std::int64_t least, std::int64_t most) {
  return least + uniform_below(random, static_cast<std::uint32_t>(most - least + 1));
}

/// Layers of some kinds in runs, as of a vision tower and a language model, between light and heavy
/// single ones.
std::vector<pipeline_layer> chain_of(random_stream& random, std::size_t layers) {
  std::vector<pipeline_layer> chain;
  while (chain.size() < layers) {
    const std::int64_t run = draw(random, 0, 2) == 0 ? 1 : draw(random, 5, 40);
    const std::int64_t time = run == 1 ? draw(random, 0, 4000) : draw(random, 200, 1500);
    const std::int64_t latency = draw(random, 0, 60);
    for (std::int64_t k = 0; k < run && chain.size() < layers; ++k)
      chain.push_back({.forward_time = time,
                       .backward_time = 2 * time + draw(random, 0, time / 4),
                       .forward_latency = latency,
                       .backward_latency = latency});
  }
  return chain;
}

pipeline_problem instance(std::uint64_t seed) {
  random_stream random(seed);
  const auto stages = static_cast<std::size_t>(draw(random, 4, 16));
  const auto most_virtual = static_cast<std::int64_t>(std::min<std::size_t>(5, 100 / stages));
  const auto virtual_stages = static_cast<std::size_t>(draw(random, 2, most_virtual));
  const auto least = static_cast<std::int64_t>(std::max<std::size_t>(30, stages * virtual_stages));
  const auto layers = static_cast<std::size_t>(draw(random, least, 100));
  const auto groups = static_cast<std::size_t>(draw(random, 1, 8));
  return {.schedule = {.kind = schedules::interleaved{},
                       .stages = stages,
                       .virtual_stages = virtual_stages,
                       .microbatches = groups * stages},
          .layers = chain_of(random, layers)};
}

/// Simulated annealing over cuts, again and again from the best so far.
class rival_search {
 public:
  rival_search(const pipeline_problem& problem, std::uint64_t seed)
      : problem_(problem), graph_(problem.schedule), random_(seed) {}

  [[nodiscard]] std::int64_t least_makespan(std::int64_t operations) {
    best_ = even();
    least_ = makespan_of(best_);
    const auto each = static_cast<std::int64_t>(graph_.nodes().size());
    constexpr int rounds = 8;
    for (int round = 0; round < rounds; ++round) anneal(operations / each / rounds);
    return least_;
  }

 private:
  using cuts = std::vector<std::size_t>;

  [[nodiscard]] cuts even() const {
    const std::size_t parts = problem_.schedule.total_stages();
    cuts result;
    for (std::size_t j = 0; j <= parts; ++j) result.push_back(j * problem_.layers.size() / parts);
    return result;
  }

  [[nodiscard]] std::int64_t makespan_of(const cuts& some) const {
    const pipeline_plan plan{.cuts = some,
                             .modes = std::vector<std::size_t>(problem_.layers.size(), 0)};
    return simulate(graph_, simulation_times(stage_costs(problem_, plan), problem_.schedule))
        .makespan;
  }

  /// One cut by up to three layers, or all cuts from one to another by one.
  [[nodiscard]] cuts moved(cuts some) {
    const auto last = static_cast<std::int64_t>(some.size()) - 2;
    auto from = static_cast<std::size_t>(draw(random_, 1, last));
    auto to = draw(random_, 0, 1) == 0 ? from : static_cast<std::size_t>(draw(random_, 1, last));
    if (from > to) std::swap(from, to);
    const std::int64_t step = from == to ? draw(random_, 1, 3) : 1;
    const bool up = draw(random_, 0, 1) == 0;
    for (std::size_t j = from; j <= to; ++j)
      some[j] = up ? some[j] + static_cast<std::size_t>(step)
                   : some[j] - std::min(some[j], static_cast<std::size_t>(step));
    return some;
  }

  [[nodiscard]] static bool is_valid(const cuts& some) {
    return std::ranges::adjacent_find(some, std::ranges::greater_equal{}) == some.end();
  }

  void anneal(std::int64_t moves) {
    cuts now = best_;
    std::int64_t time = least_;
    for (std::int64_t move = 0; move < moves; ++move) {
      const cuts next = moved(now);
      if (!is_valid(next)) continue;
      const std::int64_t found = makespan_of(next);
      const double cooled = 1.0 - static_cast<double>(move) / static_cast<double>(moves);
      const double warmth = 0.02 * cooled * cooled * static_cast<double>(least_) + 1e-9;
      const double chance = std::exp(static_cast<double>(time - found) / warmth);
      if (static_cast<double>(draw(random_, 0, 999'999)) * 1e-6 >= chance) continue;
      now = next;
      time = found;
      if (time >= least_) continue;
      best_ = now;
      least_ = time;
    }
  }

  const pipeline_problem& problem_;
  operation_graph graph_;
  random_stream random_;
  cuts best_;
  std::int64_t least_ = 0;
};

std::int64_t rival_operations() {
  const char* const given = std::getenv("OMNIBAL_RIVAL_OPERATIONS");
  return given == nullptr ? 1'000'000'000 : std::atoll(given);
}

void search(benchmark::State& state) {
  const auto seed = static_cast<std::uint64_t>(state.range(0));
  const pipeline_problem problem = instance(seed);
  joint_result plan;
  for (auto _ : state) plan = plan_jointly(problem, objectives::makespan{});
  const auto ours = static_cast<double>(plan.objective.numerator);
  const auto rival =
      static_cast<double>(rival_search(problem, seed).least_makespan(rival_operations()));
  state.counters["gap"] = ours / rival - 1;
  state.counters["over_bound"] = ours * static_cast<double>(plan.bound.denominator) /
                                     static_cast<double>(plan.bound.numerator) -
                                 1;
  state.counters["layers"] = static_cast<double>(problem.layers.size());
  state.counters["stages"] = static_cast<double>(problem.schedule.stages);
  state.counters["virtual"] = static_cast<double>(problem.schedule.virtual_stages);
  state.counters["microbatches"] = static_cast<double>(problem.schedule.microbatches);
}

BENCHMARK(search)->DenseRange(1, 20)->Iterations(1)->Unit(benchmark::kSecond);

}  // namespace
