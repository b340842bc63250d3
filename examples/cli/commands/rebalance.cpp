// SPDX-License-Identifier: Apache-2.0
// omnibal rebalance: plans moves of samples between ranks that bring the slowest near the mean.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/rebalance/rebalance.hpp>

#include "commands/commands.hpp"
#include "commands/deadline.hpp"
#include "commands/deliver.hpp"
#include "commands/stopwatch.hpp"
#include "files/files.hpp"
#include "options/options.hpp"
#include "reports/rebalance_report.hpp"

namespace omnibal::cli {
namespace {

struct rebalance_arguments {
  std::string table = {};
  std::string resource = {};
  std::string weights = {};
  fraction tolerance = {5, 1000};
  std::string out = {};
};

/// What a sample costs: the sum of some of its fields, each times a weight.
struct weighted_field {
  std::string name;
  std::int64_t weight = 1;
};

std::vector<weighted_field> cost_fields(const rebalance_arguments& arguments) {
  if (!arguments.resource.empty() && !arguments.weights.empty())
    throw usage_error("--resource has no meaning beside --weights");
  if (!arguments.resource.empty()) return {{arguments.resource}};
  if (arguments.weights.empty()) return {{"cost"}};
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= arguments.weights.size();) {
    const std::size_t end = std::min(arguments.weights.find(',', begin), arguments.weights.size());
    const std::string part = arguments.weights.substr(begin, end - begin);
    const std::string name = part.substr(0, part.find('='));
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    begin = end + 1;
  }
  const auto amounts = parse_amounts("--weights", arguments.weights, names, {.least = 0});
  std::vector<weighted_field> fields;
  for (std::size_t k = 0; k < names.size(); ++k) fields.push_back({names[k], amounts[k]});
  return fields;
}

/// An integer field of a JSON object, within a range.
std::int64_t read_field(const json& object, const std::string& key, const std::string& where,
                        integer_range range) {
  const auto found = object.find(key);
  if (found == object.end()) throw invalid_input(where + key, "nothing", "is missing");
  return parse_integer(where + key, json_text(*found), range);
}

std::int64_t read_cost(const json& sample, const std::vector<weighted_field>& fields,
                       const std::string& where) {
  std::int64_t cost = 0;
  for (const auto& [name, weight] : fields) {
    const std::int64_t load = read_field(sample, name, where, {.least = 0});
    const auto part = try_multiply(load, weight);
    const auto sum = part ? try_add(cost, *part) : std::nullopt;
    if (!sum)
      throw invalid_input(where + name, load,
                          "makes the sample cost 2^63 or more; use smaller weights");
    cost = *sum;
  }
  return cost;
}

rebalance_problem read_table(const std::string& path, const std::vector<weighted_field>& fields) {
  const json table = read_json_file("--table", path);
  if (!table.is_object()) throw invalid_input("--table", path, "must hold one JSON object");
  constexpr integer_range rank_counts{1, 1 << 20};
  rebalance_problem problem{
      .ranks = static_cast<std::uint32_t>(read_field(table, "ranks", path + ": ", rank_counts))};
  const auto samples = table.find("samples");
  if (samples == table.end()) throw invalid_input(path + ": samples", "nothing", "is missing");
  if (!samples->is_array())
    throw invalid_input(path + ": samples", json_text(*samples), "must be a list of objects");
  for (const json& sample : *samples) {
    const std::string name = path + ": samples[" + std::to_string(problem.samples.size()) + "]";
    if (!sample.is_object()) throw invalid_input(name, json_text(sample), "must be an object");
    const std::string where = name + ".";
    const integer_range ranks{0, std::int64_t{problem.ranks} - 1};
    problem.samples.push_back(
        {.rank = static_cast<std::uint32_t>(read_field(sample, "rank", where, ranks)),
         .cost = read_cost(sample, fields, where),
         .bytes = read_field(sample, "bytes", where, {.least = 0})});
  }
  return problem;
}

/// In millionths.
std::uint32_t to_tolerance(const fraction& given) {
  const std::uint64_t millionths = std::uint64_t{given.numerator} * 1'000'000;
  if (millionths % given.denominator != 0)
    throw invalid_input("--tolerance",
                        std::to_string(given.numerator) + "/" + std::to_string(given.denominator),
                        "must have at most six decimals");
  return static_cast<std::uint32_t>(millionths / given.denominator);
}

rebalance_report to_report(const rebalance_problem& problem, const rebalance_result& found) {
  const auto ratio = [&](std::int64_t cost) { return relative_cost(problem, cost); };
  const rebalance_point& plan = found.plan();
  rebalance_report report{.ranks = problem.ranks,
                          .samples = problem.samples.size(),
                          .cost_ratio_before = ratio(initial_cost(problem)),
                          .cost_ratio = ratio(plan.cost),
                          .cost = plan.cost,
                          .bytes = plan.bytes,
                          .bytes_bound = found.bytes_bound,
                          .outcome = {found.status, found.limit, found.objective, found.bound},
                          .moves = plan.moves};
  for (const rebalance_point& point : found.frontier)
    report.frontier.push_back({.cost = point.cost,
                               .cost_ratio = ratio(point.cost),
                               .bytes = point.bytes,
                               .moves = point.moves.size()});
  return report;
}

exit_status run(const rebalance_arguments& arguments, const command_context& context) {
  const std::uint32_t tolerance = to_tolerance(arguments.tolerance);
  const rebalance_problem problem = read_table(arguments.table, cost_fields(arguments));
  expect_writable(arguments.out);
  const deadline limit(context);
  stopwatch watch;
  const rebalance_result found =
      rebalance(problem, {.tolerance = tolerance, .control = {.stop = limit.token()}});
  const double seconds = watch.lap();
  rebalance_report report = to_report(problem, found);
  report.seconds = seconds;
  return deliver(context, true, arguments.out, report);
}

}  // namespace

void add_rebalance(CLI::App& application, command_context& context) {
  auto arguments = std::make_shared<rebalance_arguments>();
  CLI::App* command = application.add_subcommand(
      "rebalance", "Plan moves of samples between ranks that balance the costs of the ranks");
  add_input_file(*command, context.files, "--table", arguments->table,
                 "The samples that each rank owns: number of ranks, and rank, bytes and cost of "
                 "each sample")
      ->required();
  command
      ->add_option("--resource", arguments->resource,
                   "Balance this field of the samples alone, in place of cost")
      ->type_name("NAME");
  command
      ->add_option("--weights", arguments->weights,
                   "Balance the sum of these fields, each times its weight, in place of cost")
      ->type_name("images=12000,tokens=39");
  add_fraction(
      *command, "--tolerance", arguments->tolerance,
      "Accept a cost of the slowest rank higher by this share of the mean, to send fewer bytes "
      "[0.005]");
  add_output_file(*command, context.files, "--out", arguments->out,
                  "Where to write the report as JSON");
  command->footer(
      "\nExamples:\n"
      "  omnibal rebalance --table held.json\n"
      "  omnibal rebalance --table held.json --resource images --tolerance 0.01\n"
      "  omnibal rebalance --table held.json --weights images=12000,tokens=39 --out moves.json");
  command->callback([&context, arguments] {
    context.run = [&context, arguments] { return run(*arguments, context); };
  });
}

}  // namespace omnibal::cli
