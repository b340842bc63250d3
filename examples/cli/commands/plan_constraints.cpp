// SPDX-License-Identifier: Apache-2.0
#include "commands/plan_constraints.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>

#include "options/units.hpp"

namespace omnibal::cli {
namespace {

constexpr const char* option = "--together";

/// The first and the last of some layers.
struct layer_range {
  std::size_t first = 0;
  std::size_t last = 0;
};

std::size_t layer_number(std::string_view text, std::size_t layers) {
  return static_cast<std::size_t>(
      parse_integer(option, text, {0, static_cast<std::int64_t>(layers) - 1}));
}

layer_range numbered(std::string_view text, std::size_t layers) {
  const std::size_t dash = text.find('-');
  const layer_range range{layer_number(text.substr(0, dash), layers),
                          layer_number(text.substr(dash + 1), layers)};
  if (range.first > range.last) throw invalid_input(option, text, "must be a rising range");
  return range;
}

std::vector<std::string> kinds_of(std::span<const layer_cost> chain) {
  std::vector<std::string> kinds;
  for (const layer_cost& layer : chain)
    if (const std::string name(to_string(layer.kind));
        std::ranges::find(kinds, name) == kinds.end())
      kinds.push_back(name);
  return kinds;
}

layer_range of_kind(std::string_view text, std::span<const layer_cost> chain) {
  layer_range range{chain.size(), 0};
  for (std::size_t l = 0; l < chain.size(); ++l)
    if (to_string(chain[l].kind) == text) range = {std::min(range.first, l), l};
  if (range.first == chain.size()) throw_not_among(option, text, kinds_of(chain));
  return range;
}

layer_range layers_named(std::string_view text, std::span<const layer_cost> chain) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9' ? numbered(text, chain.size())
                                                                     : of_kind(text, chain);
}

void keep_together(run_problem& problem, std::string_view group) {
  layer_range all{problem.chain.size(), 0};
  for (const std::string_view part : split(group, ',')) {
    const layer_range range = layers_named(part, problem.chain);
    all = {std::min(all.first, range.first), std::max(all.last, range.last)};
  }
  if (all.first < all.last) problem.together.push_back({all.first, all.last});
}

bool has_partition(const run_problem& problem) {
  pipeline_problem numbers{.schedule = {.kind = problem.schedule,
                                        .stages = problem.stages,
                                        .virtual_stages = problem.virtual_stages},
                           .together = problem.together,
                           .fixed_cuts = problem.fixed_cuts};
  numbers.layers.resize(problem.chain.size());
  return impossible_partition(numbers).reason == infeasibility::cause::none;
}

}  // namespace

void add_constraints(run_problem& problem, const plan_arguments& arguments) {
  for (const std::string& group : arguments.together) keep_together(problem, group);
  if (arguments.vision_stages > 0)
    reserve_vision_stages(problem, static_cast<std::size_t>(arguments.vision_stages));
}

std::optional<std::size_t> nearest_vision_stages(const run_problem& problem,
                                                 const plan_arguments& arguments) {
  if (arguments.vision_stages == 0) return std::nullopt;
  const auto asked = static_cast<std::size_t>(arguments.vision_stages);
  const std::size_t most = problem.stages * problem.virtual_stages;
  run_problem other = problem;
  const auto possible = [&](std::size_t stages) {
    other.fixed_cuts.back().stage = stages;
    return stages > 0 && stages < most && has_partition(other);
  };
  for (std::size_t away = 1; away < asked + most; ++away) {
    if (away < asked && possible(asked - away)) return asked - away;
    if (possible(asked + away)) return asked + away;
  }
  return std::nullopt;
}

}  // namespace omnibal::cli
