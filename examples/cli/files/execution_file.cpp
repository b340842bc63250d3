// SPDX-License-Identifier: Apache-2.0
#include "files/execution_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include <omnibal/core/error.hpp>

#include "errors.hpp"
#include "files/files.hpp"
#include "files/json.hpp"
#include "files/number_list.hpp"
#include "files/object_reader.hpp"

namespace omnibal::cli {
namespace {

constexpr std::int64_t written_version = 2;
constexpr std::string_view format_name = "omnibal-execution";

// ---- writing -----------------------------------------------------------------------------------

json to_json(const linear_cost& cost) {
  return json::array({cost.constant, cost.per_tile, cost.per_token, cost.per_squared_token});
}

json to_json(const execution_stage& stage) {
  return {{"device", stage.device},
          {"layers", {stage.first_layer, stage.end_layer}},
          {"trained", stage.trained},
          {"forward_time", to_json(stage.forward_time)},
          {"backward_time", to_json(stage.backward_time)},
          {"weight_gradient_time", to_json(stage.weight_gradient_time)},
          {"forward_latency", to_json(stage.forward_latency)},
          {"backward_latency", to_json(stage.backward_latency)},
          {"activation_bytes", to_json(stage.activation_bytes)},
          {"gradient_bytes", to_json(stage.gradient_bytes)},
          {"reduce_bytes", stage.reduce_bytes},
          {"gather_bytes", stage.gather_bytes},
          {"step_time", stage.step_time}};
}

json to_json(const execution_item& item) {
  json list = json::array({to_string(item.kind), item.stage});
  if (is_operation(item.kind) || is_message(item.kind)) list.push_back(item.microbatch);
  if (is_message(item.kind)) list.push_back(item.peer);
  return list;
}

json to_json(const execution_lanes& lanes) {
  json devices = json::array();
  for (const auto& device : lanes.devices) {
    json lists = json::array();
    for (const auto& lane : device) {
      json items = json::array();
      for (const execution_item& item : lane) items.push_back(to_json(item));
      lists.push_back(std::move(items));
    }
    devices.push_back(std::move(lists));
  }
  return {{"microbatches", lanes.microbatches}, {"devices", std::move(devices)}};
}

/// Writes the plan as text: what is long, entry by entry in lines of their own.
class plan_writer {
 public:
  plan_writer(const execution_plan& plan, const std::vector<table_input>& inputs)
      : plan_(plan), inputs_(inputs) {}

  [[nodiscard]] std::string text() {
    text_ = "{";
    add_head();
    add_entries("packs", plan_.packs.size(), [&](std::size_t k) { add_pack(k); });
    add_entries("steps", plan_.steps(), [&](std::size_t step) { add_step(step); });
    add_entries("lanes", plan_.lanes.size(),
                [&](std::size_t k) { text_ += json_text(to_json(plan_.lanes[k])); });
    add_entries("programs", plan_.programs.size(), [&](std::size_t k) { add_program(k); });
    add("peak_memory", plan_.peak_memory);
    add("bubble_ratio", plan_.bubble_ratio);
    text_ += "}";
    return std::move(text_);
  }

 private:
  void add_head() {
    json layers = json::array();
    for (const execution_layer& layer : plan_.layers)
      layers.push_back(
          {{"name", layer.name}, {"mode", layer.mode}, {"kind", to_string(layer.kind)}});
    json stages = json::array();
    for (const execution_stage& stage : plan_.stages) stages.push_back(to_json(stage));
    add("inputs", to_json(inputs_));
    add("schedule", plan_.schedule);
    add("devices", plan_.devices);
    add("virtual_stages", plan_.virtual_stages);
    add("replicas", plan_.replicas);
    add("splits_backward", plan_.splits_backward);
    add("shards_optimizer", plan_.shards_optimizer);
    add("layers", layers);
    add("stages", stages);
    add("skipped", plan_.skipped);
  }

