// SPDX-License-Identifier: Apache-2.0
#include "commands/plan_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/schedules.hpp>

#include "files/files.hpp"
#include "files/json.hpp"

namespace omnibal::cli {
namespace {

/// Reads plan.json, which must be for the cluster and the layers of this run.
class plan_reader {
 public:
  plan_reader(const json& content, const std::string& path, const run_setting& setting,
              const std::vector<layer_cost>& chain)
      : path_(path), setting_(setting), chain_(chain), file_(content) {}

  earlier_plan read() const {
    expect("model", setting_.model);
    expect("dp", setting_.data_parallel);
    expect("pp", setting_.pipeline_parallel);
    expect("tp", setting_.tensor_parallel);
    expect("schedule", setting_.schedule);
    expect("virtual", setting_.virtual_stages);
    if (!setting_.recompute_for_w.empty()) expect("recompute_for_w", setting_.recompute_for_w);
    earlier_plan earlier;
    const std::int64_t stages = setting_.pipeline_parallel * setting_.virtual_stages;
    for (const json& cut : list("cuts", static_cast<std::size_t>(stages + 1))) {
      if (!cut.is_number_unsigned())
        refuse("cuts", earlier.plan.cuts.size(), cut, "must be the number of a layer");
      earlier.plan.cuts.push_back(cut.get<std::size_t>());
    }
    expect_layers();
    const json& modes = list("modes", chain_.size());
    for (std::size_t l = 0; l < modes.size(); ++l) earlier.plan.modes.push_back(mode(l, modes[l]));
    earlier.epoch_seconds = epoch_seconds();
    earlier.skipped = skipped();
    return earlier;
  }

 private:
  void expect(const char* field, const json& given) const {
    const json was = file_.value(field, json());
    if (was != given)
      refuse(field, was, "differs from this run, " + json_text(given) + ": plan again");
  }

  /// A model of the same name may have other layers. A file that a person wrote need not name them.
  void expect_layers() const {
    if (!file_.contains("layers")) return;
    const json& layers = list("layers", chain_.size());
    for (std::size_t l = 0; l < layers.size(); ++l)
      if (layers[l] != chain_[l].name)
        refuse("layers", l, layers[l],
               "differs from this run, " + json_text(chain_[l].name) + ": plan again");
  }

  std::optional<double> epoch_seconds() const {
    const json::json_pointer promised("/planned/epoch_seconds");
    if (!file_.contains(promised)) return std::nullopt;
    const json& value = file_[promised];
    if (!value.is_number() || !(value.get<double>() > 0))
      refuse("planned.epoch_seconds", value, "must be a number of seconds above 0");
    return value.get<double>();
  }

  const json& list(const char* field, std::size_t size) const {
    if (!file_.contains(field) || !file_[field].is_array())
      refuse(field, file_.value(field, json()), "must be a list");
    if (file_[field].size() != size)
      refuse(field, file_[field].size(), "entries must be " + std::to_string(size));
    return file_[field];
  }

  std::vector<std::uint32_t> skipped() const {
    std::vector<std::uint32_t> ids;
    if (!file_.contains("skipped")) return ids;
    if (!file_["skipped"].is_array()) refuse("skipped", file_["skipped"], "must be a list");
    for (const json& id : file_["skipped"]) {
      constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > most)
        refuse("skipped", ids.size(), id, "must be the id of a sample");
      ids.push_back(id.get<std::uint32_t>());
    }
    return ids;
  }

  std::size_t mode(std::size_t layer, const json& name) const {
    const std::vector<mode_cost>& known = chain_[layer].modes;
    for (std::size_t m = 0; m < known.size(); ++m)
      if (name == known[m].name) return m;
    throw invalid_input(path_ + ": modes", layer, json_text(name),
                        "is no mode of " + chain_[layer].name);
  }

  [[noreturn]] void refuse(const char* field, const json& value, const std::string& advice) const {
    throw invalid_input(path_ + ": " + field, json_text(value).substr(0, 80), advice);
  }
  [[noreturn]] void refuse(const char* field, std::size_t index, const json& value,
                           const std::string& advice) const {
    throw invalid_input(path_ + ": " + field, index, json_text(value).substr(0, 80), advice);
  }

  const std::string& path_;
  const run_setting& setting_;
  const std::vector<layer_cost>& chain_;
  const json& file_;
};

}  // namespace

earlier_plan read_plan(const json& content, const std::string& path, const run_setting& setting,
                       const std::vector<layer_cost>& chain) {
  return plan_reader(content, path, setting, chain).read();
}

cluster_shape read_shape(const json& content, const std::string& path) {
  const auto read = [&](const char* field) {
    const json given = content.value(field, json());
    constexpr std::uint64_t most = 1 << 20;
    if (!given.is_number_unsigned() || given.get<std::uint64_t>() < 1 ||
        given.get<std::uint64_t>() > most)
      throw invalid_input(path + ": " + field, json_text(given).substr(0, 80),
                          "must be between 1 and 1048576");
    return given.get<std::int64_t>();
  };
  return {.data_parallel = static_cast<std::size_t>(read("dp")),
          .stages = static_cast<std::size_t>(read("pp")),
          .tensor_parallel = read("tp")};
}

current_layout read_layout(const json& content, const std::string& path, run_setting setting,
                           const std::vector<layer_cost>& chain, const length_tables& tables) {
  if (!content.contains("recompute_for_w")) setting.recompute_for_w.clear();
  setting.schedule = content.value("schedule", json()).is_string()
                         ? content["schedule"].get<std::string>()
                         : setting.schedule;
  const auto known = std::ranges::find(all_schedules, setting.schedule, &any_schedule::name);
  if (known == all_schedules.end())
    throw invalid_input(path + ": schedule", setting.schedule, "is no schedule of --schedule");
  if (content.value("virtual", json()).is_number_unsigned())
    setting.virtual_stages = content["virtual"].get<std::int64_t>();
  if (setting.virtual_stages < 1 || setting.virtual_stages > 1 << 10)
    throw invalid_input(path + ": virtual", setting.virtual_stages, "must be between 1 and 1024");
  current_layout layout{.schedule = *known,
                        .virtual_stages = static_cast<std::size_t>(setting.virtual_stages),
                        .plan = read_plan(content, path, setting, chain).plan};
  if (!content.contains("offsets")) return layout;
  packs_file file = read_packs(content, path, tables);
  layout.data = assigned_packs{.packs = std::move(file.packs),
                               .dispatch = std::move(file.plan),
                               .capacity = {file.capacity[0], file.capacity[1]}};
  return layout;
}

std::string plan_file_text(const run_report& report, std::int64_t seed,
                           const std::vector<layer_cost>& chain, const pipeline_plan& plan,
                           const packs_file& packs) {
  json more = to_json(report.setting);
  more["seed"] = seed;
  more["planned"] = to_json(*figures_of(report.planned));
  if (!report.skipped.empty()) more["skipped"] = report.skipped;
  more["cuts"] = plan.cuts;
  more["layers"] = json::array();
  more["modes"] = json::array();
  for (std::size_t l = 0; l < chain.size(); ++l) {
    more["layers"].push_back(chain[l].name);
    more["modes"].push_back(chain[l].modes[plan.modes[l]].name);
  }
  more["megatron"] = to_json(report.gain->megatron);
  return to_text(packs, more);
}

}  // namespace omnibal::cli
