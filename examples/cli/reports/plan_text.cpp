// SPDX-License-Identifier: Apache-2.0
#include "reports/plan_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace omnibal::cli {

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.2f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.1f} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{:.1f} h", seconds / 3600);
  return fmt::format("{:.1f} days", seconds / 86400);
}

std::string gibibytes_text(std::int64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / 1073741824.0);
}

std::string megatron_arguments(const json& report) {
  const auto quoted = [](const std::string& word) {
    return word.find_first_of("|*") == std::string::npos ? word : "'" + word + "'";
  };
  std::string text;
  for (const json& word : report.at("megatron").at("arguments")) {
    const auto argument = word.get<std::string>();
    const bool on_next_line =
        argument.starts_with("--pipeline") || argument.starts_with("--recompute-granularity");
    text += on_next_line ? " \\\n    " : text.empty() ? "" : " ";
    text += quoted(argument);
  }
  return text;
}

namespace {

std::string ratio_text(double ratio) { return fmt::format("{:.2f}", ratio); }

constexpr std::array columns = {"unbalanced", "published", "planned", "bound"};

/// A row of the comparison; "-" where a column does not have the value.
template <typename Value>
std::vector<std::string> row(const json& report, const std::string& heading, const Value& value) {
  std::vector<std::string> cells = {heading};
  for (const char* column : columns) {
    const json& figures = report.at(column);
    cells.push_back(figures.value("status", "") == "infeasible" ? "does not fit" : value(figures));
  }
  return cells;
}

template <typename Format>
auto field(const char* key, const Format& format) {
  return [key, format](const json& figures) {
    return figures.contains(key) ? format(figures.at(key)) : std::string("-");
  };
}

std::string megatron_text(const json& report) {
  if (!report.contains("megatron")) return "";
  const json& megatron = report.at("megatron");
  std::string text = "In Megatron-LM's words, with vision layers a stage:";
  for (const json& count : megatron.at("vision_layers")) text += " " + count.dump();
  text += "\n  " + megatron_arguments(report);
  for (const json& warning : megatron.at("warnings")) text += "\n- " + warning.get<std::string>();
  return text + "\n";
}

}  // namespace

text_table comparison_table(const json& report) {
  const auto seconds = [](const json& value) { return duration_text(value.get<double>()); };
  const auto share = [](const json& value) { return percent(value.get<double>()); };
  const auto count = [](const json& value) { return value_text(value); };
  const auto mean = [](const json& value) {
    return value_text(std::round(value.at("mean").get<double>() * 10) / 10);
  };
  const auto capacity = [](const json& value) {
    return value.at("images").dump() + " / " + value.at("tokens").dump();
  };
  const auto memory = [](const json& value) {
    std::int64_t most = 0;
    for (const json& peak : value) most = std::max(most, peak.get<std::int64_t>());
    return gibibytes_text(most);
  };
  const auto cuts = [](const json& value) {
    std::string sizes;
    for (std::size_t s = 0; s + 1 < value.size(); ++s)
      sizes += (s == 0 ? "" : " ") +
               std::to_string(value[s + 1].get<std::size_t>() - value[s].get<std::size_t>());
    return sizes;
  };
  text_table table{.headings = {"", "unbalanced", "published", "planned", "bound"}};
  table.rows = {
      row(report, "epoch", field("epoch_seconds", seconds)),
      row(report, "step, mean", field("step_seconds", seconds)),
      row(report, "steps", field("steps", count)),
      row(report, "samples a step, mean", field("samples_per_step", mean)),
      row(report, "micro-batches a rank", field("microbatches_per_rank", count)),
      row(report, "capacity, images / tokens", field("capacity", capacity)),
      row(report, "padding", field("pad_ratio", share)),
      row(report, "waiting between ranks",
          field("cost_ratio",
                [](const json& value) { return percent(1.0 - 1.0 / value.get<double>()); })),
      row(report, "gained by their order",
          field("order_gain",
                [](const json& value) { return percent(value.get<double>() - 1.0); })),
      row(report, "idle in all", field("bubble_ratio", share)),
      row(report, "largest memory", field("peak_memory", memory)),
      row(report, "layers a stage", field("cuts", cuts))};
  return table;
}

