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
#include <vector>

namespace omnibal::trainer {

struct loss_curve {
  std::string name = {};  ///< Without characters that mean something in XML.
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

[[nodiscard]] inline std::string svg_text(double x, double y, const std::string& text,
                                          std::string_view style) {
  return "<text x='" + decimal(x, 1) + "' y='" + decimal(y, 1) + "' " + std::string(style) + ">" +
         text + "</text>\n";
}

[[nodiscard]] inline std::string axes_svg(const loss_axes& axes) {
  std::string text;
  for (const double share : {0.0, 0.5, 1.0}) {
    const std::string y = decimal(axes.y(share * axes.most), 1);
    text += "<line x1='" + decimal(axes.left, 1) + "' x2='" + decimal(axes.right, 1) + "' y1='" +
            y + "' y2='" + y + "' stroke='#ddd'/>\n";
    text += svg_text(axes.left - 6, axes.y(share * axes.most) + 4, decimal(share * axes.most, 2),
                     "text-anchor='end'");
    text += svg_text(axes.x(share * axes.steps), axes.bottom + 18, decimal(share * axes.steps, 0),
                     "text-anchor='middle'");
  }
  return text;
}

/// Means of equally many neighbours, as points.
[[nodiscard]] inline std::string curve_svg(const loss_axes& axes, const std::vector<double>& losses,
                                           std::string_view color) {
  const std::size_t each = (losses.size() + most_points - 1) / most_points;
  std::string points;
  for (std::size_t begin = 0; begin < losses.size(); begin += each) {
    const std::size_t end = std::min(begin + each, losses.size());
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += losses[i];
    const double middle = static_cast<double>(begin + end + 1) / 2;
    points += decimal(axes.x(middle), 1) + "," +
              decimal(axes.y(sum / static_cast<double>(end - begin)), 1) + " ";
  }
  return "<polyline fill='none' stroke-width='1.5' stroke='" + std::string(color) + "' points='" +
         points + "'/>\n";
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
  std::string text =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1000 300' "
      "font-family='sans-serif' font-size='13'>\n" +
      detail::axes_svg(axes);
  double x = axes.left;
  for (std::size_t i = 0; i < curves.size(); ++i, x += 150) {
    const std::string color(detail::curve_colors[i % detail::curve_colors.size()]);
    text += detail::curve_svg(axes, curves[i].losses, color);
    text += detail::svg_text(x, axes.bottom + 36, curves[i].name, "fill='" + color + "'");
  }
  return text + "</svg>\n";
}

}  // namespace omnibal::trainer
