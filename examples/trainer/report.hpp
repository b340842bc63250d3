// SPDX-License-Identifier: Apache-2.0
/// @file
/// The result of a run as JSON, and the line that shows its progress.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <omnibal/core/hash.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "model.hpp"
#include "strategy_run.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer {

/// A fingerprint of what ranks execute: stages, recompute kinds, packs, their assignment, and the
/// items in their order; not of predicted times.
[[nodiscard]] std::uint64_t fingerprint(const execution_plan& plan);

/// A strategy as JSON; docs/trainer.md describes the keys.
[[nodiscard]] nlohmann::json to_json(const strategy_report& report, const training_plan& planned);

/// Floating-point operations of the matrix products of a step: forward, and twice that backward.
[[nodiscard]] double model_operations(const model_config& model, const workload& work);

/// The mean of the last ten losses, or of all if they are fewer.
[[nodiscard]] double final_loss(const std::vector<double>& losses);

/// The number of steps after which the mean of the last ten losses was at most this for the first
/// time; 0 if it never was.
[[nodiscard]] std::size_t steps_to_loss(const std::vector<double>& losses, double loss);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

[[nodiscard]] inline std::string hexadecimal(std::uint64_t number) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(number));
  return text.data();
}

[[nodiscard]] inline nlohmann::json to_json(const rank_report& rank,
                                            std::int64_t planned_peak_bytes) {
  return {
      {"peak_bytes", rank.parameter_bytes + rank.peak_activation_bytes},
      {"predicted_peak_bytes", rank.parameter_bytes + rank.predicted_peak_activation_bytes},
      {"planned_peak_bytes", planned_peak_bytes},
      {"peak_saved_bytes", rank.peak_saved_bytes},
      {"predicted_peak_saved_bytes", rank.predicted_peak_saved_bytes},
      {"parameter_bytes", rank.parameter_bytes},
      {"peak_message_bytes", rank.peak_message_bytes},
      {"busy", static_cast<double>(rank.busy) * 1e-9},
      {"bubble",
       rank.time == 0 ? 0 : 1 - static_cast<double>(rank.busy) / static_cast<double>(rank.time)}};
}

[[nodiscard]] inline nlohmann::json stages_json(const execution_plan& plan) {
  nlohmann::json stages = nlohmann::json::array();
  for (const execution_stage& stage : plan.stages) {
    nlohmann::json layers = nlohmann::json::array();
    for (std::uint32_t l = stage.first_layer; l < stage.end_layer; ++l)
      layers.push_back({{"name", plan.layers[l].name}, {"mode", plan.layers[l].mode}});
    stages.push_back({{"device", stage.device}, {"layers", std::move(layers)}});
  }
  return stages;
}

}  // namespace detail

inline std::uint64_t fingerprint(const execution_plan& plan) {
  hash_stream hash;
  add_to_hash(hash, std::string_view(plan.schedule));
  for (const execution_stage& stage : plan.stages)
    for (const std::uint32_t number : {stage.device, stage.first_layer, stage.end_layer})
      add_to_hash(hash, number);
  for (const execution_layer& layer : plan.layers) add_to_hash(hash, layer.kind);
  const auto add_groups = [&](const grouping<std::uint32_t>& groups) {
    for (std::size_t g = 0; g < groups.size(); ++g) {
      add_to_hash(hash, groups[g].size());
      for (const std::uint32_t index : groups[g]) add_to_hash(hash, index);
    }
  };
  add_groups(plan.packs);
  add_groups(plan.assignment);
  for (const std::uint32_t program : plan.program_of)
    for (std::size_t device = 0; device < plan.devices; ++device)
      for (const execution_item& item : items_of(plan, program, device)) {
        add_to_hash(hash, item.kind);
        add_to_hash(hash, item.stage);
        add_to_hash(hash, item.microbatch);
      }
  return hash.value();
}

inline nlohmann::json to_json(const strategy_report& report, const training_plan& planned) {
  const execution_plan& plan = planned.plan;
  nlohmann::json ranks = nlohmann::json::array();
  for (std::size_t r = 0; r < report.ranks.size(); ++r)
    ranks.push_back(detail::to_json(report.ranks[r], plan.peak_memory[r % plan.devices]));
  nlohmann::json ablation = nlohmann::json::array();
  for (const ablation_row& row : planned.ablation)
    ablation.push_back({{"name", row.name},
                        {"fits", row.fits},
                        {"predicted_seconds", static_cast<double>(row.epoch_time) * 1e-9}});
  const held_out_result& held_out = report.ranks[0].held_out;
  return {{"strategy", strategy_names[static_cast<std::size_t>(report.how)]},
          {"planned", detail::hexadecimal(fingerprint(plan))},
          {"schedule", plan.schedule},
          {"pp", plan.devices},
          {"dp", plan.replicas},
          {"capacity", {{"tiles", planned.capacity[0]}, {"tokens", planned.capacity[1]}}},
          {"stages", detail::stages_json(plan)},
          {"steps", report.ranks[0].losses.size()},
          {"loss", report.ranks[0].losses},
          {"held_out", {{"samples", held_out.samples}, {"exact", held_out.exact}}},
          {"ranks", std::move(ranks)},
          {"step_seconds", report.step_seconds},
          {"seconds", report.seconds},
          {"replayed_seconds", report.replayed_seconds},
          {"predicted_seconds", report.predicted_seconds},
          {"tokens_per_second", report.tokens_per_second},
          {"bubble",
           {{"predicted", report.bubble.predicted},
            {"replayed", report.bubble.replayed},
            {"measured", report.bubble.measured}}},
          {"skew", report.skew},
          {"pad_ratio", planned.pad_ratio},
          {"ablation", std::move(ablation)}};
}

inline double model_operations(const model_config& model, const workload& work) {
  const vision_shape& vision = model.shape.vision;
  const language_shape& language = model.shape.language;
  const std::int64_t of_tile =
      vision.layers * vision_matrix_flops(vision) + projector_flops(model.shape);
  const std::int64_t of_token =
      language.layers * language_matrix_flops(language) + head_flops(language);
  return 3.0 * (static_cast<double>(of_tile) * static_cast<double>(work.tiles) +
                static_cast<double>(of_token) * static_cast<double>(work.tokens));
}

namespace detail {

/// Of the ten losses before this step.
[[nodiscard]] inline double mean_before(const std::vector<double>& losses, std::size_t end) {
  const std::size_t count = std::min<std::size_t>(10, end);
  double sum = 0;
  for (std::size_t i = end - count; i < end; ++i) sum += losses[i];
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace detail

inline double final_loss(const std::vector<double>& losses) {
  return detail::mean_before(losses, losses.size());
}

inline std::size_t steps_to_loss(const std::vector<double>& losses, double loss) {
  for (std::size_t end = std::min<std::size_t>(10, losses.size()); end <= losses.size(); ++end)
    if (end > 0 && detail::mean_before(losses, end) <= loss) return end;
  return 0;
}

}  // namespace omnibal::trainer