text_table ablation_table(const json& report) {
  text_table table{.headings = {"what each balance adds", "epoch", "gain", ""}};
  double before = 0;
  for (const json& one : report.at("ablation")) {
    const double seconds = one.at("epoch_seconds").get<double>();
    table.rows.push_back({one.at("name").get<std::string>(), duration_text(seconds),
                          before > 0 ? "x " + ratio_text(before / seconds) : "",
                          one.at("fits").get<bool>() ? "" : "does not fit the memory"});
    before = seconds;
  }
  return table;
}

std::string remarks(const json& report) {
  std::string text;
  for (const char* column : {"unbalanced", "published"}) {
    const json& figures = report.at(column);
    if (figures.contains("fits") && !figures.at("fits").get<bool>())
      text += std::string(column) + " would not fit the memory; its times are as if it did.\n";
  }
  const auto epoch = [&](const char* column) -> std::optional<double> {
    const json& figures = report.at(column);
    if (!figures.contains("epoch_seconds")) return std::nullopt;
    return figures.at("epoch_seconds").get<double>();
  };
  const auto worse = [&](const char* left, const char* right) {
    if (epoch(left) && epoch(right) && *epoch(left) > *epoch(right))
      text += std::string("Here ") + left + " is slower than " + right + ".\n";
  };
  worse("planned", "published");
  worse("planned", "unbalanced");
  worse("published", "unbalanced");
  return text;
}

std::string verdict(const json& report) {
  const json& planned = report.at("planned");
  if (planned.value("status", "") == "infeasible") {
    std::string text = "No plan fits: " + planned.at("reason").get<std::string>();
    if (planned.contains("bytes_short"))
      text += ", stage " + planned.at("binding_stage").dump() + " lacks " +
              gibibytes_text(planned.at("bytes_short").get<std::int64_t>());
    return text + ". To mend it, " + planned.at("suggestion").get<std::string>() + ".\n";
  }
  std::string text = "planned runs the epoch ";
  const json& speedup = report.at("speedup");
  text += ratio_text(speedup.at("over_unbalanced").get<double>()) + " times as fast as unbalanced";
  if (!speedup.at("over_published").is_null())
    text += ", " + ratio_text(speedup.at("over_published").get<double>()) +
            " times as fast as published";
  const double bound = report.at("bound").at("epoch_seconds").get<double>();
  const double over = planned.at("epoch_seconds").get<double>() / bound - 1.0;
  return text + ".\nIts epoch is " + percent(over, 1) +
         " longer than the bound, which nothing can beat.\n";
}

std::string title(const json& report) {
  const auto count = [&](const char* key) { return report.at(key).get<std::int64_t>(); };
  return report.at("model").get<std::string>() + " on " +
         value_text(count("dp") * count("pp") * count("tp")) + " " +
         report.at("device").get<std::string>();
}

std::string run_text(const json& report) {
  const auto whole = [&](const char* key) { return value_text(report.at(key)); };
  std::string text = title(report) + " (dp " + whole("dp") + ", pp " + whole("pp") + ", tp " +
                     whole("tp") + ", " + whole("schedule") + "), " + whole("samples") +
                     " samples, " + whole("global_batch") + " a step\n\n";
  if (report.at("status") == "infeasible") return text + verdict(report);
  text += comparison_table(report).to_string() + "\n" + verdict(report) + remarks(report) + "\n" +
          ablation_table(report).to_string() + "\n" + megatron_text(report) + "\nAssumptions:\n";
  for (const json& one : report.at("assumptions")) text += "- " + one.get<std::string>() + "\n";
  return text;
}

std::string repriced_text(const json& report) {
  const json& figures = report.at("evaluated");
  const double seconds = figures.at("epoch_seconds").get<double>();
  const double promised = report.at("promised_epoch_seconds").get<double>();
  std::string text = "The plan's epoch takes " + duration_text(seconds) + "; " +
                     duration_text(promised) + " when it was made.\nThe bound is " +
                     duration_text(report.at("bound_seconds").get<double>()) + ".\n";
  text += "Largest memory of each stage:";
  for (const json& peak : figures.at("peak_memory"))
    text += " " + gibibytes_text(peak.get<std::int64_t>());
  text += ".\n";
  if (!figures.at("fits").get<bool>())
    text += "That does not fit the memory: plan again without --evaluate.\n";
  return text;
}

}  // namespace omnibal::cli
