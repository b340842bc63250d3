// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/interop/svg.hpp>
#include <omnibal/interop/svg_drawing.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

timeline two_bars(std::int64_t length) {
  timeline step{.title = "step", .devices = 1};
  step.bars.push_back({.begin = 0, .end = length, .work = {.kind = operation_kind::forward}});
  step.bars.push_back({.begin = length,
                       .end = 2 * length,
                       .recomputed = length / 2,
                       .work = {.kind = operation_kind::backward}});
  return step;
}

}  // namespace

TEST_CASE("timelines_svg draws bars, recomputation and idle time on one scale") {
  const std::string svg = timelines_svg(std::vector{two_bars(100), two_bars(50)});
  CHECK(svg.starts_with("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1000.00 164.00'"));
  CHECK(svg.ends_with("</svg>\n"));
  // Two rows of idle time, two bars each, the recomputed part of one; five colours explained but
  // weight gradients, which no bar has; and the background.
  CHECK(count(svg, "<rect") == 2 * (1 + 2 + 1) + 4 + 1);
  // 910 units of width for the longest, a time of 200.
  CHECK(count(svg, "width='910.00'") == 1);
  CHECK(count(svg, "width='455.00'") == 1 + 2);
  CHECK(count(svg, "weight gradient") == 0);
}

TEST_CASE("timelines_svg explains weight gradients where there are any") {
  timeline step = two_bars(10);
  step.bars.front().work.kind = operation_kind::weight_gradient;
  CHECK(count(timelines_svg({&step, 1}), "weight gradient") == 1);
}

TEST_CASE("timelines_svg escapes titles") {
  timeline step = two_bars(10);
  step.title = "<script>alert('x')</script> & \x01more";
  const std::string svg = timelines_svg({&step, 1});
  CHECK(count(svg, "<script>") == 0);
  CHECK(count(svg, "&lt;script&gt;alert('x')&lt;/script&gt; &amp; more") == 1);
  step.title = "\xC3\xA9\xFF";
  CHECK(count(timelines_svg({&step, 1}), ">\xC3\xA9\xEF\xBF\xBD<") == 1);
}

TEST_CASE("timelines_svg draws nothing, empty bars and the longest times") {
  CHECK(timelines_svg({}).ends_with("</svg>\n"));
  const timeline none{.title = "none", .devices = 3};
  CHECK(count(timelines_svg({&none, 1}), "device ") == 3);
  timeline longest{.devices = 1};
  longest.bars.push_back({.begin = 0, .end = std::numeric_limits<std::int64_t>::max()});
  CHECK(count(timelines_svg({&longest, 1}), "width='910.00'") == 2);
}

TEST_CASE("a drawing has its lines, curves and texts, whatever characters they have") {
  svg_drawing svg;
  svg.line(1, 9.5, 4, "#ddd");
  svg.curve(std::vector<svg_point>{{1, 2}, {3.25, 4}}, "#4477aa");
  svg.text(5, 6, "a < b & c");
  const std::string document = std::move(svg).document(20);
  CHECK(document.find("<line x1='1.00' x2='9.50' y1='4.00' y2='4.00' stroke='#ddd'/>") !=
        std::string::npos);
  CHECK(document.find("points='1.00,2.00 3.25,4.00 '") != std::string::npos);
  CHECK(document.find(">a &lt; b &amp; c</text>") != std::string::npos);
  CHECK(document.find("viewBox='0 0 1000.00 20.00'") != std::string::npos);
}
