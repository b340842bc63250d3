// SPDX-License-Identifier: Apache-2.0
#include "files/packs_file.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>

#include <omnibal/core/error.hpp>
#include <omnibal/dataset/sample_keys.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/version.hpp>

#include "files/json.hpp"
#include "files/number_list.hpp"
#include "tables/sample_names.hpp"

namespace omnibal::cli {
namespace {

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

/// How many packs each group has, in the order of the plan.
std::vector<std::uint64_t> group_sizes(const packs_file& file) {
  std::vector<std::uint64_t> sizes;
  for (const std::uint32_t group : file.plan.groups.indices())
    sizes.push_back(file.groups[group].size());
  return sizes;
}

}  // namespace

std::string to_text(const packs_file& file, const json& more) {
  std::string text = "{\"version\":" + json_text(version);
  text += ",\n\"inputs\":" + json_text(to_json(file.inputs));
  for (const auto& [key, value] : more.items())
    text += ",\n" + json_text(key) + ":" + json_text(value);
  if (file.mixture) text += ",\n\"repeat\":" + json_text(to_json(*file.mixture));
  if (!file.keys.empty()) {
    text += ",\n\"keys_fingerprint\":" + json_text(file.fingerprint);
    text += ",\n\"keys\":" + json_text(file.keys);
  }
  text += ",\n\"capacity\":" + json_text(named_values(file.resources, file.capacity));
  text += ",\n\"offsets\":";
  append_list(file.packs.offsets(), text);
  text += ",\n\"indices\":";
  append_list(file.packs.indices(), text);
  const dispatch_plan& plan =
      file.groups.empty() ? file.plan : plan_of_packs(file.plan, file.groups);
  text += ",\n\"steps\":";
  append_steps(plan, plan.groups.indices(), text);
  if (!file.groups.empty()) {
    text += ",\n\"group_sizes\":";
    append_steps(file.plan, std::span<const std::uint64_t>(group_sizes(file)), text);
  }
  text += ",\n\"dropped\":";
  append_list(std::span(plan.dropped), text);
  if (!plan.mask.empty()) {
    text += ",\n\"mask\":";
    append_steps(plan, std::span(plan.mask), text);
  }
  return text + "}\n";
}

namespace {

/// Reads a packs file, with messages that name file and field.
class packs_reader {
 public:
  packs_reader(const json& content, const std::string& path, const length_tables& tables)
      : path_(path), tables_(tables), file_(content) {}

  packs_file read() {
    if (!by_keys()) check_inputs();
    packs_file packs{.inputs = tables_.inputs, .resources = tables_.resources};
    read_keys(packs);
    packs.mixture = read_mixture();
    read_capacity(packs);
    packs.packs = read_packs();
    packs.plan = read_plan(packs.packs.size());
    if (file_.contains("group_sizes")) gather_groups(packs);
    if (!packs.places.empty()) packs.packs = renumber_samples(packs.packs, packs.places);
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
      const std::string name =
          member(input, "name", json::value_t::string).get_ref<const std::string&>();
      if (k >= tables_.inputs.size())
        refuse("inputs", name,
               "is a table that these packs were made from: give it with --lengths");
      if (member(input, "sha256", json::value_t::string) != tables_.inputs[k].sha256)
        refuse("inputs", name,
               "had other bytes than " + tables_.inputs[k].name +
                   " has: these packs were made from another table");
    }
  }

  /// Whether tables are identified by the keys of their samples rather than by their bytes.
  [[nodiscard]] bool by_keys() const { return !tables_.keys.empty(); }

  void read_keys(packs_file& packs) const {
    if (!file_.contains("keys")) {
      if (by_keys()) refuse("keys", "nothing", "is missing: these packs were made without --key");
      return;
    }
    for (const json& key : member(file_, "keys", json::value_t::array)) {
      if (!key.is_string()) refuse("keys", json_text(key), "must be a text");
      packs.keys.push_back(key.get<std::string>());
    }
    packs.fingerprint = member(file_, "keys_fingerprint", json::value_t::string).get<std::string>();
    if (by_keys()) return find_samples(packs);
    if (packs.keys.size() != tables_.size())
      refuse("keys", std::to_string(packs.keys.size()), "keys must be as many as samples");
  }

