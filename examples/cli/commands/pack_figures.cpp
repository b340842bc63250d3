// SPDX-License-Identifier: Apache-2.0
#include "commands/pack_figures.hpp"

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/packing/metrics.hpp>

#include "commands/pack_dispatch.hpp"

namespace omnibal::cli {
namespace {

std::size_t dropped_packs(const packs_file& file) {
  return file.groups.empty() ? file.plan.dropped.size()
                             : plan_of_packs(file.plan, file.groups).dropped.size();
}

template <typename Values>
std::vector<double> to_list(const Values& values) {
  return {values.begin(), values.end()};
}

/// The figures of the packs alone.
template <std::size_t Resources>
void add_packing(pack_report& report, const sample_list<Resources>& samples,
                 const packs_file& file) {
  const auto capacity = to_loads<Resources>(file.capacity);
  const auto metrics = measure_packing(file.packs, samples, capacity);
  const auto sums = pack_loads(file.packs, samples);
  const std::vector<std::int64_t> costs = pack_costs<Resources>(std::span(sums), capacity);
  report.packed = metrics.samples;
  report.packs = metrics.packs;
  report.fill = to_list(metrics.fill);
  report.samples_per_pack = metrics.samples_per_pack;
  report.pack_cost_variation = pack_cost_variation(std::span(costs));
}

/// The figures of the assignment of packs to steps and ranks.
template <std::size_t Resources>
void add_dispatch(pack_report& report, const sample_list<Resources>& samples,
                  const packs_file& file) {
  const auto sums = pack_loads(samples_by_microbatch(file), samples);
  const std::vector<std::int64_t> costs =
      pack_costs<Resources>(std::span(sums), to_loads<Resources>(file.capacity));
  const auto metrics =
      measure_dispatch(file.plan, std::span<const loads<Resources>>(sums), std::span(costs));
  report.steps = metrics.steps;
  report.dropped = dropped_packs(file);
  report.dist_ratio = to_list(metrics.dist_ratio);
  report.cost_ratio = metrics.cost_ratio;
  report.cost_ratio_bound = metrics.cost_ratio_bound;
  report.full_steps_cost_ratio = metrics.full_steps_cost_ratio;
  report.window_deviation = metrics.draw_deviation;
  if (!file.groups.empty()) report.group_cost_variation = metrics.assigned_cost_variation;
}

}  // namespace

pack_report measure(const length_tables& tables, const packed_tables& packed) {
  const packs_file& file = packed.file;
  pack_report report{.status = packed.status,
                     .resources = file.resources,
                     .samples = tables.size(),
                     .drawn = packed.drawn,
                     .oversize = packed.oversize,
                     .capacity = file.capacity,
                     .bound = packed.bound,
                     .capacities = packed.capacities,
                     .seconds = packed.seconds};
  std::visit(
      [&](const auto& samples) {
        add_packing(report, samples, file);
        add_dispatch(report, samples, file);
      },
      tables.samples);
  return report;
}

}  // namespace omnibal::cli