  void add_key(const char* key) {
    if (text_.size() > 1) text_ += ",\n";
    text_.append("\"").append(key).append("\":");
  }
  void add(const char* key, const json& value) {
    add_key(key);
    text_ += json_text(value);
  }
  template <class Add>
  void add_entries(const char* key, std::size_t entries, const Add& add_entry) {
    add_key(key);
    text_ += "[";
    for (std::size_t k = 0; k < entries; ++k) {
      text_ += k == 0 ? "\n" : ",\n";
      add_entry(k);
    }
    text_ += "]";
  }
  void add_pack(std::size_t k) {
    const workload& work = plan_.workloads[k];
    text_ += "{\"samples\":";
    append_list(plan_.packs[k], text_);
    text_ += ",\"workload\":";
    append_list(
        std::span<const std::int64_t>(std::array{work.tiles, work.tokens, work.squared_tokens}),
        text_);
    if (!plan_.label_tokens.empty())
      text_.append(",\"label_tokens\":").append(std::to_string(plan_.label_tokens[k]));
    text_ += "}";
  }
  void add_step(std::size_t step) {
    text_.append("{\"time\":").append(std::to_string(plan_.step_times[step]));
    text_ += ",\"replicas\":[";
    for (std::size_t replica = 0; replica < plan_.replicas; ++replica) {
      const std::size_t group = step * plan_.replicas + replica;
      text_ += replica == 0 ? "{\"packs\":" : ",{\"packs\":";
      append_list(plan_.assignment[group], text_);
      text_.append(",\"program\":").append(std::to_string(plan_.program_of[group])).append("}");
    }
    text_ += "]}";
  }
  void add_program(std::size_t k) {
    const execution_program& program = plan_.programs[k];
    text_.append("{\"lanes\":").append(std::to_string(program.lanes)).append(",\"turns\":");
    text_ += json_text(program.turns) + "}";
  }

  const execution_plan& plan_;
  const std::vector<table_input>& inputs_;
  std::string text_;
};

// ---- reading -----------------------------------------------------------------------------------

/// Reads values of the plan, with errors that name them.
class plan_reader {
 public:
  plan_reader(const char* source, const std::string& path)
      : path_(path), file_(read_json_object(source, path)) {
    const object_reader head(file_, path_);
    head.expect_keys(std::vector<std::string>{"format", "version", "sha256", "plan"});
    if (head.text("format", "") != format_name)
      refuse("format", head.at("format"), "must be " + std::string(format_name));
    if (head.integer("version") != written_version)
      refuse(
          "version", head.at("version"),
          "must be " + std::to_string(written_version) + ", the version that this command reads");
    const file_bytes bytes(source, path);
    const std::string_view text = bytes.view();
    constexpr std::string_view mark = "\"plan\":";
    const std::size_t begin = text.find(mark);
    const std::size_t end = text.rfind('}');
    if (begin == std::string_view::npos || begin + mark.size() > end ||
        sha256(text.substr(begin + mark.size(), end - begin - mark.size())) !=
            head.text("sha256", ""))
      refuse("sha256", head.at("sha256"), "is not that of the plan: it was changed since");
  }

  execution_plan read() const {
    const object_reader plan(file_.at("plan"), path_ + ": plan");
    plan.expect_keys(std::vector<std::string>{"inputs", "schedule", "devices", "virtual_stages",
                                              "replicas", "splits_backward", "shards_optimizer",
                                              "layers", "stages", "skipped", "packs", "steps",
                                              "lanes", "programs", "peak_memory", "bubble_ratio"});
    execution_plan result{.schedule = text(plan, "schedule"),
                          .devices = small(plan, "devices"),
                          .virtual_stages = small(plan, "virtual_stages"),
                          .replicas = small(plan, "replicas"),
                          .splits_backward = flag(plan, "splits_backward"),
                          .shards_optimizer = flag(plan, "shards_optimizer"),
                          .peak_memory = integers(plan, "peak_memory"),
                          .bubble_ratio = plan.number("bubble_ratio")};
    for (const object_reader& layer : plan.objects("layers"))
      result.layers.push_back(layer_of(layer));
    for (const object_reader& stage : plan.objects("stages"))
      result.stages.push_back(stage_of(stage));
    (void)list(plan, "inputs");
    read_packs(plan, result);
    read_steps(plan, result);
    for (const json& sample : list(plan, "skipped"))
      result.skipped.push_back(as_small(plan.where() + ".skipped", sample));
    for (const object_reader& lanes : plan.objects("lanes"))
      result.lanes.push_back(lanes_of(lanes));
    for (const object_reader& program : plan.objects("programs"))
      result.programs.push_back(program_of(program));
    try {
      validate(result);
    } catch (const invalid_input& error) {
      throw usage_error(path_ + ": " + error.what());
    }
    return result;
  }

 private:
  [[noreturn]] void refuse(const std::string& field, const json& value,
                           const std::string& advice) const {
    throw invalid_input(path_ + ": " + field, json_text(value).substr(0, 80), advice);
  }

