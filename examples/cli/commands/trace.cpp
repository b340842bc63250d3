// SPDX-License-Identifier: Apache-2.0
// omnibal trace: compares the flight records of the ranks of a run and names the first operation in
// which they differ.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/flight_report.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/core/error.hpp>

#include "commands/commands.hpp"
#include "commands/deliver.hpp"
#include "files/files.hpp"
#include "files/json.hpp"
#include "options/options.hpp"

namespace omnibal::cli {
namespace {

struct trace_arguments {
  std::vector<std::string> flights = {};
};

const json& field_of(const json& object, const std::string& key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) throw invalid_input(where + key, "nothing", "is missing");
  return *found;
}

std::int64_t read_integer(const json& object, const std::string& key, const std::string& where,
                          integer_range range = {.least = 0}) {
  return parse_integer(where + key, json_text(field_of(object, key, where)), range);
}

std::string read_text(const json& object, const std::string& key, const std::string& where) {
  const json& value = field_of(object, key, where);
  if (!value.is_string()) throw invalid_input(where + key, json_text(value), "must be a text");
  return value.get<std::string>();
}

channel_operation read_operation(const json& object, const std::string& where) {
  const std::string name = read_text(object, "operation", where);
  const auto found = std::ranges::find(channel_operation_names, name);
  if (found == channel_operation_names.end())
    throw invalid_input(where + "operation", name, "must be an operation of a channel");
  return static_cast<channel_operation>(found - channel_operation_names.begin());
}

element_type read_type(const json& object, const std::string& where) {
  const std::string name = read_text(object, "type", where);
  for (const element_type type : {element_type::byte, element_type::bf16, element_type::f32,
                                  element_type::f64, element_type::i64})
    if (name_of(type) == name) return type;
  throw invalid_input(where + "type", name, "must be byte, bf16, f32, f64 or i64");
}

reduction read_reduction(const json& object, const std::string& where) {
  const std::string name = read_text(object, "reduction", where);
  for (const reduction how : {reduction::sum, reduction::smallest, reduction::largest})
    if (name_of(how) == name) return how;
  throw invalid_input(where + "reduction", name, "must be sum, smallest or largest");
}

flight_entry read_entry(const json& object, const flight_log& log, const std::string& where) {
  if (!object.is_object()) throw invalid_input(where, json_text(object), "must be an object");
  const auto number = [&](const char* key) {
    return static_cast<std::uint64_t>(read_integer(object, key, where));
  };
  flight_entry entry{.sequence = number("sequence"),
                     .operation = read_operation(object, where),
                     .type = read_type(object, where),
                     .count = number("count"),
                     .bytes = number("bytes"),
                     .peer = {},
                     .how = {},
                     .order = number("order"),
                     .issued = read_integer(object, "issued_ns", where),
                     .started = read_integer(object, "started_ns", where),
                     .ended = read_integer(object, "ended_ns", where)};
  const bool is_message = entry.operation <= channel_operation::receive;
  if (is_message || object.contains("peer"))
    entry.peer = static_cast<std::uint64_t>(read_integer(
        object, "peer", where, {.least = 0, .most = static_cast<std::int64_t>(log.size) - 1}));
  if (object.contains("reduction")) entry.how = read_reduction(object, where);
  if (is_message && *entry.peer == log.rank)
    throw invalid_input(where + "peer", *entry.peer, "must be another rank");
  return entry;
}

flight_log read_log(const std::string& path) {
  const json object = read_json_object("--flight", path);
  const std::string where = path + ": ";
  (void)read_integer(object, "version", where, {.least = 1, .most = 1});
  flight_log log{.channel = read_text(object, "channel", where),
                 .size = static_cast<std::size_t>(
                     read_integer(object, "size", where, {.least = 1, .most = 1 << 20})),
                 .failure = read_text(object, "failure", where)};
  log.rank = static_cast<std::size_t>(read_integer(
      object, "rank", where, {.least = 0, .most = static_cast<std::int64_t>(log.size) - 1}));
  const json& operations = field_of(object, "operations", where);
  if (!operations.is_array())
    throw invalid_input(where + "operations", json_text(operations), "must be a list of objects");
  for (const json& operation : operations)
    log.entries.push_back(read_entry(
        operation, log, where + "operations[" + std::to_string(log.entries.size()) + "]."));
  return log;
}

/// Compares the records of the files; errors name the file.
std::vector<channel_report> compare(const std::vector<std::string>& paths) {
  std::vector<flight_log> logs;
  for (const std::string& path : paths) logs.push_back(read_log(path));
  try {
    return compare_flights(std::move(logs));
  } catch (const invalid_input& error) {
    const std::string member = error.field().substr(error.field().rfind('.') + 1);
    std::string advice = error.advice();
    constexpr std::string_view record = "record";
    if (const std::size_t at = advice.find(record); at != std::string::npos)
      advice.replace(at, record.size(), "file");
    throw invalid_input(paths[error.index().value()] + ": " + member, error.value(), advice);
  }
}

struct trace_report {
  json channels = json::array();
};

json to_json(const channel_report& channel) {
  json report = json::object();
  report["channel"] = channel.channel;
  report["ranks"] = channel.ranks;
  report["absent"] = channel.absent;
  report["failures"] = json::array();
  for (const auto& [rank, reason] : channel.failures)
    report["failures"].push_back({{"rank", rank}, {"reason", reason}});
  report["first_difference"] = nullptr;
  if (const auto& difference = channel.difference)
    report["first_difference"] = {{"rank", difference->rank},
                                  {"sequence", difference->sequence},
                                  {"explanation", difference->explanation}};
  return report;
}

json to_json(const trace_report& report) { return {{"channels", report.channels}}; }

std::string to_text(const trace_report& report) {
  std::string text;
  for (const json& channel : report.channels) {
    text += "channel " + channel["channel"].get<std::string>() + ", " + channel["ranks"].dump() +
            " ranks";
    if (!channel["absent"].empty()) text += ", no record of ranks " + channel["absent"].dump();
    text += "\n";
    for (const json& failure : channel["failures"])
      text += "  rank " + failure["rank"].dump() +
              " failed: " + failure["reason"].get<std::string>() + "\n";
    const json& difference = channel["first_difference"];
    text += difference.is_null()
                ? "  the ranks called the same operations\n"
                : "  first difference: " + difference["explanation"].get<std::string>() + "\n";
  }
  return text;
}

exit_status run(const trace_arguments& arguments, const command_context& context) {
  trace_report report;
  for (const channel_report& channel : compare(arguments.flights))
    report.channels.push_back(to_json(channel));
  print_report(context, report);
  return exit_status::done;
}

}  // namespace

void add_trace(CLI::App& application, command_context& context) {
  CLI::App* command = application.add_subcommand(
      "trace", "Compare flight records of ranks and name the first operation in which they differ");
  const auto arguments = std::make_shared<trace_arguments>();
  command
      ->add_option("--flight", arguments->flights, "Flight records, one file per rank and channel")
      ->required()
      ->type_name("FILE...");
  command->footer("\nExample:\n  omnibal trace --flight flights/*.json");
  command->callback([arguments, &context] {
    context.run = [arguments, &context] { return run(*arguments, context); };
  });
}

}  // namespace omnibal::cli
