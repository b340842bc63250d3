// SPDX-License-Identifier: Apache-2.0
/// @file
/// A picture as an SVG document: rectangles, lines, curves and text.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <omnibal/config.hpp>
#include <omnibal/core/utf8.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// With two decimals, whatever the locale.
[[nodiscard]] inline std::string svg_number(double value) {
  const long long hundredths = std::llround(value * 100);
  const std::string fraction = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + (fraction.size() < 2 ? ".0" : ".") + fraction;
}

/// Without control characters, which have no place in XML; U+FFFD for a byte that is not UTF-8.
[[nodiscard]] inline std::string svg_escaped(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t size = utf8_character_size(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, size));
    switch (character.front()) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      default:
        if (size == 0)
          escaped += "\xEF\xBF\xBD";
        else if (static_cast<unsigned char>(character.front()) >= 0x20)
          escaped += character;
    }
    text.remove_prefix(character.size());
  }
  return escaped;
}

}  // namespace detail

/// The width of a picture.
inline constexpr double svg_width = 1000;

/// A place in a picture: to the right and down from its upper left corner.
struct svg_point {
  double x = 0;
  double y = 0;
};

/// A picture as it is drawn, one thing over the other. Lengths are in units of which a picture is
/// svg_width wide; places are not negative. Colors are those of CSS; they and styles, attributes of
/// SVG, are written as they are given. O(1) per call, O(points) for curves.
class svg_drawing {
 public:
  /// Of at least a fifth of a unit, so that it is seen.
  void rectangle(double x, double y, double width, double height, std::string_view color) {
    text_ += "<rect x='" + detail::svg_number(x) + "' y='" + detail::svg_number(y) + "' width='" +
             detail::svg_number(std::max(width, 0.2)) + "' height='" + detail::svg_number(height) +
             "' fill='" + std::string(color) + "' stroke='#fff' stroke-width='0.4'/>\n";
  }
  /// Content may have any characters; bytes are taken as UTF-8.
  void text(double x, double y, std::string_view content, std::string_view style = "") {
    text_ += "<text x='" + detail::svg_number(x) + "' y='" + detail::svg_number(y) + "' " +
             std::string(style) + ">" + detail::svg_escaped(content) + "</text>\n";
  }
  /// From x to `end`, at the height y.
  void line(double x, double end, double y, std::string_view color) {
    text_ += "<line x1='" + detail::svg_number(x) + "' x2='" + detail::svg_number(end) + "' y1='" +
             detail::svg_number(y) + "' y2='" + detail::svg_number(y) + "' stroke='" +
             std::string(color) + "'/>\n";
  }
  /// From point to point.
  void curve(std::span<const svg_point> points, std::string_view color) {
    text_ +=
        "<polyline fill='none' stroke-width='1.5' stroke='" + std::string(color) + "' points='";
    for (const svg_point& point : points)
      text_ += detail::svg_number(point.x) + "," + detail::svg_number(point.y) + " ";
    text_ += "'/>\n";
  }
  /// The document of everything drawn.
  [[nodiscard]] std::string document(double height) && {
    return "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " + detail::svg_number(svg_width) +
           " " + detail::svg_number(height) +
           "' font-family='sans-serif' font-size='13'>\n"
           "<rect width='100%' height='100%' fill='#fff'/>\n" +
           std::move(text_) + "</svg>\n";
  }

 private:
  std::string text_;
};

}  // namespace omnibal::inline v0