  static std::uint32_t as_small(const std::string& where, const json& value) {
    if (!value.is_number_unsigned() ||
        value.get<std::uint64_t>() >= std::numeric_limits<std::uint32_t>::max())
      throw invalid_input(where, json_text(value).substr(0, 80), "must be from 0 to 2^32 - 2");
    return value.get<std::uint32_t>();
  }
  static std::uint32_t small(const object_reader& object, const char* key) {
    return as_small(object.where() + "." + key, object.at(key));
  }
  static std::string text(const object_reader& object, const char* key) {
    const json& value = object.at(key);
    if (!value.is_string())
      throw invalid_input(object.where() + "." + key, json_text(value), "must be a text");
    return value.get<std::string>();
  }
  static bool flag(const object_reader& object, const char* key) {
    (void)object.at(key);
    return object.flag(key, false);
  }
  static const json& list(const object_reader& object, const char* key) {
    const json& value = object.at(key);
    if (!value.is_array())
      throw invalid_input(object.where() + "." + key, json_text(value).substr(0, 80),
                          "must be a list");
    return value;
  }
  static std::vector<std::int64_t> integers(const object_reader& object, const char* key) {
    std::vector<std::int64_t> numbers;
    for (const json& value : list(object, key)) {
      if (!value.is_number_unsigned() ||
          value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
        throw invalid_input(object.where() + "." + key, numbers.size(),
                            json_text(value).substr(0, 80),
                            "must be an integer from 0 to 2^63 - 1");
      numbers.push_back(value.get<std::int64_t>());
    }
    return numbers;
  }
  static std::vector<std::int64_t> integers(const object_reader& object, const char* key,
                                            std::size_t size) {
    std::vector<std::int64_t> numbers = integers(object, key);
    if (numbers.size() != size)
      throw invalid_input(object.where() + "." + key, numbers.size(),
                          "numbers must be " + std::to_string(size));
    return numbers;
  }
  static linear_cost cost(const object_reader& object, const char* key) {
    const auto parts = integers(object, key, 4);
    return {parts[0], parts[1], parts[2], parts[3]};
  }

  static execution_layer layer_of(const object_reader& layer) {
    layer.expect_keys(std::vector<std::string>{"name", "mode", "kind"});
    const std::string kind = text(layer, "kind");
    execution_layer result{.name = text(layer, "name"),
                           .mode = text(layer, "mode"),
                           .kind = recompute_kind_named(kind)};
    if (to_string(result.kind) != kind)
      throw invalid_input(layer.where() + ".kind", kind, "must be none, selective, full or custom");
    return result;
  }

  static execution_stage stage_of(const object_reader& stage) {
    stage.expect_keys(std::vector<std::string>{
        "device", "layers", "trained", "forward_time", "backward_time", "weight_gradient_time",
        "forward_latency", "backward_latency", "activation_bytes", "gradient_bytes", "reduce_bytes",
        "gather_bytes", "step_time"});
    const json& layers = list(stage, "layers");
    if (layers.size() != 2)
      throw invalid_input(stage.where() + ".layers", layers.size(), "numbers must be 2");
    return {.device = small(stage, "device"),
            .first_layer = as_small(stage.where() + ".layers", layers[0]),
            .end_layer = as_small(stage.where() + ".layers", layers[1]),
            .trained = flag(stage, "trained"),
            .forward_time = cost(stage, "forward_time"),
            .backward_time = cost(stage, "backward_time"),
            .weight_gradient_time = cost(stage, "weight_gradient_time"),
            .forward_latency = cost(stage, "forward_latency"),
            .backward_latency = cost(stage, "backward_latency"),
            .activation_bytes = cost(stage, "activation_bytes"),
            .gradient_bytes = cost(stage, "gradient_bytes"),
            .reduce_bytes = stage.integer("reduce_bytes"),
            .gather_bytes = stage.integer("gather_bytes"),
            .step_time = stage.integer("step_time")};
  }

  static void append(const object_reader& object, const char* key,
                     grouping<std::uint32_t>& groups) {
    for (const json& value : list(object, key))
      groups.push_back(as_small(object.where() + "." + key, value));
    groups.close_group();
  }

  static void read_packs(const object_reader& plan, execution_plan& result) {
    for (const object_reader& pack : plan.objects("packs")) {
      pack.expect_keys(std::vector<std::string>{"samples", "workload", "label_tokens"});
      append(pack, "samples", result.packs);
      const auto work = integers(pack, "workload", 3);
      result.workloads.push_back({work[0], work[1], work[2]});
      if (pack.find("label_tokens") != nullptr)
        result.label_tokens.push_back(pack.integer("label_tokens"));
    }
  }

  static void read_steps(const object_reader& plan, execution_plan& result) {
    for (const object_reader& step : plan.objects("steps")) {
      step.expect_keys(std::vector<std::string>{"time", "replicas"});
      result.step_times.push_back(step.integer("time"));
      const std::vector<object_reader> replicas = step.objects("replicas");
      if (replicas.size() != result.replicas)
        throw invalid_input(step.where() + ".replicas", replicas.size(),
                            "must be " + std::to_string(result.replicas) + ", idle ones too");
      for (const object_reader& replica : replicas) {
        replica.expect_keys(std::vector<std::string>{"packs", "program"});
        append(replica, "packs", result.assignment);
        result.program_of.push_back(small(replica, "program"));
      }
    }
  }

  static execution_item item_of(const std::string& where, const json& value) {
    const auto name = value.is_array() && !value.empty() && value[0].is_string()
                          ? value[0].get<std::string>()
                          : "";
    const auto found = std::ranges::find(item_kind_names, name);
    if (found == item_kind_names.end())
      throw invalid_input(where, json_text(value).substr(0, 80), "is no kind of item");
    execution_item item{.kind = static_cast<item_kind>(found - item_kind_names.begin())};
    const std::size_t size = is_message(item.kind) ? 4 : is_operation(item.kind) ? 3 : 2;
    if (value.size() != size)
      throw invalid_input(where, json_text(value).substr(0, 80),
                          "entries must be " + std::to_string(size));
    item.stage = as_small(where, value[1]);
    if (size > 2) item.microbatch = as_small(where, value[2]);
    if (size > 3) item.peer = as_small(where, value[3]);
    return item;
  }

  static const json& list_at(const std::string& where, const json& value) {
    if (!value.is_array())
      throw invalid_input(where, json_text(value).substr(0, 80), "must be a list");
    return value;
  }
  static std::string entry(const std::string& where, std::size_t index) {
    return where + "[" + std::to_string(index) + "]";
  }

  static std::vector<execution_item> lane_of(const std::string& where, const json& lane) {
    std::vector<execution_item> items;
    for (const json& item : list_at(where, lane))
      items.push_back(item_of(entry(where, items.size()), item));
    return items;
  }

  static execution_lanes lanes_of(const object_reader& lanes) {
    lanes.expect_keys(std::vector<std::string>{"microbatches", "devices"});
    execution_lanes result{.microbatches = small(lanes, "microbatches")};
    for (const json& device : list(lanes, "devices")) {
      const std::string where = entry(lanes.where() + ".devices", result.devices.size());
      std::vector<std::vector<execution_item>> lists;
      for (const json& lane : list_at(where, device))
        lists.push_back(lane_of(entry(where, lists.size()), lane));
      result.devices.push_back(std::move(lists));
    }
    return result;
  }

  static execution_program program_of(const object_reader& program) {
    program.expect_keys(std::vector<std::string>{"lanes", "turns"});
    execution_program result{.lanes = small(program, "lanes")};
    for (const json& turns : list(program, "turns")) {
      if (!turns.is_string())
        throw invalid_input(entry(program.where() + ".turns", result.turns.size()),
                            json_text(turns).substr(0, 80), "must be a text");
      result.turns.push_back(turns.get<std::string>());
    }
    return result;
  }

  const std::string& path_;
  json file_;
};

// ---- measured durations ------------------------------------------------------------------------

std::int64_t duration_of(const std::string& where, const json& value, double nanoseconds) {
  if (!value.is_number())
    throw invalid_input(where, json_text(value).substr(0, 80), "must be a number");
  const double duration = value.get<double>() * nanoseconds;
  if (!(duration >= 0 && duration <= 1e18))
    throw invalid_input(where, json_text(value).substr(0, 80),
                        "must be a duration that is not negative");
  return std::llround(duration);
}

std::vector<measured_step> read_lists(const std::string& path, const json& file,
                                      const execution_plan& plan) {
  const object_reader head(file, path);
  head.expect_keys(std::vector<std::string>{"steps"});
  std::vector<measured_step> steps;
  for (const object_reader& one : head.objects("steps")) {
    one.expect_keys(std::vector<std::string>{"step", "ranks"});
    const std::int64_t step = one.integer("step");
    if (step < 0 || static_cast<std::size_t>(step) >= plan.steps())
      throw invalid_input(one.where() + ".step", step, "is no step of the plan");
    measured_step& measured =
        steps.emplace_back(measured_step{.step = static_cast<std::size_t>(step)});
    const json& ranks = one.at("ranks");
    if (!ranks.is_array() || ranks.size() != plan.ranks())
      throw invalid_input(one.where() + ".ranks", ranks.size(),
                          "must be one list per rank, " + std::to_string(plan.ranks()));
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
      const std::string where = one.where() + ".ranks[" + std::to_string(rank) + "]";
      const std::size_t items = step_of(plan, measured.step, rank).items.size();
      if (!ranks[rank].is_array() || ranks[rank].size() != items)
        throw invalid_input(where, ranks[rank].size(),
                            "must have one duration per item, " + std::to_string(items));
      auto& durations = measured.durations.emplace_back();
      for (std::size_t i = 0; i < items; ++i)
        durations.push_back(
            duration_of(where + "[" + std::to_string(i) + "]", ranks[rank][i], 1.0));
    }
  }
  return steps;
}

/// "forward 3.0", or "reduce 3" where there is no micro-batch.
std::string event_name(const execution_item& item) {
  std::string name = std::string(to_string(item.kind)) + " " + std::to_string(item.stage);
  if (is_operation(item.kind) || is_message(item.kind))
    name += "." + std::to_string(item.microbatch);
  return name;
}

/// Messages without bytes, and operations of empty micro-batches.
bool need_not_run(const rank_step& work, std::size_t item) {
  const execution_item& one = work.items[item];
  return is_message(one.kind) ? work.bytes[item] == 0
                              : is_operation(one.kind) && one.microbatch >= work.packs.size();
}

std::vector<measured_step> read_trace(const std::string& path, const json& events,
                                      const execution_plan& plan) {
  using place = std::tuple<std::int64_t, std::int64_t, std::string>;  // Step, rank, name.
  std::map<place, std::int64_t> durations;
  std::map<std::int64_t, bool> steps;
  if (!events.is_array())
    throw invalid_input(path + ".traceEvents", json_text(events).substr(0, 80), "must be a list");
  for (std::size_t i = 0; i < events.size(); ++i) {
    const object_reader event(events[i], path + ".traceEvents[" + std::to_string(i) + "]");
    if (event.text("ph", "") != "X") continue;
    const std::string name = event.text("name", "");
    const std::string kind = name.substr(0, name.find(' '));
    if (std::ranges::find(item_kind_names, kind) == item_kind_names.end()) continue;
    const std::int64_t step =
        event.find("args") == nullptr ? 0 : event.object("args").integer("step", 0);
    const place at{step, event.integer("pid"), name};
    if (!durations.try_emplace(at, duration_of(event.where() + ".dur", event.at("dur"), 1000.0))
             .second)
      throw invalid_input(event.where() + ".name", name, "is there twice for its rank and step");
    steps[step] = true;
  }
  std::vector<measured_step> result;
  for (const auto& [step, is_there] : steps) {
    if (step < 0 || static_cast<std::size_t>(step) >= plan.steps())
      throw invalid_input(path + ".traceEvents.args.step", step, "is no step of the plan");
    measured_step& measured =
        result.emplace_back(measured_step{.step = static_cast<std::size_t>(step)});
    for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
      auto& of_rank = measured.durations.emplace_back();
      const rank_step work = step_of(plan, measured.step, rank);
      for (std::size_t i = 0; i < work.items.size(); ++i) {
        const std::string name = event_name(work.items[i]);
        const auto event = durations.extract({step, static_cast<std::int64_t>(rank), name});
        if (event.empty() && !need_not_run(work, i))
          throw invalid_input(path + ".traceEvents of step " + std::to_string(step) + ", pid", rank,
                              "has no event named " + name);
        of_rank.push_back(event.empty() ? 0 : event.mapped());
      }
    }
  }
  if (!durations.empty()) {
    const auto& [at, rank, name] = durations.begin()->first;
    throw invalid_input(path + ".traceEvents of step " + std::to_string(at) + ", pid", rank,
                        "has an event named " + name + ", which is no item of its program");
  }
  return result;
}

}  // namespace

std::string to_text(const execution_plan& plan, const std::vector<table_input>& inputs) {
  const std::string text = plan_writer(plan, inputs).text();
  return "{\"format\":\"" + std::string(format_name) +
         "\",\"version\":" + std::to_string(written_version) + ",\"sha256\":\"" + sha256(text) +
         "\",\"plan\":" + text + "}\n";
}

execution_plan read_execution_file(const char* source, const std::string& path) {
  return plan_reader(source, path).read();
}

std::vector<measured_step> read_measured_file(const std::string& path, const execution_plan& plan) {
  const json file = read_json_file("--measured", path);
  std::vector<measured_step> steps;
  if (file.is_array())
    steps = read_trace(path, file, plan);
  else if (file.is_object() && file.contains("traceEvents"))
    steps = read_trace(path, file.at("traceEvents"), plan);
  else
    steps = read_lists(path, file, plan);
  if (steps.empty()) throw invalid_input("--measured", path, "holds no measured step");
  return steps;
}

}  // namespace omnibal::cli
