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

namespace omnibal::inline v0::detail {

inline constexpr double svg_width = 1000;

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

struct svg_point {
  double x = 0;
  double y = 0;
};

/// What is drawn, in units of a picture 1000 wide. Colors and styles are written as they are given.
class svg_drawing {
 public:
  void rectangle(double x, double y, double width, double height, std::string_view color) {
    text_ += "<rect x='" + svg_number(x) + "' y='" + svg_number(y) + "' width='" +
             svg_number(std::max(width, 0.2)) + "' height='" + svg_number(height) + "' fill='" +
             std::string(color) + "' stroke='#fff' stroke-width='0.4'/>\n";
  }
  void text(double x, double y, std::string_view content, std::string_view style = "") {
    text_ += "<text x='" + svg_number(x) + "' y='" + svg_number(y) + "' " + std::string(style) +
             ">" + svg_escaped(content) + "</text>\n";
  }
  /// From left to right.
  void line(double x, double end, double y, std::string_view color) {
    text_ += "<line x1='" + svg_number(x) + "' x2='" + svg_number(end) + "' y1='" + svg_number(y) +
             "' y2='" + svg_number(y) + "' stroke='" + std::string(color) + "'/>\n";
  }
  void curve(std::span<const svg_point> points, std::string_view color) {
    text_ +=
        "<polyline fill='none' stroke-width='1.5' stroke='" + std::string(color) + "' points='";
    for (const svg_point& point : points)
      text_ += svg_number(point.x) + "," + svg_number(point.y) + " ";
    text_ += "'/>\n";
  }
  /// The document of everything drawn.
  [[nodiscard]] std::string document(double height) && {
    return "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " + svg_number(svg_width) + " " +
           svg_number(height) +
           "' font-family='sans-serif' font-size='13'>\n"
           "<rect width='100%' height='100%' fill='#fff'/>\n" +
           std::move(text_) + "</svg>\n";
  }

 private:
  std::string text_;
};

}  // namespace omnibal::inline v0::detail
