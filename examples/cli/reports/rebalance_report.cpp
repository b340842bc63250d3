// SPDX-License-Identifier: Apache-2.0
#include "reports/rebalance_report.hpp"

#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

/// The report without moves, frontier and seconds.
json summary(const rebalance_report& report) {
  json object = {{"ranks", report.ranks},
                 {"samples", report.samples},
                 {"cost_ratio_before", report.cost_ratio_before},
                 {"cost_ratio", report.cost_ratio},
                 {"cost", report.cost},
                 {"bytes", report.bytes},
                 {"bytes_bound", report.bytes_bound}};
  object.update(to_json(report.outcome));
  return object;
}

std::string frontier_text(const std::vector<frontier_row>& frontier) {
  text_table table{.headings = {"cost", "cost ratio", "bytes", "moves"}};
  for (const frontier_row& row : frontier)
    table.rows.push_back({value_text(row.cost), value_text(row.cost_ratio), value_text(row.bytes),
                          value_text(row.moves)});
  return table.to_string();
}

std::string moves_text(const std::vector<sample_move>& moves) {
  text_table table{.headings = {"sample", "from", "to"}};
  for (const sample_move& move : moves)
    table.rows.push_back({value_text(move.sample), value_text(move.from), value_text(move.to)});
  return table.to_string();
}

}  // namespace

json to_json(const rebalance_report& report) {
  json object = summary(report);
  object["moves"] = json::array();
  for (const sample_move& move : report.moves)
    object["moves"].push_back({{"sample", move.sample}, {"from", move.from}, {"to", move.to}});
  object["frontier"] = json::array();
  for (const frontier_row& row : report.frontier)
    object["frontier"].push_back({{"cost", row.cost},
                                  {"cost_ratio", row.cost_ratio},
                                  {"bytes", row.bytes},
                                  {"moves", row.moves}});
  object["seconds"] = report.seconds;
  return object;
}

std::string to_text(const rebalance_report& report) {
  json shown = summary(report);
  shown["moves"] = report.moves.size();
  shown["seconds"] = report.seconds;
  std::string text = describe(shown) + "\nPareto-optimal plans\n" + frontier_text(report.frontier);
  if (!report.moves.empty()) text += "\nmoves\n" + moves_text(report.moves);
  return text;
}

}  // namespace omnibal::cli
