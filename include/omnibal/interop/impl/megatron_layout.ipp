// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/recompute/extreme_modes.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The kinds of all layers, in the order that Megatron-LM has them.
[[nodiscard]] inline std::vector<layer_kind> megatron_parts(const pipeline_problem& problem) {
  std::vector<layer_kind> parts;
  for (std::size_t l = 0; l < problem.layers.size(); ++l) {
    parts.push_back(problem.layers[l].kind);
    if (parts.back() == layer_kind::custom)
      throw invalid_input("layers[].kind", l, "custom, of the layer " + problem.layers[l].name,
                          "must be vision, projector, embedding, language or head to have a place "
                          "in Megatron-LM's layout");
  }
  for (const layer_kind part : {layer_kind::embedding, layer_kind::head})
    if (std::ranges::count(parts, part) != 1)
      throw invalid_input("layers[].kind", to_string(part),
                          "must be the kind of exactly one layer");
  if (!std::ranges::is_sorted(parts))
    throw invalid_input("layers[].kind", "vision, projector, embedding, language, head",
                        "must be the order of the layers");
  return parts;
}

/// The number of layers of a part on a virtual stage.
[[nodiscard]] inline std::size_t count_of(layer_kind part, const std::vector<layer_kind>& parts,
                                          const std::vector<std::size_t>& cuts, std::size_t stage) {
  const auto at = [&](std::size_t cut) {
    return parts.begin() + static_cast<std::ptrdiff_t>(cuts[cut]);
  };
  return static_cast<std::size_t>(std::count(at(stage), at(stage + 1), part));
}

[[nodiscard]] inline std::string layout_string(const std::vector<layer_kind>& parts,
                                               const std::vector<std::size_t>& cuts) {
  std::string text;
  for (std::size_t j = 0; j + 1 < cuts.size(); ++j) {
    if (j > 0) text += '|';
    const auto count = [&](layer_kind part) { return count_of(part, parts, cuts, j); };
    if (count(layer_kind::embedding) > 0) text += 'E';
    if (const auto layers = count(layer_kind::language); layers > 0)
      text += layers == 1 ? "t" : "t*" + std::to_string(layers);
    if (count(layer_kind::head) > 0) text += 'L';
  }
  return text;
}

/// The modes if the first `count` layers of every block recompute fully: the vision layers and the
/// language layers of a virtual stage are a block each.
[[nodiscard]] inline std::vector<std::size_t> megatron_modes(const pipeline_problem& problem,
                                                             const std::vector<layer_kind>& parts,
                                                             const std::vector<std::size_t>& cuts,
                                                             std::size_t count) {
  std::vector<std::size_t> modes(problem.layers.size(), 0);
  for (std::size_t j = 0; j + 1 < cuts.size(); ++j) {
    std::size_t in_block = 0;
    for (std::size_t l = cuts[j]; l < cuts[j + 1]; ++l) {
      if (l == cuts[j] || parts[l] != parts[l - 1]) in_block = 0;
      const std::size_t none = bare_mode(problem.layers[l]);
      const bool of_block = parts[l] == layer_kind::vision || parts[l] == layer_kind::language;
      modes[l] = of_block && in_block++ < count
                     ? mode_of_kind(problem.layers[l].modes, recompute_kind::full).value_or(none)
                     : none;
    }
  }
  return modes;
}

/// Chooses the number of layers of least makespan among those that fit, or of least overrun.
inline void choose_recomputed_layers(const pipeline_problem& problem,
                                     const std::vector<layer_kind>& parts,
                                     const std::vector<std::size_t>& cuts,
                                     megatron_layout& result) {
  const auto rank = [](const evaluated_plan& one) {
    return std::pair(one.bytes_over, one.makespan);
  };
  std::vector<std::size_t> before;
  for (std::size_t count = 0; count <= problem.layers.size(); ++count) {
    std::vector<std::size_t> modes = megatron_modes(problem, parts, cuts, count);
    if (modes == before) return;  // Every block recomputes as a whole.
    before = modes;
    evaluated_plan next =
        evaluate_plan(problem, "Megatron-LM", {.cuts = cuts, .modes = std::move(modes)});
    if (count > 0 && rank(next) >= rank(result.evaluated)) continue;
    result.recomputed_layers = count;
    result.evaluated = std::move(next);
  }
}

