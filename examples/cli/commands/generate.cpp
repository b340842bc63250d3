// SPDX-License-Identifier: Apache-2.0
// omnibal generate: makes length tables from histograms, or by resampling a real table.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/dataset/length_shape.hpp>

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

length_draw_options draw_options(const generate_options& options) {
  return {.rows = static_cast<std::size_t>(options.samples),
          .seed = static_cast<std::uint64_t>(options.seed),
          .text_only_numerator = options.text_only.numerator,
          .text_only_denominator = options.text_only.denominator};
}

/// Rows with the names of their columns.
struct generated_table {
  std::vector<std::string> names = {};
  length_rows rows = {};
};

generated_table draw_from_shape(const generate_options& options) {
  const std::vector<length_column> shape = read_shape(options.shape);
  generated_table table{.rows = draw_lengths(shape, draw_options(options))};
  for (const length_column& column : shape) table.names.push_back(column.name);
  return table;
}

/// Draws rows of the real table with replacement.
generated_table draw_from_table(const generate_options& options) {
  table_options wanted = options.tables;
  wanted.files = {options.like};
  const length_tables real = read_length_tables(wanted);
  generated_table table;
  for (const resource_column& resource : wanted.resources) table.names.push_back(resource.column);
  table.rows = std::visit(
      [&](const auto& samples) {
        return resample_lengths(std::span(samples), draw_options(options));
      },
      real.samples);
  return table;
}

exit_status run(const generate_options& options, const command_context& context) {
  if (options.shape.empty() == options.like.empty())
    throw usage_error("generate needs either --shape or --like");
  expect_table_format(options.out);
  expect_writable(options.out);
  generated_table table =
      options.like.empty() ? draw_from_shape(options) : draw_from_table(options);
  generation_report report{.out = options.out, .samples = table.rows.size()};
  for (std::size_t c = 0; c < table.names.size(); ++c)
    report.columns.push_back({table.names[c], summarize_lengths(table.rows, c)});
  const std::string bytes = table_bytes(
      {.columns = std::move(table.names), .values = std::move(table.rows.values)}, options.out);
  write_file(options.out, bytes);
  report.sha256 = sha256(bytes);
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
