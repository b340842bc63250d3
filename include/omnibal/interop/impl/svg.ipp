// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <omnibal/config.hpp>
#include <omnibal/interop/svg.hpp>
#include <omnibal/interop/svg_drawing.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/timeline.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline constexpr double svg_row_height = 22;
inline constexpr double svg_bar_height = svg_row_height - 3;
inline constexpr double svg_title_height = 30;
inline constexpr double svg_margin = 80;
inline constexpr double svg_gap = 10;  ///< Below a timeline, and to its right.

inline constexpr std::string_view svg_idle_color = "#eeeeee";
inline constexpr std::string_view svg_recomputation_color = "#cc6677";

[[nodiscard]] inline std::string_view svg_color(operation_kind kind) noexcept {
  switch (kind) {
    case operation_kind::forward: return "#4477aa";
    case operation_kind::backward: return "#88bb77";
    case operation_kind::weight_gradient: break;
  }
  return "#ccbb44";
}

/// Draws one timeline with its upper edge at `top`.
inline void draw_timeline(svg_drawing& svg, const timeline& step, double top, double scale) {
  svg.text(svg_margin, top + 18, step.title, "font-weight='bold'");
  const auto row = [&](std::size_t device) {
    return top + svg_title_height + svg_row_height * static_cast<double>(device);
  };
  const double width = static_cast<double>(step.end()) * scale;
  for (std::size_t device = 0; device < step.devices; ++device) {
    svg.text(4, row(device) + 14, "device " + std::to_string(device));
    svg.rectangle(svg_margin, row(device), width, svg_bar_height, svg_idle_color);
  }
  for (const timeline_bar& bar : step.bars) {
    const double x = svg_margin + static_cast<double>(bar.begin) * scale;
    svg.rectangle(x, row(bar.device), static_cast<double>(bar.end - bar.begin) * scale,
                  svg_bar_height, svg_color(bar.work.kind));
    if (bar.recomputed > 0)
      svg.rectangle(x, row(bar.device), static_cast<double>(bar.recomputed) * scale, svg_bar_height,
                    svg_recomputation_color);
  }
}

inline void draw_legend(svg_drawing& svg, double top, bool splits_backward) {
  double x = svg_margin;
  const auto entry = [&](std::string_view name, std::string_view color) {
    svg.rectangle(x, top, 18, svg_bar_height, color);
    svg.text(x + 24, top + 14, name);
    x += 150;
  };
  entry("forward", svg_color(operation_kind::forward));
  entry("backward", svg_color(operation_kind::backward));
  if (splits_backward) entry("weight gradient", svg_color(operation_kind::weight_gradient));
  entry("recomputation", svg_recomputation_color);
  entry("idle", svg_idle_color);
}

[[nodiscard]] inline bool splits_backward(std::span<const timeline> timelines) {
  return std::ranges::any_of(timelines, [](const timeline& step) {
    return std::ranges::any_of(step.bars, [](const timeline_bar& bar) {
      return bar.work.kind == operation_kind::weight_gradient;
    });
  });
}

}  // namespace detail

OMNIBAL_INLINE std::string timelines_svg(std::span<const timeline> timelines) {
  using namespace detail;
  std::int64_t longest = 1;
  for (const timeline& step : timelines) longest = std::max(longest, step.end());
  const double scale = (svg_width - svg_margin - svg_gap) / static_cast<double>(longest);
  svg_drawing svg;
  double top = 0;
  for (const timeline& step : timelines) {
    draw_timeline(svg, step, top, scale);
    top += svg_title_height + svg_row_height * static_cast<double>(step.devices) + svg_gap;
  }
  draw_legend(svg, top + 8, splits_backward(timelines));
  return std::move(svg).document(top + 40);
}

}  // namespace omnibal::inline v0
