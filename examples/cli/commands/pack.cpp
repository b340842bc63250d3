// SPDX-License-Identifier: Apache-2.0
// omnibal pack: groups samples into packs, assigns packs to steps, ranks and micro-batches.
#include <memory>

#include "commands/commands.hpp"
#include "commands/deadline.hpp"
#include "commands/deliver.hpp"
#include "commands/pack_dispatch.hpp"
#include "commands/pack_evaluate.hpp"
#include "commands/pack_figures.hpp"
#include "commands/pack_options.hpp"
#include "commands/pack_samples.hpp"
#include "commands/progress_line.hpp"
#include "commands/stopwatch.hpp"
#include "files/files.hpp"
#include "files/packs_file.hpp"
#include "options/options.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {
namespace {

packed_tables make_packs(const length_tables& tables, const pack_options& options,
                         const command_context& context, const deadline& limit) {
  progress_line progress(context);
  search_control control = progress.control();
  control.stop = limit.token();
  packed_tables packed = pack_samples(tables, options, control);
  assign_packs(tables, options, packed);
  return packed;
}

exit_status run(const pack_options& options, const command_context& context) {
  refuse_unused_options(options);
  expect_writable(options.out);
  stopwatch watch;
  const length_tables tables = read_length_tables(options.tables);
  const double read_seconds = watch.lap();
  const deadline limit(context);
  const packed_tables packed = options.evaluate.empty()
                                   ? make_packs(tables, options, context, limit)
                                   : evaluate_packs(tables, options);
  pack_report report = measure(tables, packed);
  report.seconds.read = read_seconds;
  if (!options.out.empty()) write_file(options.out, to_text(packed.file));
  print_report(context, report);
  return exit_status::done;
}

}  // namespace

void add_pack(CLI::App& application, command_context& context) {
  CLI::App* command = application.add_subcommand(
      "pack", "Group samples into packs and assign the packs to steps and ranks");
  const auto options = std::make_shared<pack_options>();
  add_pack_options(*command, context.files, *options);
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
