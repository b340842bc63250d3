// SPDX-License-Identifier: Apache-2.0
#include "commands/plan_costs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/calibration.hpp>

#include "errors.hpp"
#include "files/given_names.hpp"
#include "files/model_file.hpp"
#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

/// Names of layers without their numbers, each once, in the order of their first layer.
std::string names_once(const std::vector<std::string>& layers) {
  std::vector<std::string> seen;
  for (const std::string& layer : layers)
    if (std::string name(name_without_number(layer));
        std::find(seen.begin(), seen.end(), name) == seen.end())
      seen.push_back(std::move(name));
  std::string text;
  for (const std::string& name : seen) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string size_text(const workload& work) {
  return value_text(work.tiles) + " tiles or " + value_text(work.tokens) + " tokens";
}

/// What is padded so that the devices can share it; empty if nothing is.
std::string padding_text(const model_shape& model, const model_shape& padded) {
  std::string text;
  const auto add = [&](const char* what, std::int64_t from, std::int64_t to) {
    if (from != to)
      text += fmt::format("{}{} from {} to {}", text.empty() ? "" : ", ", what, value_text(from),
                          value_text(to));
  };
  add("attention heads of vision layers", model.vision.heads, padded.vision.heads);
  add("vocabulary", model.language.vocabulary, padded.language.vocabulary);
  return text;
}

}  // namespace

chain_costs cost_source::costs(const training_setup& setup) const {
  if (!profile) return cost_chain({.model = model, .device = device, .setup = setup});
  return with_given_names(profile_keys(), profile->name + ": ", [&] {
    return cost_chain(
        {.model = model, .device = device, .setup = setup, .profile = profile->profile});
  });
}

double cost_source::margin(const std::optional<double>& asked) const {
  if (asked) return *asked;
  if (!profile) return 0.0;
  const double suggested = suggested_margin(profile->profile.fits);
  if (suggested > 1.0)
    throw usage_error(profile->name +
                      ": measured bytes are more than twice the fitted ones; look for rows that "
                      "contradict each other with omnibal calibrate, or give --margin");
  return suggested;
}

std::vector<std::string> cost_source::describe(const chain_costs& costs,
                                               const workload& largest) const {
  if (!profile) return {"times come from FLOPs and achieved rates, not from measured layers"};
  std::vector<std::string> lines = {"times and activations of layers are fitted to " +
                                    value_text(profile->profile.measurements) +
                                    " measurements of " + profile->name};
  if (!costs.partly.empty())
    lines.push_back("of " + names_once(costs.partly) +
                    " only a part was measured; the rest comes from FLOPs and achieved rates");
  if (!costs.analytic.empty())
    lines.push_back("of " + names_once(costs.analytic) +
                    " nothing was measured; their costs come from FLOPs and achieved rates");
  if (is_extrapolated(profile->profile, largest))
    lines.push_back("packs hold up to " + size_text(largest) + ", more than the " +
                    size_text(profile->profile.largest) +
                    " that were measured: costs are extrapolated");
  lines.emplace_back(
      "bytes of weights, gradients and optimizer, and times between stages and once per step, "
      "are predicted");
  return lines;
}

std::vector<std::string> cost_source::describe_division(const chain_costs& costs,
                                                        std::int64_t tensor_parallel) const {
  const model_division& division = costs.division;
  std::vector<std::string> lines;
  if (const auto padding = padding_text(model, division.padded); !padding.empty())
    lines.push_back(
        fmt::format("tp {} pads as Megatron-LM does: {}; predicted times and bytes are those of "
                    "the padded sizes",
                    tensor_parallel, padding));
  if (division.shares_key_heads)
    lines.push_back(
        fmt::format("tp {} is more than the {} key-value heads: as in Megatron-LM, every device "
                    "gathers queries, "
                    "keys and values, and keeps one head of keys",
                    tensor_parallel, model.language.kv_heads));
  if (division.spans_nodes)
    lines.push_back(fmt::format(
        "warning: tp {} spans nodes of {} devices: activations are reduced at the network's {:.1f} "
        "GB/s, not at {:.0f}",
        tensor_parallel, device.devices_per_node, division.bandwidth * 1e-9,
        device.tensor_parallel_bandwidth * 1e-9));
  else if (division.idle_devices > 0)
    lines.push_back(fmt::format(
        "warning: tp {} does not divide the {} devices of a node: times are those of groups within "
        "nodes, which leave {} devices of each idle",
        tensor_parallel, device.devices_per_node, division.idle_devices));
  return lines;
}

cost_source read_costs(const plan_arguments& arguments) {
  cost_source costs{.model = find_model(arguments.model), .device = find_device(arguments.device)};
  if (arguments.devices_per_node > 0) costs.device.devices_per_node = arguments.devices_per_node;
  if (!arguments.profile.empty()) costs.profile = read_profile(arguments.profile);
  if (arguments.devices > 0 && costs.profile && !costs.profile->profile.tensor_parallel)
    throw usage_error(
        arguments.profile +
        ": tp is missing: --gpus needs the tensor parallelism at which layers were measured");
  return costs;
}

}  // namespace omnibal::cli
