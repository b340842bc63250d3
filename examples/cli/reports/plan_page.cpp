// SPDX-License-Identifier: Apache-2.0
#include "reports/plan_page.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "reports/plan_text.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

constexpr const char* style = R"(
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64em; margin: 2em auto; padding: 0 1em;
       color: #222; }
h1 { margin-bottom: 0; } h2 { margin-top: 2em; }
.verdict { font-size: 1.3em; } .setting { color: #666; }
table { border-collapse: collapse; } td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; }
td + td, th + th { text-align: right; } th { font-weight: 600; text-align: left; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .3em 1em;
        align-items: center; }
.bars div { background: #eee; height: 1.2em; position: relative; }
.bars div span { display: block; height: 100%; background: #4477aa; }
.bars div.over span { background: #cc6677; } .bars .planned span { background: #228833; }
.bars i { position: absolute; top: -.2em; bottom: -.2em; border-left: 2px solid #222; }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto; white-space: pre-wrap; }
svg { max-width: 100%; height: auto; } .warning { color: #aa3344; } .wide { overflow-x: auto; }
)";

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += c;
    }
  return safe;
}

std::string element(const char* name, const std::string& text) {
  return std::string("<") + name + ">" + escaped(text) + "</" + name + ">";
}

std::string heading(const std::string& text) { return element("h2", text) + "\n"; }

std::string to_html(const text_table& table) {
  const auto row = [](const std::vector<std::string>& cells, const char* kind) {
    std::string html = "<tr>";
    for (const std::string& cell : cells) html += element(kind, cell);
    return html + "</tr>\n";
  };
  std::string html = "<div class=\"wide\"><table>\n" + row(table.headings, "th");
  for (const std::vector<std::string>& cells : table.rows) html += row(cells, "td");
  return html + "</table></div>\n";
}

struct bar {
  std::string name = {};
  double value = 0;
  std::string text = {};
  const char* kind = "";  ///< A class of the style.
};

/// Bars on one scale, with a mark at a limit where there is one.
std::string to_html(const std::vector<bar>& bars, double limit = 0) {
  double most = limit;
  for (const bar& one : bars) most = std::max(most, one.value);
  const auto percent_of_most = [&](double value) {
    return fmt::format("{:.2f}%", most > 0 ? 100 * value / most : 0.0);
  };
  std::string html = "<div class=\"bars\">\n";
  for (const bar& one : bars) {
    html += element("span", one.name) + "<div class=\"" + one.kind +
            "\"><span style=\"width:" + percent_of_most(one.value) + "\"></span>";
    if (limit > 0) html += "<i style=\"left:" + percent_of_most(limit) + "\"></i>";
    html += "</div>" + element("span", one.text) + "\n";
  }
  return html + "</div>\n";
}

std::string setting(const json& report) {
  const auto whole = [&](const char* key) { return value_text(report.at(key)); };
  return "dp " + whole("dp") + ", pp " + whole("pp") + ", tp " + whole("tp") + ", " +
         whole("schedule") + ", " + gibibytes_text(report.at("memory").get<std::int64_t>()) +
         " a device; " + whole("samples") + " samples, " + whole("global_batch") + " a step";
}

std::string epochs(const json& report) {
  std::vector<bar> bars;
  for (const char* column : {"unbalanced", "published", "planned", "bound"}) {
    const json& figures = report.at(column);
    if (!figures.contains("epoch_seconds")) continue;
    const double seconds = figures.at("epoch_seconds").get<double>();
    bars.push_back({column, seconds, duration_text(seconds), column});
  }
  return to_html(bars);
}

std::string ablation(const json& report) {
  std::vector<bar> bars;
  for (const json& row : report.at("ablation")) {
    const double seconds = row.at("epoch_seconds").get<double>();
    const bool fits = row.at("fits").get<bool>();
    bars.push_back({row.at("name").get<std::string>(), seconds,
                    duration_text(seconds) + (fits ? "" : ", does not fit"), fits ? "" : "over"});
  }
  return to_html(bars);
}

std::string memory(const json& report) {
  std::vector<bar> bars;
  const double limit = report.at("memory").get<double>();
  for (const json& peak : report.at("planned").at("peak_memory")) {
    const auto bytes = peak.get<std::int64_t>();
    bars.push_back({"device " + std::to_string(bars.size()), static_cast<double>(bytes),
                    gibibytes_text(bytes), static_cast<double>(bytes) > limit ? "over" : ""});
  }
  return to_html(bars, limit);
}

std::string stages(const json& report) {
  const json& planned = report.at("planned");
  const json& cuts = planned.at("cuts");
  text_table table{.headings = {"stage", "layers", "recomputed"}};
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
    std::string modes;
    for (const auto& [mode, count] : planned.at("recomputed_layers").at(s).items())
      modes += (modes.empty() ? "" : ", ") + count.dump() + " " + mode;
    table.rows.push_back(
        {std::to_string(s),
         cuts[s].dump() + " to " + std::to_string(cuts[s + 1].get<std::size_t>() - 1),
         modes.empty() ? "none" : modes});
  }
  return to_html(table);
}

/// A cell of an object of a list; nothing where it is null.
std::string cell(const json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value_text(value);
}

std::string capacities(const json& report) {
  if (!report.contains("capacities")) return "";
  text_table table{.headings = {"tiles / tokens", "seconds a sample", "room", "packs over bound",
                                "passed over"}};
  for (const json& one : report.at("capacities"))
    table.rows.push_back(
        {one.at("capacity").at("images").dump() + " / " + one.at("capacity").at("tokens").dump(),
         cell(one.at("seconds_per_sample")), cell(one.at("room")), cell(one.at("packs_over_bound")),
         cell(one.at("passed_over"))});
  return heading("Capacities of a pack that were tried") + to_html(table);
}

std::string shapes(const json& report) {
  if (!report.contains("shapes")) return "";
  text_table table{.headings = {"dp", "pp", "tp", "seconds a sample", "passed over"}};
  for (const json& one : report.at("shapes"))
    table.rows.push_back({cell(one.at("dp")), cell(one.at("pp")), cell(one.at("tp")),
                          cell(one.at("seconds_per_sample")), cell(one.at("passed_over"))});
  return heading("Cluster shapes that were tried") + to_html(table);
}

std::string list(const json& lines, const char* kind) {
  std::string html = std::string("<ul class=\"") + kind + "\">\n";
  for (const json& line : lines) html += element("li", line.get<std::string>()) + "\n";
  return html + "</ul>\n";
}

std::string megatron(const json& report) {
  return heading("In Megatron-LM's words") + "<pre>" + escaped(megatron_arguments(report)) +
         "</pre>\n" + list(report.at("megatron").at("warnings"), "warning");
}

std::string inputs(const json& report) {
  text_table table{.headings = {"file", "samples", "SHA-256"}};
  for (const json& one : report.at("inputs"))
    table.rows.push_back({cell(one.at("name")), cell(one.at("samples")), cell(one.at("sha256"))});
  if (report.contains("profile"))
    table.rows.push_back(
        {cell(report.at("profile").at("name")), "", cell(report.at("profile").at("sha256"))});
  return to_html(table);
}

}  // namespace

std::string plan_page(const json& report, const std::vector<timeline>& steps) {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
                     element("title", "Omnibal: " + title(report)) + "\n<style>" + style +
                     "</style>\n</head>\n<body>\n";
  page += element("h1", title(report)) + "\n<p class=\"setting\">" + escaped(setting(report)) +
          "</p>\n<p class=\"verdict\">" + escaped(verdict(report)) + "</p>\n";
  if (const std::string more = remarks(report); !more.empty())
    page += "<p class=\"warning\">" + escaped(more) + "</p>\n";
  page += heading("An epoch") + epochs(report);
  page += heading("The first step of the first rank") + timelines_svg(steps);
  page += heading("What each balance adds") + ablation(report);
  page += heading("Side by side") + to_html(comparison_table(report));
  page += heading("Memory of the plan, and what a device has") + memory(report);
  page += heading("Stages of the plan") + stages(report);
  page += capacities(report) + shapes(report) + megatron(report);
  page += heading("Assumptions") + list(report.at("assumptions"), "");
  page += heading("Inputs") + inputs(report);
  return page + "<p class=\"setting\">Omnibal " + escaped(report.at("version").get<std::string>()) +
         "</p>\n</body>\n</html>\n";
}

}  // namespace omnibal::cli
