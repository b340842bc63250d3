// SPDX-License-Identifier: Apache-2.0
#include "setup.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/core/error.hpp>

#include "checkpoint.hpp"
#include "costs_file.hpp"
#include "files/files.hpp"
#include "lengths_file.hpp"
#include "profile.hpp"
#include "program_error.hpp"

namespace omnibal::trainer {
namespace {

[[nodiscard]] element_type numbers_of(const program_options& options) {
  return options.precision == name_of(element_type::bf16) ? element_type::bf16 : element_type::f32;
}

/// Costs that were read, if they are those of the model.
[[nodiscard]] std::vector<layer_cost> costs_of_model(const nlohmann::json& json,
                                                     const std::string& source,
                                                     const model_config& model) {
  std::vector<layer_cost> chain = costs_from_json(json, model.numbers, source);
  const std::string& name = model.shape.id;
  if (const std::size_t layers = layer_count(model); chain.size() != layers)
    throw invalid_input(source, chain.size(),
                        "layers: the model " + name + " has " + std::to_string(layers));
  std::int64_t parameters = 0;
  for (const layer_cost& layer : chain) parameters += layer.parameters;
  if (parameters != parameter_count(model))
    throw invalid_input(source, parameters,
                        "parameters: the model " + name + " has " +
                            std::to_string(parameter_count(model)) + " with these samples");
  return chain;
}

[[nodiscard]] nlohmann::json read_costs(const std::string& path) {
  const cli::file_bytes file("--costs", path);
  nlohmann::json json = nlohmann::json::parse(file.view(), nullptr, false);
  if (json.is_discarded())
    throw invalid_input("--costs", path, "is no JSON: remove it to measure again");
  return json;
}

[[nodiscard]] std::vector<layer_cost> costs_for(const program_options& options,
                                                const std::filesystem::path& resume,
                                                const std::vector<sample_lengths>& lengths) {
  const model_config model = model_of(options, lengths);
  if (!resume.empty()) {
    const run_position position = read_position(resume);
    require_same("precision", position.precision, std::string(name_of(model.numbers)));
    if (!position.costs.empty()) return costs_of_model(position.costs, resume.string(), model);
  }
  if (reads_costs(options)) return costs_of_model(read_costs(options.costs), options.costs, model);
  auto chain =
      measured_chain(model, task_of(options, lengths), {.replicas = options.shape.replicas});
  if (!options.costs.empty())
    cli::write_file(options.costs, costs_to_json(chain, model.numbers).dump(1) + "\n");
  return chain;
}

[[nodiscard]] nlohmann::json first_setup(const program_options& options) {
  try {
    std::vector<sample_lengths> lengths;
    if (!options.lengths.tables.files.empty()) lengths = read_lengths(options.lengths);
    const std::filesystem::path resume =
        options.resume.empty() ? "" : newest_checkpoint(options.resume);
    if (!options.checkpoint.empty())
      require_none_later(options.checkpoint, resume.empty() ? 0 : read_position(resume).steps);
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& [tiles, text] : lengths) rows.push_back({tiles, text});
    return {{"lengths", std::move(rows)},
            {"resume", resume.string()},
            {"costs", costs_to_json(costs_for(options, resume, lengths), numbers_of(options))}};
  } catch (const std::exception& error) {
    return {{"status", status_of(error)}, {"error", reason_of(error)}};
  }
}

}  // namespace

model_config model_of(const program_options& options, const std::vector<sample_lengths>& lengths) {
  model_config model = model_of(options.size, vocabulary_of(lengths));
  const auto* const frozen = std::ranges::find(frozen_names, options.freeze);
  model.frozen = static_cast<frozen_part>(frozen - frozen_names.begin());
  model.fused_attention = options.attention == "cudnn";
  model.numbers = numbers_of(options);
  return model;
}

picture_task task_of(const program_options& options, const std::vector<sample_lengths>& lengths) {
  const model_config model = model_of(options, lengths);
  return picture_task({.seed = options.shape.seed,
                       .tile_side = model.tiles.side,
                       .image_rows_per_tile = model.tiles.image_rows(),
                       .blind = options.blind,
                       .lengths = lengths});
}

run_setup make_setup(const program_options& options, training_ranks& ranks) {
  const nlohmann::json made =
      nlohmann::json::parse(ranks.from_first([&] { return first_setup(options).dump(); }));
  if (made.contains("error")) throw program_error(made.at("status"), made.at("error"));
  run_setup setup{.resume = made.at("resume").get<std::string>(),
                  .costs = costs_from_json(made.at("costs"), numbers_of(options),
                                           "costs of the first process")};
  for (const nlohmann::json& row : made.at("lengths"))
    setup.lengths.push_back({.tiles = row.at(0), .text = row.at(1)});
  describe_layers(setup.costs, model_of(options, setup.lengths), options.shape.replicas);
  return setup;
}

}  // namespace omnibal::trainer
