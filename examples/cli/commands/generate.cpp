// SPDX-License-Identifier: Apache-2.0
// omnibal generate: makes length tables from histograms, or by resampling a real table.
#include <algorithm>
#include <limits>
#include <memory>

#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>

#include "commands/commands.hpp"
#include "commands/deliver.hpp"
#include "files/files.hpp"
#include "files/shape.hpp"
#include "options/options.hpp"
#include "reports/generation_report.hpp"
#include "tables/table_writer.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {
namespace {

struct generate_options {
  std::string shape = {};
  std::string like = {};
  table_options tables = {.source = "--like"};
  fraction text_only = {};
  std::int64_t samples = 0;
  std::int64_t seed = 0;
  std::string out = {};
};

/// Rows and the choice of text-only samples use random streams of their own: --text-only changes
/// nothing but the samples that become text-only.
enum stream : std::uint64_t { rows = 0, text_only = 1 };

integer_table draw_from_shape(const generate_options& options, random_stream& random) {
  const std::vector<column_shape> shape = read_shape(options.shape);
  integer_table table;
  for (const column_shape& column : shape) table.columns.push_back(column.name);
  for (std::int64_t i = 0; i < options.samples; ++i) draw_row(shape, random, table.values);
  return table;
}

/// Draws rows of the real table with replacement.
integer_table draw_from_table(const generate_options& options, random_stream& random) {
  table_options wanted = options.tables;
  wanted.files = {options.like};
  const length_tables real = read_length_tables(wanted);
  integer_table table;
  for (const resource_column& resource : wanted.resources) table.columns.push_back(resource.column);
  std::visit(
      [&](const auto& samples) {
        const auto count = static_cast<std::uint32_t>(samples.size());
        for (std::int64_t i = 0; i < options.samples; ++i) {
          const auto& row = samples[uniform_below(random, count)];
          table.values.insert(table.values.end(), row.begin(), row.end());
        }
      },
      real.samples);
  return table;
}

/// Sets the first resource, the images, to 0 in a share of the rows.
void make_text_only(integer_table& table, fraction share, random_stream random) {
  if (share.numerator == 0) return;
  for (std::size_t i = 0; i < table.rows(); ++i)
    if (uniform_below(random, share.denominator) < share.numerator)
      table.values[i * table.columns.size()] = 0;
}

integer_table generate(const generate_options& options) {
  const auto seed = static_cast<std::uint64_t>(options.seed);
  random_stream random(seed, stream::rows);
  integer_table table =
      options.like.empty() ? draw_from_shape(options, random) : draw_from_table(options, random);
  make_text_only(table, options.text_only, random_stream(seed, stream::text_only));
  return table;
}

column_summary summarize(const integer_table& table, std::size_t column) {
  column_summary summary{.name = table.columns[column],
                         .least = std::numeric_limits<std::int64_t>::max()};
  double sum = 0;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::int64_t value = table.row(i)[column];
    summary.least = std::min(summary.least, value);
    summary.most = std::max(summary.most, value);
    sum += static_cast<double>(value);
  }
  summary.mean = sum / static_cast<double>(table.rows());
  return summary;
}

exit_status run(const generate_options& options, const command_context& context) {
  if (options.shape.empty() == options.like.empty())
    throw usage_error("generate needs either --shape or --like");
  expect_table_format(options.out);
  expect_writable(options.out);
  const integer_table table = generate(options);
  const std::string bytes = table_bytes(table, options.out);
  write_file(options.out, bytes);
  generation_report report{.out = options.out, .samples = table.rows(), .sha256 = sha256(bytes)};
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    report.columns.push_back(summarize(table, c));
  print_report(context, report);
  return exit_status::done;
}

}  // namespace

void add_generate(CLI::App& application, command_context& context) {
  CLI::App* command = application.add_subcommand(
      "generate", "Make a length table from histograms, or by resampling a real table");
  const auto options = std::make_shared<generate_options>();
  constexpr std::int64_t most_samples = std::numeric_limits<std::uint32_t>::max() - 1;
  add_input_file(*command, context.files, "--shape", options->shape,
                 "Histograms from which samples are drawn, like examples/data/shape.json");
  add_input_file(*command, context.files, "--like", options->like,
                 "A length table from which samples are drawn with replacement");
  add_resource_option(*command, options->tables);
  add_fraction(*command, "--text-only", options->text_only,
               "Share of samples whose first resource, the images, is set to 0");
  add_integer(*command, "--samples", options->samples, "Number of samples", {1, most_samples})
      ->required();
  add_integer(*command, "--seed", options->seed,
              "Random seed; the same seed gives the same bytes [0]", {});
  add_output_file(
      *command, context.files, "--out", options->out,
      "The table to write; its ending .json, .jsonl, .csv or .npy names the format, and "
      "- is JSON on standard output")
      ->required();
  command->footer(
      "\nExamples:\n"
      "  omnibal generate --shape examples/data/shape.json --samples 4000 --out lengths.json\n"
      "  omnibal generate --like lengths.json --text-only 0.5 --samples 100000 --out mixed.npy");
  command->callback([options, &context] {
    context.run = [options, &context] { return run(*options, context); };
  });
}

}  // namespace omnibal::cli
