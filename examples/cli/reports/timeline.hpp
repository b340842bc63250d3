// SPDX-License-Identifier: Apache-2.0
/// @file
/// A simulated step in Chrome's trace event format, which Perfetto and chrome://tracing show: one
/// row per device, one slice per operation.
#pragma once

#include <string>

#include <omnibal/pipeline/operation_graph.hpp>

#include "../timeline_svg.hpp"
#include "files/json.hpp"

namespace omnibal::cli {

using examples::timeline;
using examples::timelines_svg;

/// The timeline as JSON text; one time unit of the problem is shown as one microsecond.
[[nodiscard]] inline std::string chrome_trace(const timeline& drawn) {
  static constexpr const char* kinds[] = {"forward", "backward", "weight gradient"};
  json events = json::array();
  for (std::size_t device = 0; device < drawn.devices; ++device)
    events.push_back({{"name", "thread_name"},
                      {"ph", "M"},
                      {"pid", 0},
                      {"tid", device},
                      {"args", {{"name", "device " + std::to_string(device)}}}});
  for (const examples::timeline_bar& bar : drawn.bars)
    events.push_back({{"name", to_string(bar.work)},
                      {"cat", kinds[static_cast<std::size_t>(bar.work.kind)]},
                      {"ph", "X"},
                      {"pid", 0},
                      {"tid", bar.device},
                      {"ts", bar.begin},
                      {"dur", bar.end - bar.begin},
                      {"args", {{"recomputed", bar.recomputed}}}});
  return json_text({{"traceEvents", events}}) + "\n";
}

}  // namespace omnibal::cli
