// SPDX-License-Identifier: Apache-2.0
#include "commands/pack_dispatch.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include <omnibal/core/error.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/packing/metrics.hpp>

#include "commands/stopwatch.hpp"

namespace omnibal::cli {

grouping<std::uint32_t> samples_by_microbatch(const packs_file& file) {
  return file.groups.empty() ? file.packs : samples_of_groups(file.groups, file.packs);
}

namespace {

template <std::size_t Resources>
void assign(const sample_list<Resources>& samples, const pack_options& options,
            packed_tables& packed) {
  constexpr std::int64_t most_padded = std::int64_t{1} << 23;
  if (options.last_step == last_step_policy::pad &&
      options.ranks * options.microbatches > most_padded)
    throw invalid_input("--micro-batches", options.microbatches,
                        "with " + std::to_string(options.ranks) +
                            " ranks are too many to fill up: with --last-step pad a step may have "
                            "at most 2^23 micro-batches");
  stopwatch watch;
  packs_file& file = packed.file;
  if (options.sequence_parallel_size > 1)
    file.groups = group_packs(std::span<const loads<Resources>>(pack_loads(file.packs, samples)),
                              {.size = static_cast<std::uint32_t>(options.sequence_parallel_size),
                               .seed = static_cast<std::uint64_t>(options.seed),
                               .epoch = static_cast<std::uint64_t>(options.epoch)});
  const grouping<std::uint32_t> microbatches = samples_by_microbatch(file);
  const auto sums = pack_loads(microbatches, samples);
  const auto costs = pack_costs<Resources>(std::span(sums), to_loads<Resources>(file.capacity));
  const std::vector<std::uint32_t> sizes = pack_sizes(microbatches);
  file.plan = dispatch_packs(std::span(costs),
                             {.ranks = static_cast<std::uint32_t>(options.ranks),
                              .microbatches = static_cast<std::uint32_t>(options.microbatches),
                              .seed = static_cast<std::uint64_t>(options.seed),
                              .epoch = static_cast<std::uint64_t>(options.epoch),
                              .last_step = options.last_step,
                              .window = static_cast<std::uint32_t>(options.window),
                              .strata = sizes,
                              .largest_first = options.largest_first});
  packed.seconds.dispatch = watch.lap();
}

}  // namespace

void assign_packs(const length_tables& tables, const pack_options& options, packed_tables& packed) {
  std::visit([&](const auto& samples) { assign(samples, options, packed); }, tables.samples);
}

}  // namespace omnibal::cli
