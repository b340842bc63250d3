// SPDX-License-Identifier: Apache-2.0
// omnibal pack: samples to packs, packs to steps, ranks and micro-batches.
#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <set>

#include <omnibal/core/error.hpp>
#include <omnibal/dataset/sample_keys.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/streaming.hpp>
#include <omnibal/packing/swap_improvement.hpp>

#include "commands/commands.hpp"
#include "commands/progress_line.hpp"
#include "commands/stopwatch.hpp"
#include "files/files.hpp"
#include "files/mixture_draw.hpp"
#include "files/packs_file.hpp"
#include "options/options.hpp"
#include "reports/text.hpp"
#include "tables/sample_names.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {
namespace {

enum class packing_method { balanced, isf, streaming };

struct pack_options {
  table_options tables = {};
  std::string repeat = {};
  std::string capacity = {};
  std::string most = {};
  std::optional<double> samples_per_pack = {};
  std::string threshold = {};
  packing_method method = packing_method::balanced;
  std::optional<std::int64_t> iterations = {};
  std::optional<isf_stream> stream = {};
  std::optional<std::int64_t> buffer = {};
  std::optional<std::int64_t> age_limit = {};
  std::optional<std::int64_t> good_enough = {};
  std::int64_t level_rounds = 0;
  std::int64_t ranks = 8;
  std::int64_t microbatches = 1;
  std::int64_t sequence_parallel_size = 1;
  last_step_policy last_step = last_step_policy::spread;
  std::int64_t window = 1;
  bool largest_first = false;
  std::int64_t seed = 1024;
  std::int64_t epoch = 0;
  oversize_policy oversize = oversize_policy::reject;
  std::string evaluate = {};
  std::string out = {};
};

/// Nothing that was said may go unheard.
void refuse_idle_options(const pack_options& options) {
  const auto refuse = [](bool given, const char* option, const char* home) {
    if (given) throw usage_error(std::string(option) + " has no meaning without " + home);
  };
  if (options.capacity.empty() == options.evaluate.empty())
    throw usage_error("pack needs either --capacity or --evaluate");
  if (options.capacity != "auto") {
    refuse(!options.most.empty(), "--max", "--capacity auto");
    refuse(options.samples_per_pack.has_value(), "--target-samples-per-pack", "--capacity auto");
  }
  if (options.samples_per_pack &&
      !(*options.samples_per_pack > 0 && *options.samples_per_pack < 1e9))
    throw invalid_input("--target-samples-per-pack",
                        CLI::detail::to_string(*options.samples_per_pack),
                        "must be more than 0 and less than a billion");
  if (options.method != packing_method::isf) {
    refuse(!options.threshold.empty(), "--threshold", "--method isf");
    refuse(options.iterations.has_value(), "--iterations", "--method isf");
    refuse(options.stream.has_value(), "--stream", "--method isf");
  } else if (options.repeat.empty()) {
    refuse(options.epoch != 0, "--epoch", "--method balanced");
  }
  if (options.method != packing_method::streaming) {
    refuse(options.buffer.has_value(), "--buffer", "--method streaming");
    refuse(options.age_limit.has_value(), "--age-limit", "--method streaming");
    refuse(options.good_enough.has_value(), "--good-enough", "--method streaming");
  }
}

/// With --evaluate nothing is made, so no option that says how may be there.
void refuse_options_beside_evaluate(const CLI::App& command) {
  static const std::set<std::string> heard = {"--lengths", "--resource", "--key",     "--evaluate",
                                              "--out",     "--format",   "--progress"};
  for (const CLI::Option* option : command.get_options())
    if (option->count() > 0 && !heard.contains(option->get_name()))
      throw usage_error(option->get_name() + " has no meaning beside --evaluate");
}

/// What the samples are packed into: all of the report.
struct packed_tables {
  packs_file file;
  std::optional<std::size_t> drawn = {};  ///< How many samples a mixture drew, if one did.
  search_status status = search_status::feasible;
  std::vector<std::uint32_t> oversize = {};
  std::uint64_t bound = 0;
  json capacities = json::array();  ///< What a search for the capacity looked at.
  double capacity_seconds = 0;
  double pack_seconds = 0;
  double dispatch_seconds = 0;
};

template <std::size_t Resources>
using sample_list = std::vector<loads<Resources>>;

template <std::size_t Resources>
resource_names<Resources> names_of(const length_tables& tables) {
  resource_names<Resources> names;
  std::copy(tables.resources.begin(), tables.resources.end(), names.begin());
  return names;
}

template <std::size_t Resources>
loads<Resources> to_loads(const std::vector<std::int64_t>& amounts) {
  loads<Resources> values = {};
  std::copy(amounts.begin(), amounts.end(), values.begin());
  return values;
}

template <typename Values>
json by_resource(const std::vector<std::string>& resources, const Values& values) {
  json object;
  for (std::size_t r = 0; r < resources.size(); ++r) object[resources[r]] = values[r];
  return object;
}

/// The capacities given, or those found.
template <std::size_t Resources>
capacity_choice<Resources> capacity_for(const sample_list<Resources>& samples,
                                        const length_tables& tables, const pack_options& options,
                                        const run_control& control) {
  constexpr integer_range range{.least = 1};
  if (options.capacity != "auto")
    return {.best = to_loads<Resources>(
                parse_amounts("--capacity", options.capacity, tables.resources, range))};
  room_problem<Resources> problem{.samples = samples,
                                  .samples_per_pack = options.samples_per_pack,
                                  .seed = static_cast<std::uint64_t>(options.seed)};
  if (options.most.empty()) {
    if (!problem.samples_per_pack) problem.samples_per_pack = 4;
    return choose_capacity(problem, control);
  }
  const auto most = parse_some_amounts("--max", options.most, tables.resources, range);
  for (std::size_t r = 0; r < Resources; ++r)
    if (most[r]) problem.most[r] = *most[r];
  return choose_capacity(problem, control);
}

template <std::size_t Resources>
json to_report(const capacity_choice<Resources>& choice, const length_tables& tables) {
  json rows = json::array();
  for (const auto& [found, passed_over] : choice.candidates)
    rows.push_back({{"capacity", by_resource(tables.resources, found.capacity)},
                    {"samples_per_pack", found.samples_per_pack},
                    {"room", static_cast<double>(found.room) * 1e-6},
                    {"passed_over", passed_over.empty() ? json(nullptr) : json(passed_over)}});
  return rows;
}

/// Packs samples as they come, in the order of the tables.
template <std::size_t Resources>
packing_result stream_samples(const sample_list<Resources>& samples,
                              const streaming_options<Resources>& options) {
  streaming_packer<Resources> packer(options);
  packing_result result;
  const auto take_packs = [&] {
    while (const auto pack = packer.pop()) {
      for (const std::uint64_t id : *pack) result.packs.push_back(static_cast<std::uint32_t>(id));
      result.packs.close_group();
    }
  };
  for (std::size_t id = 0; id < samples.size(); ++id) {
    packer.push(id, samples[id]);
    take_packs();
  }
  packer.flush();
  take_packs();
  for (const std::uint64_t id : packer.oversize())
    result.oversize.push_back(static_cast<std::uint32_t>(id));
  result.objective = result.packs.size();
  result.bound = bound_packs(samples, bound_options<Resources>{.capacity = options.capacity,
                                                               .oversize = options.oversize,
                                                               .names = options.names})
                     .packs;
  if (result.bound < result.objective) result.status = search_status::feasible;
  return result;
}

template <std::size_t Resources>
packing_result pack_samples(const sample_list<Resources>& samples, const length_tables& tables,
                            const loads<Resources>& capacity, const pack_options& options,
                            const run_control& control) {
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const auto names = names_of<Resources>(tables);
  if (options.method == packing_method::balanced)
    return pack_balanced(samples, {.capacity = capacity,
                                   .seed = seed,
                                   .epoch = static_cast<std::uint64_t>(options.epoch),
                                   .oversize = options.oversize,
                                   .names = names,
                                   .control = control});
  if (options.method == packing_method::streaming) {
    streaming_options<Resources> streaming{
        .capacity = capacity, .oversize = options.oversize, .names = names};
    if (options.buffer) streaming.buffer = static_cast<std::uint32_t>(*options.buffer);
    if (options.age_limit) streaming.age_limit = static_cast<std::uint64_t>(*options.age_limit);
    if (options.good_enough)
      streaming.good_enough = static_cast<std::uint32_t>(*options.good_enough);
    return stream_samples(samples, streaming);
  }
  isf_options<Resources> isf{.capacity = capacity,
                             .seed = seed,
                             .stream = options.stream.value_or(isf_stream::native),
                             .oversize = options.oversize,
                             .names = names,
                             .control = control};
  if (options.iterations) isf.iterations = static_cast<std::uint32_t>(*options.iterations);
  if (!options.threshold.empty())
    isf.threshold = to_loads<Resources>(
        parse_amounts("--threshold", options.threshold, tables.resources, {.least = 1}));
  return pack_isf(samples, isf);
}

/// What packs cost where there is no model to ask: the shares of the capacities that they fill,
/// in millionths, added up.
template <std::size_t Resources>
std::vector<std::int64_t> pack_costs(const std::vector<loads<Resources>>& packs,
                                     const std::vector<std::int64_t>& capacity) {
  constexpr std::int64_t full = 1'000'000;
  std::vector<std::int64_t> costs;
  costs.reserve(packs.size());
  for (std::size_t k = 0; k < packs.size(); ++k) {
    wide_integer cost = 0;
    for (std::size_t r = 0; r < Resources; ++r)
      cost += wide_integer{packs[k][r]} * full / capacity[r];
    if (cost > std::numeric_limits<std::int64_t>::max())
      throw invalid_input("load of a pack", k, "beyond the capacity a trillion times",
                          "is too large to be weighed");
    costs.push_back(static_cast<std::int64_t>(cost));
  }
  return costs;
}

/// Packs samples: all of a packed_tables but its plan.
template <std::size_t Resources>
packed_tables group_samples(const sample_list<Resources>& samples, const length_tables& tables,
                            const pack_options& options, const run_control& control) {
  stopwatch watch;
  const capacity_choice<Resources> choice = capacity_for(samples, tables, options, control);
  const loads<Resources>& capacity = choice.best;
  const double capacity_seconds = watch.lap();
  packing_result result = pack_samples(samples, tables, capacity, options, control);
  if (options.level_rounds > 0)
    result.packs = level_packs(
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
      .capacities = to_report(choice, tables),
      .capacity_seconds = capacity_seconds};
  packed.pack_seconds = watch.lap();
  return packed;
}

/// The mixture that the options ask for.
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

/// The loads of these samples, repeats included.
template <std::size_t Resources>
sample_list<Resources> loads_of(const std::vector<std::uint32_t>& ids,
                                const sample_list<Resources>& samples) {
  sample_list<Resources> some;
  some.reserve(ids.size());
  for (const std::uint32_t id : ids) some.push_back(samples[id]);
  return some;
}

/// Packs the samples that a mixture draws. The packer sees them as samples 0, 1, … in the order
/// drawn; packs name them by their ids.
template <std::size_t Resources>
packed_tables group_mixture(const sample_list<Resources>& samples, const length_tables& tables,
                            const pack_options& options, const run_control& control) {
  const mixture_draw mixture = mixture_for(tables, options);
  const std::vector<std::uint32_t> drawn = draw_samples(mixture);
  if (drawn.empty())
    throw invalid_input("--repeat", options.repeat,
                        "draws no sample in epoch " + std::to_string(options.epoch));
  packed_tables packed;
  try {
    packed = group_samples(loads_of(drawn, samples), tables, options, control);
  } catch (const invalid_input& error) {
    const auto& names = tables.resources;
    if (!error.index() || std::find(names.begin(), names.end(), error.field()) == names.end())
      throw;
    throw invalid_input(error.field(), drawn[*error.index()], error.value(),
                        "exceeds the capacity; raise it, or choose to skip such samples or to "
                        "give them own packs with --oversize");
  }
  packed.drawn = drawn.size();
  packed.file.mixture = mixture;
  packed.file.packs = renumber_samples(packed.file.packs, drawn);
  for (std::uint32_t& id : packed.oversize) id = drawn[id];
  std::sort(packed.oversize.begin(), packed.oversize.end());
  packed.oversize.erase(std::unique(packed.oversize.begin(), packed.oversize.end()),
                        packed.oversize.end());
  return packed;
}

/// The samples of each micro-batch: of each pack, or of each group of packs.
grouping<std::uint32_t> samples_by_microbatch(const packs_file& file) {
  if (file.groups.empty()) return file.packs;
  grouping<std::uint32_t> microbatches;
  microbatches.reserve(file.groups.size(), file.packs.indices().size());
  for (std::size_t group = 0; group < file.groups.size(); ++group) {
    for (const std::uint32_t pack : file.groups[group])
      for (const std::uint32_t id : file.packs[pack]) microbatches.push_back(id);
    microbatches.close_group();
  }
  return microbatches;
}

/// Deals the packs to steps and ranks, in groups if so asked.
template <std::size_t Resources>
void deal_packs(const sample_list<Resources>& samples, const pack_options& options,
                packed_tables& packed) {
  stopwatch watch;
  packs_file& file = packed.file;
  if (options.sequence_parallel_size > 1)
    file.groups = group_packs(std::span<const loads<Resources>>(pack_loads(file.packs, samples)),
                              {.size = static_cast<std::uint32_t>(options.sequence_parallel_size),
                               .seed = static_cast<std::uint64_t>(options.seed),
                               .epoch = static_cast<std::uint64_t>(options.epoch)});
  const grouping<std::uint32_t> microbatches = samples_by_microbatch(file);
  const auto costs = pack_costs(pack_loads(microbatches, samples), file.capacity);
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
  packed.dispatch_seconds = watch.lap();
}

template <std::size_t Resources>
packed_tables pack_tables(const sample_list<Resources>& samples, const length_tables& tables,
                          const pack_options& options, const run_control& control) {
  packed_tables packed = options.repeat.empty() ? group_samples(samples, tables, options, control)
                                                : group_mixture(samples, tables, options, control);
  deal_packs(samples, options, packed);
  return packed;
}

/// How often the packs of a file must hold each sample that fits.
std::vector<std::uint32_t> expected_times(const packs_file& file, std::size_t samples) {
  if (!file.mixture) return std::vector<std::uint32_t>(samples, 1);
  std::vector<std::uint32_t> times(samples);
  for (const std::uint32_t id : draw_samples(*file.mixture))
    ++times[file.places.empty() ? id : file.places[id]];
  return times;
}

/// Refuses packs that hold sample `id` so many times.
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

/// Holds packs made elsewhere against the capacity and the number of times that each sample must be
/// there. Returns the samples beyond the capacity, ascending.
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

/// A proven bound on the number of packs: those of samples beyond the capacity, and what all
/// others need.
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

/// Measures the packs of a file instead of making them.
template <std::size_t Resources>
packed_tables evaluate_packs(const sample_list<Resources>& samples, const length_tables& tables,
                             const pack_options& options) {
  packed_tables packed{.file = read_packs_file(options.evaluate, tables)};
  const auto& mixture = packed.file.mixture;
  const bool as_drawn =
      packed.file.places.empty() && (!mixture || mixture->rows == rows_of(packed.file.inputs));
  if (mixture && !as_drawn && !options.out.empty())
    throw usage_error("--out has no meaning here: a mixture goes by the order of the tables, and " +
                      options.evaluate + " was made for another");
  const std::vector<std::uint32_t> times = expected_times(packed.file, samples.size());
  packed.oversize = check_packs(samples, times, packed.file, options.evaluate);
  if (packed.file.mixture) packed.drawn = std::reduce(times.begin(), times.end(), std::size_t{0});
  packed.bound = bound_on_packs(samples, times, packed.file, packed.oversize, tables);
  if (packed.bound == packed.file.packs.size()) packed.status = search_status::optimal;
  return packed;
}

/// The variation of costs over what a plan deals, once each.
double dealt_cost_variation(const dispatch_plan& plan, const std::vector<std::int64_t>& costs) {
  std::vector<std::int64_t> dealt;
  const auto groups = plan.groups.indices();
  for (std::size_t k = 0; k < groups.size(); ++k)
    if (plan.mask.empty() || plan.mask[k] != 0) dealt.push_back(costs[groups[k]]);
  return pack_cost_variation(std::span(std::as_const(dealt)));
}

std::size_t dropped_packs(const packs_file& file) {
  return file.groups.empty() ? file.plan.dropped.size()
                             : plan_of_packs(file.plan, file.groups).dropped.size();
}

template <std::size_t Resources>
json to_report(const sample_list<Resources>& samples, const packed_tables& packed) {
  const packs_file& file = packed.file;
  const auto sums = pack_loads(file.packs, samples);
  const std::vector<std::int64_t> costs = pack_costs(sums, file.capacity);
  const auto sums_of_microbatches = pack_loads(samples_by_microbatch(file), samples);
  const auto microbatch_costs = pack_costs(sums_of_microbatches, file.capacity);
  const auto metrics = measure_packing(file.packs, samples, to_loads<Resources>(file.capacity));
  const auto dist = dist_ratio(file.plan, std::span<const loads<Resources>>(sums_of_microbatches));
  json report{{"status", to_string(packed.status)}, {"samples", samples.size()}};
  if (packed.drawn) report["drawn"] = *packed.drawn;
  report.update(
      {{"packed", metrics.samples},
       {"oversize", packed.oversize},
       {"capacity", by_resource(file.resources, file.capacity)},
       {"packs", metrics.packs},
       {"bound", packed.bound},
       {"fill", by_resource(file.resources, metrics.fill)},
       {"samples_per_pack", metrics.samples_per_pack},
       {"steps", file.plan.steps()},
       {"dropped", dropped_packs(file)},
       {"dist_ratio", by_resource(file.resources, dist)},
       {"cost_ratio", cost_ratio(file.plan, std::span(microbatch_costs))},
       {"cost_ratio_bound", cost_ratio_bound(file.plan, std::span(microbatch_costs))},
       {"full_steps_cost_ratio", full_steps_cost_ratio(file.plan, std::span(microbatch_costs))},
       {"window_deviation", draw_deviation(file.plan, std::span(microbatch_costs))},
       {"pack_cost_variation", pack_cost_variation(std::span(costs))}});
  if (!file.groups.empty())
    report["group_cost_variation"] = dealt_cost_variation(file.plan, microbatch_costs);
  return report;
}

/// The report with the number of oversize samples in place of their ids.
std::string to_text(const json& report) {
  json shown = report;
  shown["oversize"] = report["oversize"].size();
  shown.erase("capacities");
  return describe(shown);
}

exit_status run(const pack_options& options, const command_context& context) {
  refuse_idle_options(options);
  expect_writable(options.out);
  stopwatch watch;
  const length_tables tables = read_length_tables(options.tables);
  const double read_seconds = watch.lap();
  std::visit(
      [&](const auto& samples) {
        packed_tables packed;
        if (options.evaluate.empty()) {
          progress_line progress(context);
          packed = pack_tables(samples, tables, options, progress.control());
        } else {
          packed = evaluate_packs(samples, tables, options);
        }
        json report = to_report(samples, packed);
        report["seconds"] = {{"read", read_seconds},
                             {"pack", packed.pack_seconds},
                             {"dispatch", packed.dispatch_seconds}};
        if (!packed.capacities.empty()) {
          report["capacities"] = packed.capacities;
          report["seconds"]["capacities"] = packed.capacity_seconds;
        }
        if (!options.out.empty()) write_file(options.out, to_text(packed.file));
        print_report(context, report, [](const json& all) { return to_text(all); });
      },
      tables.samples);
  return exit_status::done;
}

void add_capacity_options(CLI::App& command, pack_options& options) {
  command
      .add_option("--capacity", options.capacity,
                  "The most a pack may hold of each resource, or auto: those at which packs take "
                  "the least room for their samples")
      ->type_name("images=9,tokens=4096|auto");
  command
      .add_option("--max", options.most, "With auto: limits on the capacities, tokens=16384 say")
      ->type_name("AMOUNTS");
  add_number(command, "--target-samples-per-pack", options.samples_per_pack,
             "With auto: how many samples a pack should hold [4, without --max]");
  add_choice(command, "--oversize", options.oversize,
             "What to do with samples beyond a capacity [reject]",
             {{"reject", oversize_policy::reject},
              {"own_pack", oversize_policy::own_pack},
              {"skip", oversize_policy::skip}});
}

void add_method_options(CLI::App& command, pack_options& options) {
  constexpr std::int64_t most_passes = std::numeric_limits<std::uint32_t>::max();
  add_choice(command, "--method", options.method,
             "How to pack: balanced; the published sampling and filtering, isf; or streaming, "
             "samples in the order of the tables as if they came one by one [balanced]",
             {{"balanced", packing_method::balanced},
              {"isf", packing_method::isf},
              {"streaming", packing_method::streaming}});
  command
      .add_option("--threshold", options.threshold,
                  "With isf: a pack is full from here on [the capacity]")
      ->type_name("AMOUNTS");
  add_integer(command, "--iterations", options.iterations, "With isf: number of passes [50]",
              {1, most_passes});
  add_choice(command, "--stream", options.stream,
             "With isf: random numbers, ours or those of the published code [native]",
             {{"native", isf_stream::native}, {"published", isf_stream::published}});
  add_integer(command, "--buffer", options.buffer,
              "With streaming: the most samples held at a time [1000]", {1, 1 << 20});
  add_integer(command, "--age-limit", options.age_limit,
              "With streaming: how many more samples may come until one must be packed "
              "[8 times the buffer]",
              {.least = 0});
  add_integer(command, "--good-enough", options.good_enough,
              "With streaming: from how many thousandths of a capacity on a pack is made at once, "
              "not when the buffer is full [always when it is full]",
              {1, 1000});
  add_integer(command, "--level", options.level_rounds,
              "Rounds of exchanges between packs that even their costs [0]", {0, 1000});
  add_integer(command, "--seed", options.seed, "The same seed gives the same bytes [1024]", {});
}

void add_dispatch_options(CLI::App& command, pack_options& options) {
  constexpr integer_range count{1, 1 << 20};
  add_integer(command, "--dp", options.ranks, "Data-parallel ranks [8]", count);
  add_integer(command, "--micro-batches", options.microbatches,
              "Micro-batches for each rank in a full step, each a pack [1]", count);
  add_integer(command, "--sequence-parallel-size", options.sequence_parallel_size,
              "Packs in a micro-batch, for ranks that share the work on them; such groups of packs "
              "are even in all resources [1]",
              count);
  add_choice(command, "--last-step", options.last_step,
             "What to do with packs that do not fill a step: a short step, none, or repeat some "
             "[short]",
             {{"short", last_step_policy::spread},
              {"drop", last_step_policy::drop},
              {"pad", last_step_policy::pad}});
  add_integer(
      command, "--window", options.window,
      "Steps whose packs are sorted by cost before they are cut into steps; 1 leaves steps a "
      "random draw [1]",
      {1, std::numeric_limits<std::uint32_t>::max()});
  command.add_flag(
      "--largest-first", options.largest_first,
      "The first step holds the dearest packs, to see at once whether memory suffices");
  add_integer(command, "--epoch", options.epoch,
              "Which epoch to pack and deal for; each is packed and dealt afresh [0]", {});
}

}  // namespace

