// SPDX-License-Identifier: Apache-2.0
#include "run_page.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <omnibal/interop/svg.hpp>
#include <omnibal/version.hpp>

#include "loss_curve.hpp"
#include "reports/html_template.hpp"
#include "run_page_html.hpp"

namespace omnibal::trainer {
namespace {

using cli::html_value;
using html_list = html_value::list;
using html_object = html_value::object;

[[nodiscard]] std::string percent(double share, int digits) {
  return detail::decimal(100 * share, digits) + " %";
}

/// All strategies that ran; the result itself where it was one.
[[nodiscard]] std::vector<nlohmann::json> strategies_in(const nlohmann::json& result,
                                                        bool refused) {
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& each : result.value("strategies", nlohmann::json::array({result})))
    if (each.contains("refusal") == refused) found.push_back(each);
  return found;
}

[[nodiscard]] std::string name_of(const nlohmann::json& strategy) {
  return strategy.at("strategy").get<std::string>();
}

[[nodiscard]] std::string setting_of(const nlohmann::json& result) {
  return "pp " + result.at("pp").dump() + ", dp " + result.at("dp").dump() + ", " +
         result.at("schedule").get<std::string>() + ", " +
         result.at("precision").get<std::string>() + ", seed " + result.at("seed").dump() +
         (result.at("blind").get<bool>() ? ", blind" : "") + "; packs of " +
         result.at("capacity").at("tiles").dump() + " tiles and " +
         result.at("capacity").at("tokens").dump() + " tokens";
}

[[nodiscard]] std::string verdict_of(const nlohmann::json& result) {
  const nlohmann::json& held_out = result.at("held_out");
  std::string text = result.at("steps").dump() + " steps";
  if (!result.at("loss").empty())
    text += ", loss " + detail::decimal(result.at("loss").back().get<double>(), 4);
  const auto samples = held_out.at("samples").get<double>();
  if (samples > 0)
    text += ", " + held_out.at("exact").dump() + " of " + held_out.at("samples").dump() +
            " held-out answers exact (" + percent(held_out.at("exact").get<double>() / samples, 1) +
            ")";
  return text;
}

[[nodiscard]] html_list refusals(const nlohmann::json& result) {
  html_list list;
  for (const nlohmann::json& each : strategies_in(result, true))
    list.emplace_back(name_of(each) + ": " + each.at("refusal").get<std::string>());
  return list;
}

[[nodiscard]] std::string losses(const nlohmann::json& result) {
  std::vector<loss_curve> curves;
  for (const nlohmann::json& each : strategies_in(result, false))
    curves.push_back({name_of(each), each.at("loss").get<std::vector<double>>()});
  return losses_svg(curves);
}

[[nodiscard]] html_list cells_of(std::vector<std::string> texts) {
  return {texts.begin(), texts.end()};
}

/// A row per strategy.
[[nodiscard]] html_list times(const nlohmann::json& result) {
  html_list rows;
  for (const nlohmann::json& each : strategies_in(result, false)) {
    const auto seconds = [&](const char* key) {
      return detail::decimal(each.at(key).get<double>(), 2);
    };
    const auto bubble = [&](const char* key) {
      return detail::decimal(each.at("bubble").at(key).get<double>(), 3);
    };
    rows.push_back(html_object{
        {"cells",
         cells_of({name_of(each), seconds("predicted_seconds"), seconds("replayed_seconds"),
                   seconds("seconds"), bubble("predicted"), bubble("replayed"), bubble("measured"),
                   detail::decimal(each.at("skew").get<double>(), 3),
                   percent(each.at("pad_ratio").get<double>(), 1),
                   detail::decimal(each.at("tokens_per_second").get<double>(), 0)})}});
  }
  return rows;
}

[[nodiscard]] html_object bar(const std::string& name, double value, double limit, double most,
                              const std::string& text, const char* kind) {
  const auto width = [most](double part) { return percent(most > 0 ? part / most : 0, 2); };
  return {{"name", name},
          {"kind", kind},
          {"width", width(value)},
          {"limit", width(limit)},
          {"text", text}};
}

[[nodiscard]] html_list memory(const nlohmann::json& result) {
  const nlohmann::json& ranks = result.at("ranks");
  const auto bytes = [&](std::size_t rank, const char* key) {
    return ranks[rank].at(key).get<double>();
  };
  double most = 0;
  for (std::size_t r = 0; r < ranks.size(); ++r)
    most = std::max({most, bytes(r, "peak_bytes"), bytes(r, "planned_peak_bytes")});
  html_list bars;
  for (std::size_t r = 0; r < ranks.size(); ++r)
    bars.emplace_back(bar(
        "rank " + std::to_string(r), bytes(r, "peak_bytes"), bytes(r, "planned_peak_bytes"), most,
        detail::decimal(bytes(r, "peak_bytes") / (1 << 20), 2) + " MiB, " +
            percent(bytes(r, "peak_bytes") / bytes(r, "planned_peak_bytes"), 1) + " of the plan",
        ""));
  return bars;
}

[[nodiscard]] html_list ablation(const nlohmann::json& result) {
  double most = 0;
  for (const nlohmann::json& row : result.at("ablation"))
    most = std::max(most, row.at("predicted_seconds").get<double>());
  html_list bars;
  for (const nlohmann::json& row : result.at("ablation")) {
    const auto seconds = row.at("predicted_seconds").get<double>();
    const bool fits = row.at("fits").get<bool>();
    bars.emplace_back(bar(row.at("name").get<std::string>(), seconds, 0, most,
                          detail::decimal(seconds, 2) + " s" + (fits ? "" : ", does not fit"),
                          fits ? "" : "over"));
  }
  return bars;
}

[[nodiscard]] html_list stages(const nlohmann::json& result) {
  html_list rows;
  for (const nlohmann::json& stage : result.at("stages")) {
    const nlohmann::json& layers = stage.at("layers");
    std::string recomputed;
    for (const nlohmann::json& layer : layers)
      if (layer.at("mode") != "none")
        recomputed += (recomputed.empty() ? "" : ", ") + layer.at("name").get<std::string>() + " " +
                      layer.at("mode").get<std::string>();
    rows.push_back(
        html_object{{"stage", std::to_string(rows.size())},
                    {"device", stage.at("device").dump()},
                    {"layers", layers.front().at("name").get<std::string>() + " to " +
                                   layers.back().at("name").get<std::string>()},
                    {"recomputed", recomputed.empty() ? std::string("none") : recomputed}});
  }
  return rows;
}

}  // namespace

std::string run_page(const nlohmann::json& result, std::span<const timeline> steps) {
  return cli::fill_template(
      cli::run_page_html,
      {{"title", result.at("model").get<std::string>() + ", " +
                     (result.contains("strategies") ? "all strategies" : name_of(result))},
       {"setting", setting_of(result)},
       {"verdict", verdict_of(result)},
       {"refusals", refusals(result)},
       {"losses", losses(result)},
       {"steps", timelines_svg(steps)},
       {"headings",
        cells_of({"strategy", "seconds predicted", "replayed", "measured", "bubble predicted",
                  "replayed", "measured", "skew", "padding", "tokens/s"})},
       {"rows", times(result)},
       {"memory", memory(result)},
       {"ablation", ablation(result)},
       {"stages", stages(result)},
       {"version", std::string(version)}});
}

}  // namespace omnibal::trainer
