// SPDX-License-Identifier: Apache-2.0
#include "packs_file.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <omnibal/core/error.hpp>
#include <omnibal/version.hpp>
#include <span>
#include <string_view>

#include "json.hpp"

namespace omnibal::cli {
namespace {

/// Appends "[1,2,3]". Packs of millions of samples would take minutes as JSON values.
template <typename Integer>
void append_list(std::span<const Integer> numbers, std::string& text) {
  char digits[24];
  text += '[';
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    if (k > 0) text += ',';
    const auto end = std::to_chars(digits, digits + sizeof digits, numbers[k]).ptr;
    text.append(digits, end);
  }
  text += ']';
}

/// Appends [step][rank] = the elements of `values` that belong to that rank's micro-batches.
template <typename Integer>
void append_steps(const dispatch_plan& plan, std::span<const Integer> values, std::string& text) {
  const auto offsets = plan.groups.offsets();
  for (std::size_t group = 0; group < plan.groups.size(); ++group) {
    text += group == 0 ? "[[" : group % plan.ranks == 0 ? "],\n[" : ",";
    append_list(values.subspan(offsets[group], offsets[group + 1] - offsets[group]), text);
  }
  text += plan.groups.empty() ? "[]" : "]]";
}

json capacity_of(const packs_file& file) {
  json capacity;
  for (std::size_t r = 0; r < file.resources.size(); ++r)
    capacity[file.resources[r]] = file.capacity[r];
  return capacity;
}

}  // namespace

std::string to_text(const packs_file& file, const json& more) {
  std::string text = "{\"version\":" + json_text(version);
  text += ",\n\"inputs\":" + json_text(to_json(file.inputs));
  for (const auto& [key, value] : more.items())
    text += ",\n" + json_text(key) + ":" + json_text(value);
  if (file.mixture) text += ",\n\"repeat\":" + json_text(to_json(*file.mixture));
  text += ",\n\"capacity\":" + json_text(capacity_of(file));
  text += ",\n\"offsets\":";
  append_list(file.packs.offsets(), text);
  text += ",\n\"indices\":";
  append_list(file.packs.indices(), text);
  text += ",\n\"steps\":";
  append_steps(file.plan, file.plan.groups.indices(), text);
  text += ",\n\"dropped\":";
  append_list(std::span(file.plan.dropped), text);
  if (!file.plan.mask.empty()) {
    text += ",\n\"mask\":";
    append_steps(file.plan, std::span(file.plan.mask), text);
  }
  return text + "}\n";
}

namespace {

/// Reads a packs file, knowing where it is, for messages.
class packs_reader {
 public:
  packs_reader(const std::string& path, const length_tables& tables)
      : path_(path), tables_(tables), file_(read_json_file("--evaluate", path)) {}

  packs_file read() {
    check_inputs();
    packs_file packs{.inputs = tables_.inputs, .resources = tables_.resources};
    packs.mixture = read_mixture();
    read_capacity(packs);
    packs.packs = read_packs();
    packs.plan = read_plan(packs.packs.size());
    return packs;
  }

 private:
  void check_inputs() const {
    const json& inputs = member(file_, "inputs", json::value_t::array);
    for (std::size_t k = 0; k < std::max(inputs.size(), tables_.inputs.size()); ++k) {
      if (k >= inputs.size())
        refuse("inputs", tables_.inputs[k].name, "is a table that these packs were not made from");
      const json& input = inputs[k];
      if (!input.is_object()) refuse("inputs", json_text(input), "must be an object");
      const std::string name = input.value("name", "?");
      if (k >= tables_.inputs.size())
        refuse("inputs", name,
               "is a table that these packs were made from: give it with --lengths");
      if (input.value("sha256", "") != tables_.inputs[k].sha256)
        refuse("inputs", name,
               "held other bytes than " + tables_.inputs[k].name +
                   " holds: these packs were made from another table");
    }
  }

  std::optional<mixture_draw> read_mixture() const {
    if (!file_.contains("repeat")) return std::nullopt;
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const json& repeat = member(file_, "repeat", json::value_t::object);
    mixture_draw mixture;
    for (const json& rate : member(repeat, "rates", json::value_t::array)) {
      if (!rate.is_string()) refuse("repeat", json_text(rate), "must be a rate like \"5/2\"");
      mixture.rates.push_back(
          parse_rate(path_ + ": repeat", mixture.rates.size(), rate.get_ref<const std::string&>()));
    }
    if (mixture.rates.size() != tables_.inputs.size())
      refuse("repeat", json_text(repeat), "must have a rate for each of the inputs");
    const auto number = [&](const char* name) {
      const json& value = member(repeat, name, json::value_t::number_unsigned);
      return static_cast<std::uint64_t>(integer("repeat", value, most));
    };
    mixture.seed = number("seed");
    mixture.epoch = number("epoch");
    return mixture;
  }

