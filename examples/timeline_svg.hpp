// SPDX-License-Identifier: Apache-2.0
/// @file
/// A simulated pipeline step as a picture: one row a device, one bar an operation, idle time left
/// empty. Several steps may stand one above the other on the same scale, to be compared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <omnibal/pipeline/operation_graph.hpp>

namespace omnibal::examples {

/// A bar of a timeline.
struct timeline_bar {
  std::size_t device = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t recomputed = 0;  ///< How much of it, from its begin, is recomputation.
  pipeline_operation work = {};
};

struct timeline {
  std::string title = {};
  std::size_t devices = 0;
  std::vector<timeline_bar> bars = {};

  [[nodiscard]] std::int64_t end() const {
    std::int64_t last = 0;
    for (const timeline_bar& bar : bars) last = std::max(last, bar.end);
    return last;
  }
};

namespace detail {

inline constexpr double width = 1000;
inline constexpr double row_height = 22;
inline constexpr double title_height = 30;
inline constexpr double margin = 80;

inline void draw_rectangle(std::ostream& svg, double x, double y, double w, const char* color) {
  svg << "<rect x='" << x << "' y='" << y << "' width='" << std::max(w, 0.2) << "' height='"
      << row_height - 3 << "' fill='" << color << "' stroke='#fff' stroke-width='0.4'/>\n";
}

inline void draw_text(std::ostream& svg, double x, double y, const std::string& text,
                      const char* style = "") {
  svg << "<text x='" << x << "' y='" << y << "' " << style << ">" << text << "</text>\n";
}

/// Draws one timeline with its upper edge at `top`; returns its lower edge.
inline double draw_timeline(std::ostream& svg, const timeline& one, double top, double scale) {
  static constexpr const char* colors[] = {"#4477aa", "#88bb77", "#ccbb44"};
  draw_text(svg, margin, top + 18, one.title, "font-weight='bold'");
  const double first_row = top + title_height;
  for (std::size_t device = 0; device < one.devices; ++device) {
    const double y = first_row + row_height * static_cast<double>(device);
    draw_text(svg, 4, y + 14, "device " + std::to_string(device));
    draw_rectangle(svg, margin, y, static_cast<double>(one.end()) * scale, "#eeeeee");
  }
  for (const timeline_bar& bar : one.bars) {
    const double x = margin + static_cast<double>(bar.begin) * scale;
    const double y = first_row + row_height * static_cast<double>(bar.device);
    draw_rectangle(svg, x, y, static_cast<double>(bar.end - bar.begin) * scale,
                   colors[static_cast<std::size_t>(bar.work.kind)]);
    if (bar.recomputed > 0)
      draw_rectangle(svg, x, y, static_cast<double>(bar.recomputed) * scale, "#cc6677");
  }
  return first_row + row_height * static_cast<double>(one.devices) + 10;
}

/// The colours in use, and their names.
inline void draw_legend(std::ostream& svg, double top, bool splits_backward) {
  struct entry {
    const char* name;
    const char* color;
  };
  double x = margin;
  for (const auto& [name, color] : {entry{"forward", "#4477aa"}, entry{"backward", "#88bb77"},
                                    entry{"weight gradient", "#ccbb44"},
                                    entry{"recomputation", "#cc6677"}, entry{"idle", "#eeeeee"}}) {
    if (!splits_backward && color == std::string("#ccbb44")) continue;
    draw_rectangle(svg, x, top, 18, color);
    draw_text(svg, x + 24, top + 14, name);
    x += 150;
  }
}

}  // namespace detail

/// The timelines as an SVG document, all on the scale of the longest.
[[nodiscard]] inline std::string timelines_svg(const std::vector<timeline>& timelines) {
  std::int64_t longest = 1;
  double height = 40;
  for (const timeline& one : timelines) {
    longest = std::max(longest, one.end());
    height += detail::title_height + detail::row_height * static_cast<double>(one.devices) + 10;
  }
  const double scale = (detail::width - detail::margin - 10) / static_cast<double>(longest);
  std::ostringstream svg;
  svg.setf(std::ios::fixed);
  svg.precision(2);
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << detail::width << " " << height
      << "' font-family='sans-serif' font-size='13'>\n<rect width='100%' height='100%' "
         "fill='#fff'/>\n";
  double top = 0;
  bool splits_backward = false;
  for (const timeline& one : timelines) {
    top = detail::draw_timeline(svg, one, top, scale);
    for (const timeline_bar& bar : one.bars)
      splits_backward = splits_backward || bar.work.kind == operation_kind::weight_gradient;
  }
  detail::draw_legend(svg, top + 8, splits_backward);
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace omnibal::examples
