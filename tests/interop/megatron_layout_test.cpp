// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/plan_jointly.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;
using omnibal::test::draw;

namespace {

/// Layers with modes none, selective and full, as a chain with costs has them.
pipeline_layer named_layer(random_stream& random, const std::string& name) {
  pipeline_layer one = test::random_layer(random, 0);
  one.name = name;
  one.kind = layer_kind_named(name);
  const std::int64_t all = draw(random, 10, 60);
  one.modes = {{.name = "none", .kind = recompute_kind::none, .saved_bytes = all}};
  const bool transformer = name.starts_with("vision") || name.starts_with("language");
  if (transformer || name == "head") {
    one.modes.push_back({.name = "full",
                         .kind = recompute_kind::full,
                         .extra_time = one.forward_time,
                         .saved_bytes = all / 8,
                         .transient_bytes = all});
    if (transformer)
      one.modes.push_back({.name = "selective",
                           .kind = recompute_kind::selective,
                           .extra_time = one.forward_time / 10,
                           .saved_bytes = all / 2,
                           .transient_bytes = all / 2});
  }
  return one;
}

pipeline_problem chain_problem(random_stream& random, std::size_t vision, std::size_t language) {
  pipeline_problem problem;
  for (std::size_t k = 0; k < vision; ++k)
    problem.layers.push_back(named_layer(random, "vision" + std::to_string(k)));
  if (vision > 0) problem.layers.push_back(named_layer(random, "projector"));
  problem.layers.push_back(named_layer(random, "embedding"));
  for (std::size_t k = 0; k < language; ++k)
    problem.layers.push_back(named_layer(random, "language" + std::to_string(k)));
  problem.layers.push_back(named_layer(random, "head"));
  return problem;
}

pipeline_plan random_plan(random_stream& random, const pipeline_problem& problem) {
  std::vector<std::size_t> inner;
  for (std::size_t cut = 1; cut < problem.layers.size(); ++cut) inner.push_back(cut);
  while (inner.size() >= problem.schedule.total_stages())
    inner.erase(inner.begin() + draw(random, 0, static_cast<std::int64_t>(inner.size()) - 1));
  pipeline_plan plan{.cuts = {0}};
  plan.cuts.insert(plan.cuts.end(), inner.begin(), inner.end());
  plan.cuts.push_back(problem.layers.size());
  for (const pipeline_layer& one : problem.layers)
    plan.modes.push_back(
        static_cast<std::size_t>(draw(random, 0, static_cast<std::int64_t>(one.modes.size()) - 1)));
  return plan;
}

/// Symbols with x*n written out: what Megatron-LM makes of a layout.
std::string written_out(const std::string& layout) {
  std::string text;
  for (std::size_t k = 0; k < layout.size(); ++k) {
    if (layout[k] != '*') {
      text += layout[k];
      continue;
    }
    std::size_t digits = 0;
    const int times = std::stoi(layout.substr(k + 1), &digits);
    text.append(static_cast<std::size_t>(times - 1), text.back());
    k += digits;
  }
  return text;
}

std::string expected_symbols(const pipeline_problem& problem, const pipeline_plan& plan) {
  std::string text;
  for (std::size_t l = 0; l < problem.layers.size(); ++l) {
    if (l > 0 && std::ranges::find(plan.cuts, l) != plan.cuts.end()) text += '|';
    const std::string& name = problem.layers[l].name;
    if (name == "embedding") text += 'E';
    if (name.starts_with("language")) text += 't';
    if (name == "head") text += 'L';
  }
  return text;
}

bool warns_of(const megatron_layout& found, const std::string& words) {
  return std::ranges::any_of(
      found.warnings, [&](const std::string& one) { return one.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("The layout says where each layer of the language model is") {
  random_stream random(1);
  for (int round = 0; round < 300; ++round) {
    pipeline_problem problem = chain_problem(random, static_cast<std::size_t>(draw(random, 0, 6)),
                                             static_cast<std::size_t>(draw(random, 3, 14)));
    problem.schedule = {.stages = static_cast<std::size_t>(draw(random, 1, 4)), .microbatches = 12};
    if (round % 3 == 0) problem.schedule.kind = schedules::interleaved{};
    const pipeline_plan plan = random_plan(random, problem);
    const megatron_layout found = to_megatron_layout(problem, plan);
    CHECK(written_out(found.layout) == expected_symbols(problem, plan));
    std::size_t vision = 0;
    for (const std::size_t count : found.vision_layers) vision += count;
    CHECK(vision == static_cast<std::size_t>(std::ranges::count_if(
                        problem.layers,
                        [](const pipeline_layer& one) { return one.name.starts_with("vision"); })));
    CHECK(warns_of(found, "no symbol for vision layers") == (vision > 0));
  }
}

TEST_CASE("A layout in Megatron-LM's own notation") {
  random_stream random(2);
  pipeline_problem problem = chain_problem(random, 2, 5);
  problem.schedule = {.stages = 4, .microbatches = 8};
  const megatron_layout found = to_megatron_layout(
      problem, {.cuts = {0, 2, 5, 8, 10}, .modes = std::vector<std::size_t>(10)});
  CHECK(found.layout == "|Et|t*3|tL");
  CHECK(found.vision_layers == std::vector<std::size_t>{2, 0, 0, 0});
  CHECK(found.recomputed_layers == 0);
  CHECK(found.arguments ==
        std::vector<std::string>{"--num-layers", "5", "--pipeline-model-parallel-size", "4",
                                 "--pipeline-model-parallel-layout", "|Et|t*3|tL"});
  CHECK(warns_of(found, "not on the first stage"));
  CHECK_FALSE(warns_of(found, "longer"));
}

TEST_CASE("What the layout leaves out is warned of just where it is left out") {
  random_stream random(7);
  pipeline_problem problem = chain_problem(random, 2, 5);
  problem.schedule = {.stages = 2, .microbatches = 2};
  const auto warned = [&](std::size_t cut, const std::string& words) {
    return warns_of(
        to_megatron_layout(problem, {.cuts = {0, cut, problem.layers.size()},
                                     .modes = std::vector<std::size_t>(problem.layers.size())}),
        words);
  };
  // Two vision layers, the projector, and then the embedding.
  CHECK(warned(3, "not on the first stage"));
  CHECK_FALSE(warned(4, "not on the first stage"));
  problem.layers.erase(problem.layers.begin(), problem.layers.begin() + 2);
  CHECK(warned(3, "no symbol for vision layers"));
  problem.layers.erase(problem.layers.begin());
  CHECK_FALSE(warned(3, "no symbol for vision layers"));
}

TEST_CASE("The number of recomputed layers is the best that fits, found by trying all") {
  random_stream random(3);
  int recomputing = 0;
  int short_of_memory = 0;
  for (int round = 0; round < 300; ++round) {
    pipeline_problem problem = chain_problem(random, static_cast<std::size_t>(draw(random, 1, 5)),
                                             static_cast<std::size_t>(draw(random, 3, 8)));
    problem.schedule = {.stages = static_cast<std::size_t>(draw(random, 1, 3)), .microbatches = 6};
    problem.memory_limit.assign(problem.schedule.stages, draw(random, 50, 900));
    problem.memory_margin = 7;
    const pipeline_plan plan = random_plan(random, problem);
    const megatron_layout found = to_megatron_layout(problem, plan);

    std::int64_t least_short = -1;
    std::int64_t fastest = 0;
    for (std::size_t count = 0; count <= 8; ++count) {
      pipeline_plan tried{.cuts = plan.cuts};
      for (std::size_t l = 0; l < problem.layers.size(); ++l) {
        const std::string kind = problem.layers[l].name.substr(0, 6);
        std::size_t before = 0;
        for (std::size_t k = l; k-- > 0;) {
          const bool same_stage =
              std::ranges::none_of(plan.cuts, [&](std::size_t cut) { return cut > k && cut <= l; });
          if (same_stage && problem.layers[k].name.substr(0, 6) == kind) ++before;
        }
        tried.modes.push_back((kind == "vision" || kind == "langua") && before < count ? 1 : 0);
      }
      const auto stages = stage_costs(problem, tried);
      const std::int64_t time = makespan(problem.schedule, stages);
      std::int64_t lacks = 0;
      for (const std::int64_t peak : peak_memory(problem, stages))
        lacks = std::max(lacks, peak + 7 - problem.memory_limit[0]);
      if (least_short < 0 || lacks < least_short || (lacks == least_short && time < fastest)) {
        least_short = lacks;
        fastest = time;
      }
      if (count == found.recomputed_layers) CHECK(tried == found.evaluated.plan);
    }
    CHECK(found.evaluated.bytes_over == least_short);
    CHECK(found.evaluated.makespan == fastest);
    CHECK(warns_of(found, "bytes are short") == (least_short > 0));
    recomputing += found.recomputed_layers > 0 ? 1 : 0;
    short_of_memory += least_short > 0 ? 1 : 0;
  }
  CHECK(recomputing > 50);
  CHECK(short_of_memory > 50);
  CHECK(short_of_memory < 250);
}

TEST_CASE("What recomputing the same number everywhere costs is reported") {
  random_stream random(4);
  pipeline_problem problem = chain_problem(random, 4, 8);
  for (pipeline_layer& one : problem.layers) one.forward_time = one.backward_time = 100;
  for (pipeline_layer& one : problem.layers)
    for (recompute_mode& mode : one.modes) mode.extra_time = mode.name == "full" ? 100 : 0;
  problem.schedule = {.stages = 2, .microbatches = 4};
  int slower = 0;
  for (std::int64_t limit = 200; limit <= 1200; limit += 20) {
    problem.memory_limit.assign(2, limit);
    const joint_result joint = plan_jointly(problem, objectives::makespan{});
    if (joint.plan.cuts.empty()) continue;
    const megatron_layout found = to_megatron_layout(problem, joint.plan);
    const std::int64_t planned = makespan(problem.schedule, stage_costs(problem, joint.plan));
    if (found.evaluated.bytes_over > 0) continue;
    CHECK(found.evaluated.makespan >= planned);
    CHECK(warns_of(found, "longer than with the plan's own") ==
          (found.evaluated.plan.modes != joint.plan.modes));
    if (found.recomputed_layers == 0) continue;
    CHECK(found.arguments[found.arguments.size() - 2] == "--recompute-num-layers");
    CHECK(found.arguments.back() == std::to_string(found.recomputed_layers));
    slower += found.evaluated.makespan > planned ? 1 : 0;
  }
  CHECK(slower > 3);
}

TEST_CASE("Schedules that Megatron-LM does not run are warned of") {
  random_stream random(5);
  pipeline_problem problem = chain_problem(random, 0, 6);
  for (const any_schedule kind : std::initializer_list<any_schedule>{
           schedules::one_forward_one_backward{}, schedules::interleaved{}, schedules::gpipe{},
           schedules::zero_bubble_h1{}}) {
    problem.schedule = {.kind = kind, .stages = 2, .microbatches = 2};
    const bool unknown = kind == schedules::gpipe{} || kind == schedules::zero_bubble_h1{};
    CHECK(warns_of(to_megatron_layout(problem, random_plan(random, problem)),
                   "Megatron-LM runs 1f1b or interleaved") == unknown);
  }
}

TEST_CASE("The layout depends on the kinds of layers and not on their names") {
  random_stream random(8);
  for (int round = 0; round < 50; ++round) {
    pipeline_problem problem = chain_problem(random, 3, 5);
    problem.schedule = {.stages = 3, .microbatches = 4};
    const pipeline_plan plan = random_plan(random, problem);
    const megatron_layout before = to_megatron_layout(problem, plan);
    for (pipeline_layer& one : problem.layers) one.name = round % 2 == 0 ? "x" : "head";
    const megatron_layout after = to_megatron_layout(problem, plan);
    CHECK(after.layout == before.layout);
    CHECK(after.arguments == before.arguments);
    CHECK(after.evaluated.makespan == before.evaluated.makespan);
  }
}

TEST_CASE("Layers without a place in the layout are refused by name") {
  const auto refusal = [](const auto& change) -> std::string {
    random_stream random(6);
    pipeline_problem problem = chain_problem(random, 2, 3);
    problem.schedule = {.stages = 2, .microbatches = 2};
    const pipeline_plan plan = random_plan(random, problem);
    change(problem);
    try {
      (void)to_megatron_layout(problem, plan);
    } catch (const invalid_input& error) {
      return error.what();
    }
    return "";
  };
  CHECK(refusal([](pipeline_problem&) {}).empty());
  CHECK_THAT(
      refusal([](pipeline_problem& problem) { problem.layers[1].kind = layer_kind::custom; }),
      ContainsSubstring("layers[1].kind = custom, of the layer vision1"));
  CHECK_THAT(
      refusal([](pipeline_problem& problem) { problem.layers.back().kind = layer_kind::language; }),
      ContainsSubstring("head"));
  CHECK_THAT(
      refusal([](pipeline_problem& problem) { problem.layers[4].kind = layer_kind::embedding; }),
      ContainsSubstring("embedding"));
  CHECK_THAT(
      refusal([](pipeline_problem& problem) { std::swap(problem.layers[0], problem.layers[4]); }),
      ContainsSubstring("order"));
  CHECK_THAT(refusal([](pipeline_problem& problem) { problem.layers.pop_back(); }),
             ContainsSubstring("cuts"));
}