[[nodiscard]] inline std::string share_longer(std::int64_t time, std::int64_t than) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%",
                100.0 * (static_cast<double>(time) / static_cast<double>(than) - 1.0));
  return text;
}

inline void warn_of_parts(const std::vector<layer_kind>& parts,
                          const std::vector<std::size_t>& cuts, megatron_layout& result) {
  const auto outside = [](layer_kind part) { return part < layer_kind::embedding; };
  if (std::ranges::none_of(parts, outside)) return;
  result.warnings.emplace_back(
      "the layout has no symbol for vision layers and the projector: the trainer must build them "
      "on the stages where the plan has them, which the layout leaves empty or shares");
  const auto embedding = std::ranges::find(parts, layer_kind::embedding) - parts.begin();
  if (static_cast<std::size_t>(embedding) >= cuts[1])
    result.warnings.emplace_back(
        "the embedding is not on the first stage, where Megatron-LM's language model expects to "
        "begin: the trainer must hand it the image embeddings there");
}

inline void warn_of_modes(const pipeline_problem& problem, const pipeline_plan& plan,
                          megatron_layout& result) {
  if (result.evaluated.bytes_over > 0)
    result.warnings.push_back("no number of recomputed layers fits the memory of every stage: " +
                              std::to_string(result.evaluated.bytes_over) + " bytes are short");
  if (plan.modes == result.evaluated.plan.modes) return;
  const std::int64_t planned = makespan(problem.schedule, stage_costs(problem, plan));
  result.warnings.push_back(
      "one number of recomputed layers holds for every stage and recomputes them fully: a step "
      "takes " +
      (planned > 0 ? share_longer(result.evaluated.makespan, planned) : std::string("none")) +
      " longer than with the plan's own recomputation");
}

inline void warn_of_schedule(const schedule_shape& schedule, megatron_layout& result) {
  if (schedule.kind.capabilities().in_megatron_lm) return;
  result.warnings.push_back("Megatron-LM runs 1f1b or interleaved schedules, not " +
                            std::string(schedule.kind.name()) +
                            ": its times and memory will be others");
}

}  // namespace detail

OMNIBAL_INLINE megatron_layout to_megatron_layout(const pipeline_problem& problem,
                                                  const pipeline_plan& plan) {
  validate(problem);
  validate(problem, plan);
  const std::vector<layer_kind> parts = detail::megatron_parts(problem);
  megatron_layout result{.layout = detail::layout_string(parts, plan.cuts)};
  for (std::size_t j = 0; j + 1 < plan.cuts.size(); ++j)
    result.vision_layers.push_back(detail::count_of(layer_kind::vision, parts, plan.cuts, j));
  detail::choose_recomputed_layers(problem, parts, plan.cuts, result);

  result.arguments = {"--num-layers",
                      std::to_string(std::ranges::count(parts, layer_kind::language)),
                      "--pipeline-model-parallel-size",
                      std::to_string(problem.schedule.stages),
                      "--pipeline-model-parallel-layout",
                      result.layout};
  if (result.recomputed_layers > 0)
    result.arguments.insert(result.arguments.end(),
                            {"--recompute-granularity", "full", "--recompute-method", "block",
                             "--recompute-num-layers", std::to_string(result.recomputed_layers)});
  detail::warn_of_parts(parts, plan.cuts, result);
  detail::warn_of_modes(problem, plan, result);
  detail::warn_of_schedule(problem.schedule, result);
  return result;
}

}  // namespace omnibal::inline v0