  /// Finds the samples of the file in the tables by their keys.
  void find_samples(packs_file& packs) const {
    std::vector<std::uint32_t> places = places_of_keys(path_, packs.keys, tables_);
    const std::string fingerprint = keys_fingerprint(tables_);
    if (packs.fingerprint != fingerprint)
      refuse("keys_fingerprint", packs.fingerprint,
             "is not that of the tables, " + fingerprint +
                 ": the loads of a sample have changed since these packs were made");
    packs.keys = tables_.keys;
    if (!std::is_sorted(places.begin(), places.end())) packs.places = std::move(places);
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
    mixture.rows = read_rows();
    if (mixture.rates.size() != mixture.rows.size())
      refuse("repeat", json_text(repeat), "must have a rate for each of the inputs");
    const auto number = [&](const char* name) {
      const json& value = member(repeat, name, json::value_t::number_unsigned);
      return static_cast<std::uint64_t>(integer("repeat", value, most));
    };
    mixture.seed = number("seed");
    mixture.epoch = number("epoch");
    return mixture;
  }

  /// The numbers of samples of the tables that the packs were made from.
  std::vector<std::uint64_t> read_rows() const {
    if (!by_keys()) return rows_of(tables_.inputs);
    std::vector<std::uint64_t> rows;
    std::uint64_t total = 0;
    for (const json& input : member(file_, "inputs", json::value_t::array)) {
      const json& samples = member(input, "samples", json::value_t::number_unsigned);
      rows.push_back(static_cast<std::uint64_t>(
          integer("inputs", samples, static_cast<std::int64_t>(tables_.size()))));
      total += rows.back();
    }
    if (total != tables_.size())
      refuse("inputs", std::to_string(total), "samples must be as many as keys");
    return rows;
  }

  void read_capacity(packs_file& packs) const {
    const json& capacity = member(file_, "capacity", json::value_t::object);
    if (capacity.size() != tables_.resources.size())
      refuse("capacity", json_text(capacity), "must name the resources that --resource names");
    for (const std::string& resource : tables_.resources) {
      if (!capacity.contains(resource)) refuse("capacity." + resource, "nothing", "is missing");
      const json& amount = capacity[resource];
      if (amount == 0) refuse("capacity." + resource, json_text(amount), "must be at least 1");
      packs.capacity.push_back(
          integer("capacity." + resource, amount, std::numeric_limits<std::int64_t>::max()));
    }
  }

  grouping<std::uint32_t> read_packs() const {
    std::vector<std::uint64_t> offsets;
    for (const json& offset : member(file_, "offsets", json::value_t::array))
      offsets.push_back(static_cast<std::uint64_t>(integer(
          entry("offsets", offsets.size()), offset, std::numeric_limits<std::int64_t>::max())));
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
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const json& step = steps[s];
      if (!step.is_array() || step.size() != plan.ranks || step.empty())
        refuse(entry("steps", s), json_text(step), "must hold a list for each rank");
      for (std::size_t r = 0; r < step.size(); ++r)
        plan.groups.append(read_ids(step[r], entry(entry("steps", s), r), packs));
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
          mask.push_back(static_cast<std::uint8_t>(integer(entry("mask", mask.size()), real, 1)));
    if (mask.size() != plan.groups.indices().size())
      refuse("mask", std::to_string(mask.size()), "entries must be as many as packs in steps");
    return mask;
  }

  /// Collects the packs of the plan into the groups whose sizes the file gives, and makes the plan
  /// one of groups. A dropped pack is a group of its own.
  void gather_groups(packs_file& packs) const {
    const grouping<std::uint32_t> sizes = read_group_sizes(packs.plan);
    std::vector<std::uint32_t> group_of(packs.packs.size());
    const auto add_group = [&](std::span<const std::uint32_t> members) {
      for (const std::uint32_t pack : members)
        group_of[pack] = static_cast<std::uint32_t>(packs.groups.size());
      packs.groups.append(members);
    };
    for_each_group(packs.plan, sizes, [&](std::span<const std::uint32_t> members, bool real) {
      if (real) add_group(members);
    });
    dispatch_plan plan{.ranks = packs.plan.ranks};
    for_each_group(packs.plan, sizes, [&](std::span<const std::uint32_t> members, bool real) {
      const std::uint32_t group = group_of[members[0]];
      if (!std::ranges::equal(packs.groups[group], members))
        refuse(
            "group_sizes", std::to_string(members.size()),
            "packs from " + std::to_string(members[0]) + " on are repeated, but not as one group");
      plan.groups.push_back(group);
      if (!packs.plan.mask.empty()) plan.mask.push_back(real ? 1 : 0);
    });
    plan.groups =
        grouping<std::uint32_t>({sizes.offsets().begin(), sizes.offsets().end()},
                                {plan.groups.indices().begin(), plan.groups.indices().end()});
    for (const std::uint32_t pack : packs.plan.dropped) {
      plan.dropped.push_back(static_cast<std::uint32_t>(packs.groups.size()));
      packs.groups.append(std::span(&pack, 1));
    }
    packs.plan = std::move(plan);
  }

