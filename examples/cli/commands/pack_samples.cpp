// SPDX-License-Identifier: Apache-2.0
#include "commands/pack_samples.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/packing/drawn_samples.hpp>
#include <omnibal/packing/swap_improvement.hpp>

#include "commands/pack_method.hpp"
#include "commands/stopwatch.hpp"
#include "files/mixture_draw.hpp"
#include "options/units.hpp"
#include "tables/sample_names.hpp"

namespace omnibal::cli {
namespace {

/// The capacities given, or those found.
template <std::size_t Resources>
capacity_choice_result<Resources> capacity_for(std::span<const loads<Resources>> samples,
                                               const length_tables& tables,
                                               const pack_options& options,
                                               const search_control& control) {
  constexpr integer_range range{.least = 1};
  if (options.capacity != "auto")
    return {.best = to_loads<Resources>(
                parse_amounts("--capacity", options.capacity, tables.resources, range))};
  capacity_choice_problem<Resources> problem{.samples = samples,
                                             .samples_per_pack = options.samples_per_pack};
  const capacity_choice_options<Resources> search{.seed = static_cast<std::uint64_t>(options.seed),
                                                  .packer = packer_for<Resources>(options),
                                                  .control = control};
  if (options.most.empty()) {
    if (!problem.samples_per_pack) problem.samples_per_pack = 4;
    return choose_capacity(problem, search);
  }
  const auto most = parse_some_amounts("--max", options.most, tables.resources, range);
  for (std::size_t r = 0; r < Resources; ++r)
    if (most[r]) problem.most[r] = *most[r];
  return choose_capacity(problem, search);
}

template <std::size_t Resources>
std::vector<capacity_row> capacity_rows(const capacity_choice_result<Resources>& choice) {
  std::vector<capacity_row> rows;
  for (const auto& [found, passed_over] : choice.candidates)
    rows.push_back({.capacity = {found.capacity.begin(), found.capacity.end()},
                    .samples_per_pack = found.samples_per_pack,
                    .capacity_ratio = static_cast<double>(found.capacity_ratio) * 1e-6,
                    .passed_over = passed_over});
  return rows;
}

/// Packs samples: all of packed_tables but its plan.
template <std::size_t Resources>
packed_tables group_samples(std::span<const loads<Resources>> samples, const length_tables& tables,
                            const pack_options& options, const search_control& control) {
  stopwatch watch;
  const capacity_choice_result<Resources> choice = capacity_for(samples, tables, options, control);
  const loads<Resources>& capacity = choice.best;
  const double capacity_seconds = watch.lap();
  const bool epochs = options.stream != isf_stream::published;
  packing_result result =
      packer_for<Resources>(options, tables)
          .pack(samples, {.capacity = capacity,
                          .seed = static_cast<std::uint64_t>(options.seed),
                          .epoch = epochs ? static_cast<std::uint64_t>(options.epoch) : 0,
                          .oversize = options.oversize,
                          .names = names_of<Resources>(tables),
                          .control = control});
  if (options.level_rounds > 0)
    result.packs = improve_by_swaps(
        result.packs, samples,
        {.capacity = capacity, .rounds = static_cast<std::uint32_t>(options.level_rounds)});
  packed_tables packed{
      .file = {.inputs = tables.inputs,
               .resources = tables.resources,
               .keys = tables.keys,
               .fingerprint = tables.keys.empty() ? std::string() : keys_fingerprint(tables),
               .capacity = {capacity.begin(), capacity.end()},
               .packs = std::move(result.packs)},
      .status = result.status,
      .oversize = std::move(result.oversize),
      .bound = result.bound,
      .capacities = capacity_rows(choice),
      .seconds = {.capacities = capacity_seconds}};
  packed.seconds.pack = watch.lap();
  return packed;
}

/// The mixture that --repeat describes.
mixture_draw mixture_for(const length_tables& tables, const pack_options& options) {
  mixture_draw mixture{.rates = parse_rates("--repeat", options.repeat),
                       .rows = rows_of(tables.inputs),
                       .seed = static_cast<std::uint64_t>(options.seed),
                       .epoch = static_cast<std::uint64_t>(options.epoch)};
  if (mixture.rates.size() != tables.inputs.size())
    throw invalid_input("--repeat", options.repeat,
                        "must have a rate for each file of --lengths, " +
                            std::to_string(tables.inputs.size()) + ", not " +
                            std::to_string(mixture.rates.size()));
  return mixture;
}

/// Packs the samples that a mixture draws.
template <std::size_t Resources>
packed_tables group_mixture(std::span<const loads<Resources>> samples, const length_tables& tables,
                            const pack_options& options, const search_control& control) {
  const mixture_draw mixture = mixture_for(tables, options);
  const std::vector<std::uint32_t> drawn = draw_samples(mixture);
  if (drawn.empty())
    throw invalid_input("--repeat", options.repeat,
                        "draws no sample in epoch " + std::to_string(options.epoch));
  packed_tables packed;
  const auto pack = [&](std::span<const loads<Resources>> some) {
    packed = group_samples(some, tables, options, control);
    return packing_result{.packs = packed.file.packs, .oversize = packed.oversize};
  };
  packing_result result = pack_drawn(samples, drawn, pack, names_of<Resources>(tables));
  packed.file.packs = std::move(result.packs);
  packed.oversize = std::move(result.oversize);
  packed.drawn = drawn.size();
  packed.file.mixture = mixture;
  return packed;
}

/// Throws the error with the option to choose where it is about a load of a sample.
[[noreturn]] void throw_naming_the_option(const invalid_input& error,
                                          const std::vector<std::string>& resources) {
  if (!error.index() || std::ranges::find(resources, error.field()) == resources.end()) throw error;
  throw invalid_input(error.field(), *error.index(), error.value(),
                      error.advice() + " with --oversize");
}

}  // namespace

packed_tables pack_samples(const length_tables& tables, const pack_options& options,
                           const search_control& control) {
  const auto pack = [&](const auto& table) {
    const std::span samples(table);
    return options.repeat.empty() ? group_samples(samples, tables, options, control)
                                  : group_mixture(samples, tables, options, control);
  };
  try {
    return std::visit(pack, tables.samples);
  } catch (const invalid_input& error) {
    throw_naming_the_option(error, tables.resources);
  }
}

}  // namespace omnibal::cli