void add_pack(CLI::App& application, command_context& context) {
  CLI::App* command = application.add_subcommand(
      "pack", "Group samples into packs and deal the packs to steps and ranks");
  const auto options = std::make_shared<pack_options>();
  add_table_options(*command, options->tables);
  const auto take_key = [options](const std::string& name) {
    if (name.empty()) throw invalid_input("--key", "nothing", "must be the name of a field");
    options->tables.key = name;
  };
  command
      ->add_option_function<std::string>(
          "--key", take_key,
          "The field of the tables, texts or integers, that names samples, so that packs can be "
          "held against the same samples in another order")
      ->type_name("FIELD");
  command
      ->add_option("--repeat", options->repeat,
                   "How often an epoch holds the samples of each file of --lengths, in order: "
                   "5/2 or 2.5 is two or three times, 1/4 every fourth sample [each sample once]")
      ->type_name("RATE,...");
  add_capacity_options(*command, *options);
  add_method_options(*command, *options);
  add_dispatch_options(*command, *options);
  command
      ->add_option("--evaluate", options->evaluate,
                   "Measure the packs of this file, made before, instead of making packs")
      ->type_name("FILE");
  command->add_option("--out", options->out, "Where to write the packs, as JSON")
      ->type_name("FILE");
  command->footer(
      "\nExamples:\n"
      "  omnibal pack --lengths lengths.json --capacity images=10,tokens=4096 --out packs.json\n"
      "  omnibal pack --lengths a.jsonl b.csv --capacity auto --max tokens=16384 --dp 64\n"
      "  omnibal pack --lengths text.npy --resource tokens=0 --capacity tokens=32768\n"
      "  omnibal pack --lengths lengths.json --evaluate packs.json");
  command->callback([options, command, &context] {
    if (!options->evaluate.empty()) refuse_options_beside_evaluate(*command);
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace omnibal::cli
