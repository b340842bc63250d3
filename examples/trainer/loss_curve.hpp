// SPDX-License-Identifier: Apache-2.0
/// @file
/// Losses over the steps of a run as a picture.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/interop/svg_drawing.hpp>

namespace omnibal::trainer {

struct loss_curve {
  std::string name = {};
  std::vector<double> losses = {};
};

/// All curves on one scale, as an SVG document. Curves of many steps are drawn by means of
/// neighbours. O(steps).
[[nodiscard]] std::string losses_svg(std::span<const loss_curve> curves);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

inline constexpr std::size_t most_points = 400;
inline constexpr std::array<std::string_view, 4> curve_colors = {"#cc6677", "#ccbb44", "#4477aa",
                                                                 "#228833"};

/// Where the picture has its axes.
struct loss_axes {
  static constexpr double left = 60, right = 980, top = 20, bottom = 260;

  double steps = 1;
  double most = 1;

  [[nodiscard]] double x(double step) const { return left + (right - left) * step / steps; }
  [[nodiscard]] double y(double loss) const { return bottom - (bottom - top) * loss / most; }
};

[[nodiscard]] inline std::string decimal(double value, int digits) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

inline void draw_axes(svg_drawing& svg, const loss_axes& axes) {
  for (const double share : {0.0, 0.5, 1.0}) {
    const double y = axes.y(share * axes.most);
    svg.line(axes.left, axes.right, y, "#ddd");
    svg.text(axes.left - 6, y + 4, decimal(share * axes.most, 2), "text-anchor='end'");
    svg.text(axes.x(share * axes.steps), axes.bottom + 18, decimal(share * axes.steps, 0),
             "text-anchor='middle'");
  }
}

/// Means of equally many neighbours.
[[nodiscard]] inline std::vector<svg_point> points_of(const loss_axes& axes,
                                                      const std::vector<double>& losses) {
  const std::size_t each = (losses.size() + most_points - 1) / most_points;
  std::vector<svg_point> points;
  for (std::size_t begin = 0; begin < losses.size(); begin += each) {
    const std::size_t end = std::min(begin + each, losses.size());
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += losses[i];
    if (!std::isfinite(sum)) continue;
    points.push_back({.x = axes.x(static_cast<double>(begin + end + 1) / 2),
                      .y = axes.y(sum / static_cast<double>(end - begin))});
  }
  return points;
}

}  // namespace detail

inline std::string losses_svg(std::span<const loss_curve> curves) {
  detail::loss_axes axes{.most = 0};
  for (const loss_curve& curve : curves) {
    axes.steps = std::max(axes.steps, static_cast<double>(curve.losses.size()));
    for (const double loss : curve.losses)
      if (std::isfinite(loss)) axes.most = std::max(axes.most, loss);
  }
  if (axes.most <= 0) axes.most = 1;
  svg_drawing svg;
  detail::draw_axes(svg, axes);
  double x = axes.left;
  for (std::size_t i = 0; i < curves.size(); ++i, x += 150) {
    const std::string color(detail::curve_colors[i % detail::curve_colors.size()]);
    svg.curve(detail::points_of(axes, curves[i].losses), color);
    svg.text(x, axes.bottom + 36, curves[i].name, "fill='" + color + "'");
  }
  return std::move(svg).document(300);
}

}  // namespace omnibal::trainer