  /// The sizes of the groups of each rank in each step, which add up to its packs.
  grouping<std::uint32_t> read_group_sizes(const dispatch_plan& plan) const {
    grouping<std::uint32_t> sizes;
    for (const json& step : member(file_, "group_sizes", json::value_t::array)) {
      if (!step.is_array() || step.size() != plan.ranks)
        refuse("group_sizes", json_text(step), "must hold a list for each rank");
      for (const json& rank : step) {
        const std::size_t packs =
            sizes.size() < plan.groups.size() ? plan.groups[sizes.size()].size() : 0;
        std::uint64_t sum = 0;
        for (const std::uint32_t size : read_ids(rank, "group_sizes", packs + 1)) {
          if (size == 0) refuse("group_sizes", json_text(rank), "must not hold empty groups");
          sizes.push_back(size);
          sum += size;
        }
        if (sum != packs)
          refuse("group_sizes", json_text(rank),
                 "must add up to the packs of the rank, " + std::to_string(packs));
        sizes.close_group();
      }
    }
    if (sizes.size() != plan.groups.size())
      refuse("group_sizes", std::to_string(sizes.size()), "lists must be as many as in steps");
    return sizes;
  }

  /// Calls visit(packs, whether they are real) for each group in the order of the plan.
  template <typename Visit>
  void for_each_group(const dispatch_plan& plan, const grouping<std::uint32_t>& sizes,
                      const Visit& visit) const {
    std::size_t first = 0;
    for (const std::uint32_t size : sizes.indices()) {
      const auto real = [&](std::size_t k) { return plan.mask.empty() || plan.mask[k] != 0; };
      for (std::size_t k = first; k < first + size; ++k)
        if (real(k) != real(first))
          refuse("mask", std::to_string(k), "is where a group is half real, half repeated");
      visit(plan.groups.indices().subspan(first, size), real(first));
      first += size;
    }
  }

  void check_places(const dispatch_plan& plan, std::size_t packs) const {
    std::vector<std::uint8_t> placed(packs);
    const auto place = [&](std::uint32_t pack) {
      if (placed[pack]++ != 0) refuse("steps", std::to_string(pack), "is a pack in two places");
    };
    const auto assigned = plan.groups.indices();
    for (std::size_t k = 0; k < assigned.size(); ++k)
      if (plan.mask.empty() || plan.mask[k] != 0) place(assigned[k]);
    for (const std::uint32_t pack : plan.dropped) place(pack);
    const auto missing = std::find(placed.begin(), placed.end(), 0);
    if (missing != placed.end())
      refuse("steps", std::to_string(missing - placed.begin()), "is a pack in no place");
  }

  std::vector<std::uint32_t> read_ids(const json& list, const std::string& field,
                                      std::size_t count) const {
    if (!list.is_array()) refuse(field, json_text(list), "must be a list");
    std::vector<std::uint32_t> ids;
    ids.reserve(list.size());
    for (const json& id : list)
      ids.push_back(static_cast<std::uint32_t>(
          integer(entry(field, ids.size()), id, static_cast<std::int64_t>(count) - 1)));
    return ids;
  }

  static std::string entry(const std::string& list, std::size_t index) {
    return list + "[" + std::to_string(index) + "]";
  }

  std::int64_t integer(const std::string& field, const json& value, std::int64_t most) const {
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
  const json& file_;
};

}  // namespace

packs_file read_packs_file(const std::string& path, const length_tables& tables) {
  return read_packs(read_json_object("--evaluate", path), path, tables);
}

packs_file read_packs(const json& content, const std::string& path, const length_tables& tables) {
  return packs_reader(content, path, tables).read();
}

}  // namespace omnibal::cli
