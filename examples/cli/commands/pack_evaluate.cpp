// SPDX-License-Identifier: Apache-2.0
#include "commands/pack_evaluate.hpp"

#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/packing/drawn_samples.hpp>
#include <omnibal/packing/packing_check.hpp>

#include "errors.hpp"
#include "files/mixture_draw.hpp"
#include "files/packs_file.hpp"

namespace omnibal::cli {
namespace {

/// How often each sample that fits must be in the packs of a file.
std::vector<std::uint32_t> expected_times(const packs_file& file, std::size_t samples) {
  if (!file.mixture) return std::vector<std::uint32_t>(samples, 1);
  std::vector<std::uint32_t> drawn = draw_samples(*file.mixture);
  if (!file.places.empty())
    for (std::uint32_t& id : drawn) id = file.places[id];
  return times_drawn(drawn, samples);
}

/// Checks the packs of a file; errors name the file.
template <std::size_t Resources>
packing_result check(const sample_list<Resources>& samples, const std::vector<std::uint32_t>& times,
                     const packs_file& file, const std::string& path, const length_tables& tables) {
  const packing_check_options<Resources> options{.capacity = to_loads<Resources>(file.capacity),
                                                 .times = times,
                                                 .names = names_of<Resources>(tables)};
  try {
    return check_packing(file.packs, samples, options);
  } catch (const invalid_input& error) {
    const bool is_of_mixture = file.mixture && error.field() == "samples";
    throw invalid_input(
        path + ": " + error.field(), error.indices(), error.value(),
        error.advice() + (is_of_mixture ? ", as the mixture of repeat draws it" : ""));
  }
}

template <std::size_t Resources>
packed_tables evaluate(const sample_list<Resources>& samples, const length_tables& tables,
                       const pack_options& options) {
  packed_tables packed{.file = read_packs_file(options.evaluate, tables)};
  const auto& mixture = packed.file.mixture;
  const bool as_drawn =
      packed.file.places.empty() && (!mixture || mixture->rows == rows_of(packed.file.inputs));
  if (mixture && !as_drawn && !options.out.empty())
    throw usage_error(
        "--out has no meaning here: a mixture depends on the order of the tables, and " +
        options.evaluate + " was made for another order");
  const std::vector<std::uint32_t> times = expected_times(packed.file, samples.size());
  packing_result checked = check(samples, times, packed.file, options.evaluate, tables);
  packed.oversize = std::move(checked.oversize);
  if (packed.file.mixture) packed.drawn = std::reduce(times.begin(), times.end(), std::size_t{0});
  packed.bound = checked.bound;
  packed.status = checked.status;
  return packed;
}

}  // namespace

packed_tables evaluate_packs(const length_tables& tables, const pack_options& options) {
  return std::visit([&](const auto& samples) { return evaluate(samples, tables, options); },
                    tables.samples);
}

}  // namespace omnibal::cli