  void read_capacity(packs_file& packs) const {
    const json& capacity = member(file_, "capacity", json::value_t::object);
    if (capacity.size() != tables_.resources.size())
      refuse("capacity", json_text(capacity), "must name the resources that --resource names");
    for (const std::string& resource : tables_.resources) {
      const json& amount = member(capacity, resource.c_str(), json::value_t::number_unsigned);
      if (amount == 0) refuse("capacity", json_text(capacity), "must be at least 1");
      packs.capacity.push_back(
          integer("capacity", amount, std::numeric_limits<std::int64_t>::max()));
    }
  }

  grouping<std::uint32_t> read_packs() const {
    std::vector<std::uint64_t> offsets;
    for (const json& offset : member(file_, "offsets", json::value_t::array))
      offsets.push_back(static_cast<std::uint64_t>(
          integer("offsets", offset, std::numeric_limits<std::int64_t>::max())));
    try {
      return {std::move(offsets),
              read_ids(member(file_, "indices", json::value_t::array), "indices", tables_.size())};
    } catch (const invalid_input& error) {
      if (error.field() != "offsets") throw;
      throw invalid_input(path_ + ": offsets", error.index().value_or(0), error.value(),
                          "must run from 0 to the number of indices and never fall");
    }
  }

  dispatch_plan read_plan(std::size_t packs) const {
    dispatch_plan plan;
    const json& steps = member(file_, "steps", json::value_t::array);
    if (!steps.empty()) plan.ranks = static_cast<std::uint32_t>(steps[0].size());
    for (const json& step : steps) {
      if (!step.is_array() || step.size() != plan.ranks || step.empty())
        refuse("steps", json_text(step), "must hold a list for each rank");
      for (const json& rank : step) plan.groups.append(read_ids(rank, "steps", packs));
    }
    plan.dropped = read_ids(member(file_, "dropped", json::value_t::array), "dropped", packs);
    if (file_.contains("mask")) plan.mask = read_mask(plan);
    check_places(plan, packs);
    return plan;
  }

  /// The mask in the order of the plan's packs.
  std::vector<std::uint8_t> read_mask(const dispatch_plan& plan) const {
    std::vector<std::uint8_t> mask;
    for (const json& step : member(file_, "mask", json::value_t::array))
      for (const json& rank : step)
        for (const json& real : rank)
          mask.push_back(static_cast<std::uint8_t>(integer("mask", real, 1)));
    if (mask.size() != plan.groups.indices().size())
      refuse("mask", std::to_string(mask.size()), "entries must be as many as packs in steps");
    return mask;
  }

  void check_places(const dispatch_plan& plan, std::size_t packs) const {
    std::vector<std::uint8_t> placed(packs);
    const auto place = [&](std::uint32_t pack) {
      if (placed[pack]++ != 0) refuse("steps", std::to_string(pack), "is a pack in two places");
    };
    const auto dealt = plan.groups.indices();
    for (std::size_t k = 0; k < dealt.size(); ++k)
      if (plan.mask.empty() || plan.mask[k] != 0) place(dealt[k]);
    for (const std::uint32_t pack : plan.dropped) place(pack);
    const auto missing = std::find(placed.begin(), placed.end(), 0);
    if (missing != placed.end())
      refuse("steps", std::to_string(missing - placed.begin()), "is a pack in no place");
  }

  std::vector<std::uint32_t> read_ids(const json& list, const char* field,
                                      std::size_t count) const {
    if (!list.is_array()) refuse(field, json_text(list), "must be a list");
    std::vector<std::uint32_t> ids;
    ids.reserve(list.size());
    for (const json& id : list)
      ids.push_back(
          static_cast<std::uint32_t>(integer(field, id, static_cast<std::int64_t>(count) - 1)));
    return ids;
  }

  std::int64_t integer(const char* field, const json& value, std::int64_t most) const {
    if (!value.is_number_unsigned() || most < 0 ||
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(most))
      refuse(field, json_text(value), "must be an integer from 0 to " + std::to_string(most));
    return value.get<std::int64_t>();
  }

  const json& member(const json& object, const char* name, json::value_t type) const {
    if (!object.is_object() || !object.contains(name)) refuse(name, "nothing", "is missing");
    if (object[name].type() != type)
      refuse(name, json_text(object[name]),
             std::string("must be of type ") + json(type).type_name());
    return object[name];
  }

  [[noreturn]] void refuse(const std::string& field, const std::string& value,
                           const std::string& advice) const {
    throw invalid_input(path_ + ": " + field, value.substr(0, 80), advice);
  }

  const std::string& path_;
  const length_tables& tables_;
  json file_;
};

}  // namespace

packs_file read_packs_file(const std::string& path, const length_tables& tables) {
  return packs_reader(path, tables).read();
}

}  // namespace omnibal::cli
