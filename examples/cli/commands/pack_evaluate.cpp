// SPDX-License-Identifier: Apache-2.0
#include "commands/pack_evaluate.hpp"

#include <cstdint>
#include <numeric>
#include <string>
#include <variant>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/metrics.hpp>

#include "errors.hpp"
#include "files/mixture_draw.hpp"
#include "files/packs_file.hpp"

namespace omnibal::cli {
namespace {

/// How often each sample that fits must be in the packs of a file.
std::vector<std::uint32_t> expected_times(const packs_file& file, std::size_t samples) {
  if (!file.mixture) return std::vector<std::uint32_t>(samples, 1);
  std::vector<std::uint32_t> times(samples);
  for (const std::uint32_t id : draw_samples(*file.mixture))
    ++times[file.places.empty() ? id : file.places[id]];
  return times;
}

/// Throws: the packs hold sample `id` `times` times, not `expected` times.
[[noreturn]] void refuse_times(const packs_file& file, const std::string& path, std::uint32_t id,
                               std::uint32_t times, std::uint32_t expected) {
  const std::string field = path + ": indices";
  if (file.mixture)
    throw invalid_input(field, id,
                        "is a sample in packs " + std::to_string(times) +
                            " times, but the mixture of repeat draws it " +
                            std::to_string(expected) + " times");
  throw invalid_input(
      field, id,
      times == 0 ? "is a sample in no pack, though it fits" : "is a sample in two packs");
}

/// Checks packs made elsewhere against the capacity and the number of times that each sample must
/// appear. Returns the samples beyond the capacity, ascending.
template <std::size_t Resources>
std::vector<std::uint32_t> check_packs(const sample_list<Resources>& samples,
                                       const std::vector<std::uint32_t>& expected,
                                       const packs_file& file, const std::string& path) {
  const auto exceeds = [&](const loads<Resources>& load) {
    for (std::size_t r = 0; r < Resources; ++r)
      if (load[r] > file.capacity[r]) return true;
    return false;
  };
  std::vector<std::uint32_t> times(samples.size());
  for (const std::uint32_t id : file.packs.indices()) ++times[id];
  std::vector<std::uint32_t> oversize;
  for (std::uint32_t id = 0; id < samples.size(); ++id) {
    const bool fits = !exceeds(samples[id]);
    if (times[id] > expected[id] || (fits && times[id] < expected[id]))
      refuse_times(file, path, id, times[id], expected[id]);
    if (!fits && expected[id] > 0) oversize.push_back(id);
  }
  const auto sums = pack_loads(file.packs, samples);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const std::uint64_t begin = file.packs.offsets()[k];
    if (file.packs[k].empty())
      throw invalid_input(path + ": offsets", k, begin, "begins an empty pack");
    if (exceeds(sums[k]) && file.packs[k].size() > 1)
      throw invalid_input(path + ": offsets", k, begin, "begins a pack beyond the capacity");
  }
  return oversize;
}

/// A proven lower bound on the number of packs: one per sample beyond the capacity, and the bound
/// for all others.
template <std::size_t Resources>
std::uint64_t bound_on_packs(const sample_list<Resources>& samples,
                             const std::vector<std::uint32_t>& times, const packs_file& file,
                             const std::vector<std::uint32_t>& oversize,
                             const length_tables& tables) {
  std::vector<std::uint32_t> left = times;
  for (const std::uint32_t id : oversize) left[id] = 0;
  sample_list<Resources> fitting;
  for (std::size_t id = 0; id < samples.size(); ++id)
    fitting.insert(fitting.end(), left[id], samples[id]);
  const std::size_t own_packs = file.packs.indices().size() - fitting.size();
  return own_packs +
         bound_packs(fitting,
                     bound_options<Resources>{.capacity = to_loads<Resources>(file.capacity),
                                              .names = names_of<Resources>(tables)})
             .packs;
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
  packed.oversize = check_packs(samples, times, packed.file, options.evaluate);
  if (packed.file.mixture) packed.drawn = std::reduce(times.begin(), times.end(), std::size_t{0});
  packed.bound = bound_on_packs(samples, times, packed.file, packed.oversize, tables);
  if (packed.bound == packed.file.packs.size()) packed.status = search_status::optimal;
  return packed;
}

}  // namespace

packed_tables evaluate_packs(const length_tables& tables, const pack_options& options) {
  return std::visit([&](const auto& samples) { return evaluate(samples, tables, options); },
                    tables.samples);
}

}  // namespace omnibal::cli
